"""What the relay decides: whom it lets in, whom it sends to the login page, what it says."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import monotonic

import pytest

from gateway.clock import system_clock
from gateway.edge import relay as relay_module
from gateway.errors import StoreUnavailableError
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason, Session
from gateway.settings import SessionSettings
from tests.support.relay import (
    Message,
    RawServer,
    RunningRelay,
    Wire,
    cookie_field,
    echo,
    fake_control_plane,
    portal_and_relay,
    raw_request,
    relay_settings,
    running_relay,
    session_key,
)

NAVIGATION = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
FETCH = ("Sec-Fetch-Mode: cors", "Accept: text/html")


@pytest.fixture(scope="module")
def portal() -> RawServer:
    return RawServer(echo)


@pytest.fixture(scope="module")
def relay(portal: RawServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    with portal_and_relay(tmp_path_factory.mktemp("relay"), portal) as running:
        yield running


def _problem(answer: Message) -> dict[str, object]:
    assert answer.one("Content-Type") == "application/problem+json; charset=utf-8"
    problem: dict[str, object] = json.loads(answer.body)
    return problem


def _assert_protected(answer: Message) -> None:
    assert answer.one("Cache-Control") == "no-store"
    assert (answer.one("Content-Security-Policy") or "").startswith("default-src 'none'; ")
    assert answer.one("X-Content-Type-Options") == "nosniff"
    assert answer.one("X-Frame-Options") == "DENY"
    assert answer.one("Referrer-Policy") == "no-referrer"
    assert answer.one("Strict-Transport-Security") == "max-age=31536000"
    assert answer.one("Server") == "cps-gateway"


@pytest.mark.parametrize(
    "lines",
    [NAVIGATION, ("Accept: text/html,application/xhtml+xml",)],
    ids=["fetch metadata", "older browser"],
)
def test_a_person_without_session_is_led_to_the_login_page(
    relay: RunningRelay, portal: RawServer, lines: tuple[str, ...]
) -> None:
    portal.forget()
    answer = relay.ask(raw_request("/rights?nir=1", *lines))
    assert answer.status == 303
    assert answer.one("Location") == "/_cps/login?t=TARGET"
    _assert_protected(answer)
    assert portal.all_received == b""


@pytest.mark.parametrize(
    "lines", [FETCH, (), ("Accept: application/json",)], ids=["fetch", "bare", "json"]
)
def test_a_program_without_session_is_told_so(
    relay: RunningRelay, portal: RawServer, lines: tuple[str, ...]
) -> None:
    portal.forget()
    answer = relay.ask(raw_request("/api", *lines))
    assert answer.status == 401
    problem = _problem(answer)
    assert problem["error"] == "session_required"
    assert problem["login"] == "/_cps/login"
    assert answer.one("WWW-Authenticate") == "CPS"
    _assert_protected(answer)
    assert portal.all_received == b""


def test_a_form_without_session_is_not_lost_silently(
    relay: RunningRelay, portal: RawServer
) -> None:
    portal.forget()
    answer = relay.ask(raw_request("/save", *NAVIGATION, method="POST", body=b"note=1"))
    assert answer.status == 401
    page = answer.body.decode()
    assert "le formulaire n’a pas été transmis" in page
    assert 'href="/_cps/login"' in page
    _assert_protected(answer)
    assert portal.all_received == b""


def test_a_page_speaks_english_to_who_prefers_it(relay: RunningRelay) -> None:
    fields = (*NAVIGATION, "Accept-Language: en-GB,en;q=0.9")
    answer = relay.ask(raw_request("/save", *fields, method="POST"))
    assert b"the form was not passed to the portal" in answer.body
    assert answer.one("Content-Language") == "en"


def test_a_page_escapes_the_portals_name(relay: RunningRelay) -> None:
    answer = relay.ask(raw_request("/save", *NAVIGATION, method="POST"))
    assert "Portail &lt;d&#x27;essai&gt;" in answer.body.decode()


def test_a_session_opens_the_portal(relay: RunningRelay) -> None:
    answer = relay.ask(raw_request("/a?b=c", cookie=relay.log_in()))
    assert answer.status == 200
    echoed = json.loads(answer.body)
    assert echoed["first"] == "GET /a?b=c HTTP/1.1"
    assert ["X-CPS-Assertion", "assertion-of-899900000013"] in echoed["fields"]


def test_a_session_that_ended_opens_nothing(relay: RunningRelay, portal: RawServer) -> None:
    cookie = relay.log_in()
    assert relay.ask(raw_request("/", cookie=cookie)).status == 200
    relay.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
    portal.forget()
    assert relay.ask(raw_request("/", *NAVIGATION, cookie=cookie)).status == 303
    assert relay.ask(raw_request("/", cookie=cookie)).status == 401
    assert portal.all_received == b""


def test_an_unknown_session_opens_nothing(relay: RunningRelay) -> None:
    assert relay.ask(raw_request("/", cookie=b"x" * 32)).status == 401


def test_one_connection_carries_several_people(relay: RunningRelay) -> None:
    one = relay.log_in()
    with relay.wire() as wire:
        for cookie, status in ((one, 200), (None, 401), (one, 200)):
            wire.send(raw_request("/", cookie=cookie))
            assert wire.response().status == status


def test_requests_in_a_row_are_answered_in_order(relay: RunningRelay) -> None:
    cookie = relay.log_in()
    with relay.wire() as wire:
        wire.send(b"".join(raw_request(f"/{n}", cookie=cookie) for n in range(50)))
        for n in range(50):
            assert json.loads(wire.response().body)["first"] == f"GET /{n} HTTP/1.1"


def test_the_control_plane_needs_no_session_and_sets_our_cookies(relay: RunningRelay) -> None:
    answer = relay.ask(raw_request("/_cps/login?t=x", cookie=b"y" * 32))
    assert answer.status == 200
    assert answer.one("Set-Cookie") == "__Host-cps-login=x; Path=/; Secure"
    fields = json.loads(answer.body)["fields"]
    assert ["Cookie", cookie_field(b"y" * 32)] in fields
    assert ["X-CPS-Client", "127.0.0.1"] in fields


def test_a_body_reaches_the_control_plane_with_its_length(relay: RunningRelay) -> None:
    raw = raw_request("/_cps/agent/claim", "Transfer-Encoding: chunked", method="POST")
    answer = relay.ask(raw + b"2\r\n{}\r\n0\r\n\r\n")
    fields = json.loads(answer.body)["fields"]
    assert ["Content-Length", "2"] in fields
    assert "transfer-encoding" not in [name.lower() for name, _ in fields]


def test_a_slow_body_to_the_control_plane_is_refused(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "CONTROL_BODY_SECONDS", 0.05)
    answer = relay.ask(raw_request("/_cps/agent/claim", "Content-Length: 9", method="POST"))
    assert answer.status == 408


def test_an_internal_path_is_not_found(relay: RunningRelay) -> None:
    answer = relay.ask(raw_request("/_cps/internal/enter", *NAVIGATION))
    assert answer.status == 404
    assert "Cette adresse n’existe pas" in answer.body.decode()


def test_a_method_that_is_not_allowed_is_told_which_are(relay: RunningRelay) -> None:
    answer = relay.ask(raw_request("/", method="TRACE"))
    assert answer.status == 405
    assert answer.one("Allow") == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def test_a_wrong_host_is_told_the_right_one(relay: RunningRelay) -> None:
    answer = relay.ask(raw_request("/", *NAVIGATION, host="127.0.0.1:8443"))
    assert answer.status == 421
    assert "https://portal.example/" in answer.body.decode()


def test_a_refusal_names_an_incident_that_the_log_has(
    relay: RunningRelay, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gateway.edge"):
        answer = relay.ask(raw_request("//evil?code=SECRET", "X-Secret: SECRET"))
    reference = _problem(answer)["ref"]
    lines = [record.getMessage() for record in caplog.records]
    assert any(str(reference) in line and "path not canonical" in line for line in lines)
    assert "SECRET" not in "".join(lines)


class BrokenStore(MemorySessionStore):
    """A store that fails as it is told to."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(SessionSettings())
        self.failure = failure

    def get(self, key: bytes, *, now: datetime) -> Session:
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (StoreUnavailableError("away"), 503, "store_unavailable"),
        (RuntimeError("a defect with SECRET in it"), 500, "internal"),
    ],
    ids=["store away", "defect"],
)
def test_nobody_gets_in_where_sessions_cannot_be_read(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    status: int,
    code: str,
) -> None:
    portal, control = RawServer(echo), RawServer(fake_control_plane)
    with (
        portal.on_port() as upstream,
        control.on_socket(tmp_path / "control.sock") as control_socket,
        running_relay(
            relay_settings(tmp_path, upstream=upstream), control_socket, BrokenStore(failure)
        ) as relay,
        caplog.at_level(logging.INFO),
    ):
        answer = relay.ask(raw_request("/", cookie=relay.log_in()))
        page = relay.ask(raw_request("/", *NAVIGATION, cookie=relay.log_in()))
    assert (answer.status, page.status) == (status, status)
    assert _problem(answer)["error"] == code
    assert portal.all_received == b""
    assert "SECRET" not in caplog.text + answer.body.decode() + page.body.decode()


