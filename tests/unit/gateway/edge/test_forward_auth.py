"""The questions of proxies, put to the gateway itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.edge.forward_auth import FORWARD_AUTH_PATH, LET_IN_ADDRESS
from gateway.session.model import EndReason, SessionStore
from tests.support.proxies import for_proxy, front_of, running_gateway
from tests.support.relay import (
    HOST,
    PERSON,
    Message,
    RawServer,
    Wire,
    cookie_field,
    echo,
    fake_control_plane,
    new_agent_key,
    relay_settings,
    session_key,
)

NAVIGATION = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A gateway to put questions to."""

    address: str
    sessions: SessionStore
    portal: RawServer

    def log_in(self) -> bytes:
        return self.sessions.create(PERSON, new_agent_key(), now=system_clock())

    def raw(self, *lines: str, path: str = FORWARD_AUTH_PATH) -> Message:
        with Wire.open(self.address) as wire:
            head = [f"GET {path} HTTP/1.1", "Host: gateway", *lines, "", ""]
            wire.send("\r\n".join(head).encode("latin-1"))
            return wire.response()

    def about(
        self,
        target: str = "/",
        *lines: str,
        cookie: bytes | None = None,
        method: str = "GET",
        host: str = HOST,
        peer: str = "192.0.2.7",
    ) -> Message:
        """Ask as a proxy does about a request."""
        cookies = [] if cookie is None else [f"Cookie: {cookie_field(cookie)}"]
        return self.raw(
            f"X-Forwarded-Method: {method}",
            f"X-Forwarded-Uri: {target}",
            f"X-Forwarded-Host: {host}",
            f"X-Forwarded-For: {peer}",
            *cookies,
            *lines,
        )


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder: Path = tmp_path_factory.mktemp("asked")
    portal, control = RawServer(echo), RawServer(fake_control_plane)
    with (
        portal.on_port() as upstream,
        control.on_socket(folder / "control.sock") as control_socket,
    ):
        settings = for_proxy(relay_settings(folder, upstream=upstream), relayed_paths=["/exports/"])
        front = front_of(settings, folder)
        with running_gateway(front, control_socket) as sessions:
            yield Asked(address=front.relay_address, sessions=sessions, portal=portal)


def test_a_session_is_a_permission_with_the_identity(asked: Asked) -> None:
    answer = asked.about("/a?b=c", cookie=asked.log_in())
    assert answer.status == 200
    assert answer.one("X-CPS-Verdict") == "let-in"
    assert answer.one("X-CPS-Subject") == PERSON.national_id
    assert answer.one("X-CPS-Assertion") == f"assertion-of-{PERSON.national_id}"
    assert answer.one("Forwarded") == f'for=192.0.2.7;host="{HOST}";proto=https'
    assert answer.one("X-Forwarded-For") == LET_IN_ADDRESS
    assert answer.one("Cache-Control") == "no-store"
    assert answer.body == b""


def test_the_portals_cookies_come_back_without_ours(asked: Asked) -> None:
    ours = cookie_field(asked.log_in())
    answer = asked.about("/", f"Cookie: a=1; {ours}; __Host-cps-login=x; b=2")
    assert answer.one("Cookie") == "a=1; b=2"
    assert answer.one("X-Envoy-Auth-Headers-To-Remove") is None


def test_without_cookies_of_the_portal_the_field_is_to_go(asked: Asked) -> None:
    answer = asked.about("/", cookie=asked.log_in())
    assert answer.one("Cookie") is None
    assert answer.one("X-Envoy-Auth-Headers-To-Remove") == "Cookie"


def test_a_person_is_led_to_the_login_page_of_the_origin(asked: Asked) -> None:
    answer = asked.about("/rights", *NAVIGATION)
    assert answer.status == 303
    assert answer.one("Location") == f"https://{HOST}/_cps/login?t=TARGET"


def test_a_program_is_told(asked: Asked) -> None:
    answer = asked.about("/api")
    assert answer.status == 401
    assert json.loads(answer.body)["error"] == "session_required"


def test_a_form_is_not_lost_silently(asked: Asked) -> None:
    answer = asked.about("/save", *NAVIGATION, method="POST")
    assert answer.status == 401
    assert "text/html" in (answer.one("Content-Type") or "")


def test_a_session_that_ended_is_none(asked: Asked) -> None:
    cookie = asked.log_in()
    assert asked.about("/", cookie=cookie).status == 200
    asked.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
    assert asked.about("/", cookie=cookie).status == 401


@pytest.mark.parametrize(
    ("question", "status"),
    [
        pytest.param({"target": "//x"}, 400, id="path with two readings"),
        pytest.param({"target": "http://portal.example/"}, 400, id="absolute target"),
        pytest.param({"target": "*"}, 400, id="no path"),
        pytest.param({"target": ""}, 400, id="nothing"),
        pytest.param({"target": "/exports/x"}, 400, id="the relay's"),
        pytest.param({"target": "/%65xports/x"}, 400, id="the relay's in another spelling"),
        pytest.param({"target": "/_cps/login"}, 404, id="control plane"),
        pytest.param({"target": "/_cps/internal/enter"}, 404, id="internal"),
        pytest.param({"target": "/_CPS/login"}, 400, id="control plane misspelt"),
        pytest.param({"host": "evil.example"}, 421, id="other host"),
        pytest.param({"host": f"{HOST}:80"}, 421, id="other port"),
        pytest.param({"method": "TRACE"}, 405, id="TRACE"),
        pytest.param({"method": "get"}, 405, id="lower case"),
        pytest.param({"peer": "192.0.2.7, 10.0.0.1"}, 500, id="two addresses"),
        pytest.param({"peer": "unix"}, 500, id="no address"),
    ],
)
def test_what_the_relay_refuses_is_no_permission(
    asked: Asked, question: dict[str, str], status: int
) -> None:
    answer = asked.about(**question, cookie=asked.log_in())
    assert answer.status == status
    assert answer.one("X-CPS-Verdict") is None
    assert answer.one("X-CPS-Subject") is None


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Upgrade: websocket", 400),
        ("Accept: text/html, Text/Event-Stream", 400),
        ("Authorization: Negotiate abc", 400),
        ("Authorization: NTLM abc", 400),
        ("Expect: magic", 417),
        (f"Cookie: __Host-cps-session={'A' * 43}", 400),
        ("X-Forwarded-Uri: /other", 400),
        ("X-Forwarded-Method: GET", 400),
        ("X-Forwarded-Host: portal.example", 400),
    ],
)
def test_what_a_proxy_cannot_pass_safely_is_no_permission(
    asked: Asked, line: str, status: int
) -> None:
    assert asked.about("/", line, cookie=asked.log_in()).status == status


@pytest.mark.parametrize("missing", ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"])
def test_what_describes_no_request_is_no_question(asked: Asked, missing: str) -> None:
    lines = {
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/",
        "X-Forwarded-Host": HOST,
        "X-Forwarded-For": "192.0.2.7",
        "Cookie": cookie_field(asked.log_in()),
    }
    del lines[missing]
    assert asked.raw(*(f"{name}: {value}" for name, value in lines.items())).status == 400


def test_the_rest_of_the_path_is_nobodys(asked: Asked) -> None:
    # Envoy writes the path of the request behind ours.
    question = (
        "X-Forwarded-Method: GET",
        "X-Forwarded-Uri: /_cps/login",
        f"X-Forwarded-Host: {HOST}",
        "X-Forwarded-For: 192.0.2.7",
    )
    assert asked.raw(*question, path=f"{FORWARD_AUTH_PATH}/open?x=1").status == 404


def test_a_question_reaches_nobody_behind(asked: Asked) -> None:
    asked.portal.forget()
    assert asked.about("/", cookie=asked.log_in()).status == 200
    assert asked.portal.all_received == b""


def test_other_requests_are_the_relays(asked: Asked) -> None:
    cookie = asked.log_in()
    fields = (f"Cookie: {cookie_field(cookie)}", "X-Forwarded-For: 192.0.2.7")
    with Wire.open(asked.address) as wire:
        wire.send("\r\n".join(["GET /x HTTP/1.1", f"Host: {HOST}", *fields, "", ""]).encode())
        echoed = json.loads(wire.response().body)
    assert ["X-Forwarded-For", "192.0.2.7"] in echoed["fields"]