def test_without_the_control_plane_nobody_is_let_in_but_sessions_go_on(tmp_path: Path) -> None:
    portal = RawServer(echo)
    with (
        portal.on_port() as upstream,
        running_relay(
            relay_settings(tmp_path, upstream=upstream), tmp_path / "nobody.sock"
        ) as relay,
    ):
        for raw in (raw_request("/", *NAVIGATION), raw_request("/_cps/login", *NAVIGATION)):
            answer = relay.ask(raw)
            assert answer.status == 503
            assert "Les connexions ne peuvent pas être vérifiées" in answer.body.decode()
            _assert_protected(answer)
        assert relay.ask(raw_request("/", cookie=relay.log_in())).status == 200


@pytest.mark.parametrize(
    "content",
    [
        b'{"location": "https://evil.example/"}',
        b'{"location": "//evil.example/"}',
        b'{"location": "/elsewhere"}',
        b'{"location": 5}',
        b"[]",
        b"not json",
        b"",
        b'{"location": "/_cps/' + b"a" * 5000 + b'"}',
    ],
    ids=["other site", "no scheme", "portal", "number", "list", "text", "nothing", "too long"],
)
def test_nobody_is_sent_anywhere_but_to_our_login_page(tmp_path: Path, content: bytes) -> None:
    def lying_control_plane(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))

    control = RawServer(lying_control_plane)
    with (
        control.on_socket(tmp_path / "control.sock") as control_socket,
        running_relay(
            relay_settings(tmp_path, upstream="http://127.0.0.1:9"), control_socket
        ) as relay,
    ):
        answer = relay.ask(raw_request("/", *NAVIGATION))
    assert answer.status == 503
    assert answer.one("Location") is None


def test_a_browser_that_is_led_to_the_login_too_often_waits_and_is_told_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "COUNTED_OUT_SECONDS", 0.2)
    asked: list[bytes] = []

    def counting_out(wire: Wire) -> None:
        asked.append(wire.request().body)
        wire.send(b"HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\n\r\nno")

    control = RawServer(counting_out)
    with (
        control.on_socket(tmp_path / "control.sock") as control_socket,
        running_relay(
            relay_settings(tmp_path, upstream="http://127.0.0.1:9"), control_socket
        ) as relay,
    ):
        started = monotonic()
        answer = relay.ask(raw_request("/page", *NAVIGATION))
        assert (answer.status, answer.one("Location")) == (303, "/_cps/login")
        assert monotonic() - started >= 0.2
    assert json.loads(asked[0]) == {"target": "/page", "client": "127.0.0.1"}


def test_a_connection_that_asked_too_often_waits_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "COUNTED_OUT_SECONDS", 0.2)

    def counting_out(wire: Wire) -> None:
        while True:
            wire.request()
            wire.send(b"HTTP/1.1 429 Too Many\r\nRetry-After: 30\r\nContent-Length: 2\r\n\r\nno")

    portal, control = RawServer(echo), RawServer(counting_out)
    with (
        portal.on_port() as upstream,
        control.on_socket(tmp_path / "control.sock") as control_socket,
        running_relay(relay_settings(tmp_path, upstream=upstream), control_socket) as relay,
        relay.wire() as flood,
    ):
        started = monotonic()
        flood.send(raw_request("/_cps/login") * 2)
        first = flood.response()
        assert (first.status, first.one("Retry-After")) == (429, "30")
        assert relay.ask(raw_request("/page", cookie=relay.log_in())).status == 200
        assert monotonic() - started < 0.2
        assert flood.response().status == 429
        assert monotonic() - started >= 0.2
