"""Several portals behind one gateway, as a process: what belongs to one opens nothing at another.

One is at `localhost`, the other at `127.0.0.1`, both on the same port.
"""

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from gateway.main import main
from gateway.operator.health_command import run_health
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from tests.support.nginx import nginx_program
from tests.support.quick_login import CLAIM, PAGE, TOKEN, QuickLogin
from tests.support.relay import RawServer, Wire, echo, raw_request
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

JSON = {"Content-Type": "application/json"}
NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
PATIENCE = 30
LEASE = "/_cps/agent/lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def cookie(self, name: str) -> str:
        for line in self.headers.get_all("Set-Cookie", []):
            if line.startswith(f"{name}="):
                return str(line.removeprefix(f"{name}=").partition(";")[0])
        raise AssertionError(f"no {name}")


class Portal:
    """One of the portals, as those see it who come to it."""

    def __init__(self, host: str, port: int) -> None:
        self.host = f"{host}:{port}"
        self.origin = f"http://{self.host}"
        self._port = port

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        cookie: str = "",
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        headers = {"Host": self.host, **fields, **({"Cookie": cookie} if cookie else {})}
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            return Answer(status=response.status, headers=response.headers, body=response.read())
        finally:
            connection.close()

    def page(self) -> tuple[QuickLogin, str]:
        """Open the login page; return the login and the browser's cookie."""
        login = QuickLogin()
        page = self.ask("GET", PAGE)
        login.read_page(page.body.decode())
        return login, f"{LOGIN_COOKIE}={page.cookie(LOGIN_COOKIE)}"

    def claimed(self) -> tuple[QuickLogin, str]:
        login, cookie = self.page()
        login.read_claimed(self.ask("POST", CLAIM, login.claim(), fields=JSON).body)
        return login, cookie

    def signed(self) -> tuple[QuickLogin, str, bytes]:
        """Go as far as the code; return the answer to the token too."""
        login, cookie = self.claimed()
        answer = self.ask("POST", TOKEN, login.token(self.origin), fields=JSON)
        login.read_accepted(answer.body)
        return login, cookie, answer.body

    def log_in(self) -> str:
        """Return the cookie of a new session, for a Cookie field."""
        login, cookie, _ = self.signed()
        back = self.ask("GET", login.callback, cookie=cookie, fields=NAVIGATION)
        return f"{SESSION_COOKIE}={back.cookie(SESSION_COOKIE)}"


class Two:
    """The gateway, with two portals."""

    def __init__(self, served: ServedGateway, file: Path, port: int) -> None:
        self.served = served
        self.file = file
        self.folder = file.parent
        self.port = port
        self.a, self.b = Portal("localhost", port), Portal("127.0.0.1", port)

    def wait_until_ready(self) -> None:
        """Wait until people can log in at every portal."""
        deadline = time.monotonic() + PATIENCE
        while run_health(self.file) != 0:
            assert time.monotonic() < deadline, self.served.log
            time.sleep(0.1)

    def raw(self, request: bytes) -> int:
        with Wire.open(f"127.0.0.1:{self.port}") as wire:
            wire.send(request)
            return wire.response().status


@pytest.fixture(scope="module", params=["embedded", "nginx"])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    engine: str = request.param
    if engine == "nginx":
        nginx_program()
    folder, port = tmp_path_factory.mktemp("portals"), free_port()
    with RawServer(echo).on_port() as upstream_a, RawServer(echo).on_port() as upstream_b:
        edge = f'[edge]\nengine = "{engine}"\n'
        file = write_settings(folder, upstream=upstream_a, port=port, more=edge)
        text = file.read_text()
        begin, end = text.index("[portal]"), text.index("[listen]")
        portals = "".join(
            f"""
[[portals]]
name = "{name}"
origin = "http://{host}:{port}"
upstream = "{upstream}"
label = "Portail {name}"
{more}
"""
            for name, host, upstream, more in (
                ("a", "localhost", upstream_a, ""),
                (
                    "b",
                    "127.0.0.1",
                    upstream_b,
                    '[[portals.login.allow]]\ncard_types = ["CPE"]\n'
                    "[portals.presence]\nheartbeat_seconds = 7",
                ),
            )
        )
        # Logins without an agent have no card that is watched; the lease is granted all the same.
        file.write_text(text[:begin] + text[end:] + portals)
        with served_gateway(file, port, also=f" http://127.0.0.1:{port}") as served:
            yield Two(served, file, port)


@pytest.fixture(scope="module")
def session_of_a(two: Two) -> str:
    return two.a.log_in()


def test_each_portal_shows_its_own_login_page(two: Two) -> None:
    assert b"Portail a" in two.a.ask("GET", PAGE).body
    assert b"Portail b" in two.b.ask("GET", PAGE).body


def test_a_session_of_one_portal_is_none_of_the_other(two: Two, session_of_a: str) -> None:
    assert two.a.ask("GET", "/x", cookie=session_of_a).status == 200
    assert two.b.ask("GET", "/x", cookie=session_of_a).status == 401


def test_the_rules_of_one_portal_do_not_count_for_the_other(two: Two) -> None:
    """B lets in no CPS; A does, by its own rules."""
    login, _ = two.b.claimed()
    refused = two.b.ask("POST", TOKEN, login.token(two.b.origin), fields=JSON)
    assert refused.status == 403
    assert "code" not in json.loads(refused.body) or json.loads(refused.body)["code"] != login.code
    assert two.a.signed()[0].code


def test_a_request_id_of_one_portal_is_unknown_to_the_other(two: Two) -> None:
    login, _ = two.a.page()
    assert two.b.ask("POST", CLAIM, login.claim(), fields=JSON).status in (403, 404, 410)
    assert two.a.ask("POST", CLAIM, login.claim(), fields=JSON).status == 200


def test_a_signature_for_one_portal_is_refused_at_the_other(two: Two) -> None:
    login, _ = two.a.claimed()
    # Made for B by an agent that was led there, and handed in at A.
    answer = two.a.ask("POST", TOKEN, login.token(two.b.origin), fields=JSON)
    assert answer.status == 403
    login, _ = two.a.claimed()
    at_other = two.b.ask("POST", TOKEN, login.token(two.a.origin), fields=JSON)
    assert at_other.status in (403, 404, 410)


def test_a_login_code_of_one_portal_opens_nothing_at_the_other(two: Two) -> None:
    login, cookie, _ = two.a.signed()
    _, cookie_of_b = two.b.page()
    for tried in (cookie, cookie_of_b):
        back = two.b.ask("GET", login.callback, cookie=tried, fields=NAVIGATION)
        assert back.status in (400, 403)
        assert not any(SESSION_COOKIE in each for each in back.headers.get_all("Set-Cookie", []))
    # It is still good where it was given.
    back = two.a.ask("GET", login.callback, cookie=cookie, fields=NAVIGATION)
    assert back.cookie(SESSION_COOKIE)


def test_a_lease_of_one_portal_is_unknown_to_the_other(two: Two) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    login, cookie = two.a.page()
    login.agent = AgentKey.of(key.public_key())
    login.read_claimed(two.a.ask("POST", CLAIM, login.claim(), fields=JSON).body)
    answer = two.a.ask("POST", TOKEN, login.token(two.a.origin), fields=JSON)
    login.read_accepted(answer.body)
    lease = json.loads(answer.body)["lease"]["id"]
    back = two.a.ask("GET", login.callback, cookie=cookie, fields=NAVIGATION)
    session = f"{SESSION_COOKIE}={back.cookie(SESSION_COOKIE)}"

    def alive(at: Portal, origin: str, counter: int, event: LeaseEvent) -> object:
        message = LeaseMessage.signed(key, origin=origin, lease=lease, counter=counter, event=event)
        return json.loads(at.ask("POST", LEASE, message.to_json(), fields=JSON).body).get("alive")

    for counter, origin in ((1, two.a.origin), (2, two.b.origin)):
        assert alive(two.b, origin, counter, LeaseEvent.PRESENT) is False
        assert alive(two.b, origin, counter, LeaseEvent.REMOVED) is False
    # Signed for the other portal it counts for neither.
    assert alive(two.a, two.b.origin, 3, LeaseEvent.REMOVED) is None
    assert two.a.ask("GET", "/x", cookie=session).status == 200
    assert alive(two.a, two.a.origin, 4, LeaseEvent.PRESENT) is True
    assert alive(two.a, two.a.origin, 5, LeaseEvent.REMOVED) is False
    # nginx's verdict process hears of it a tenth of a second later.
    deadline = time.monotonic() + PATIENCE
    while two.a.ask("GET", "/x", cookie=session).status != 401:
        assert time.monotonic() < deadline


def test_each_portal_has_keys_of_its_own(two: Two) -> None:
    kids = [
        {
            key["kid"]
            for key in json.loads(at.ask("GET", "/_cps/.well-known/jwks.json").body)["keys"]
        }
        for at in (two.a, two.b)
    ]
    assert not kids[0] & kids[1]


@pytest.mark.parametrize(
    ("target", "host", "statuses"),
    [
        pytest.param("/x", "other.example", {421}, id="unknown host"),
        pytest.param("/x", "localhost", {421}, id="without the port"),
        pytest.param("/x", "LOCALHOST:{port}", {421}, id="another spelling"),
        pytest.param("/x", "localhost:{port}, 127.0.0.1:{port}", {400, 421}, id="two in one"),
        pytest.param("http://127.0.0.1:{port}/x", "localhost:{port}", {400}, id="absolute, other"),
        pytest.param("http://localhost:{port}/x", "localhost:{port}", {400}, id="absolute, same"),
    ],
)
def test_what_names_no_portal_or_two_is_refused(
    two: Two, session_of_a: str, target: str, host: str, statuses: set[int]
) -> None:
    request = raw_request(
        target.format(port=two.port), f"Cookie: {session_of_a}", host=host.format(port=two.port)
    )
    assert two.raw(request) in statuses


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_second_host_field_is_refused(two: Two, session_of_a: str, first: str) -> None:
    hosts = [two.a.host, two.b.host] if first == "a" else [two.b.host, two.a.host]
    request = raw_request("/x", f"Host: {hosts[1]}", f"Cookie: {session_of_a}", host=hosts[0])
    assert two.raw(request) in (400, 421)


def test_kept_connections_are_looked_at_request_by_request(two: Two, session_of_a: str) -> None:
    with Wire.open(f"127.0.0.1:{two.port}") as wire:
        for host, status in ((two.a.host, 200), (two.b.host, 401), (two.a.host, 200)):
            wire.send(raw_request("/x", f"Cookie: {session_of_a}", host=host))
            assert wire.response().status == status


def test_a_portal_without_its_control_plane_touches_no_other(two: Two, session_of_a: str) -> None:
    before = two.served.child("control plane of b")
    os.kill(before, signal.SIGSTOP)
    try:
        assert two.a.ask("GET", PAGE).status == 200
        assert two.a.ask("GET", "/x", cookie=session_of_a).status == 200
    finally:
        os.kill(before, signal.SIGKILL)
    assert two.a.ask("GET", PAGE).status == 200
    two.served.wait_for_new_child("control plane of b", before)
    two.wait_until_ready()


def test_a_portal_without_its_verdicts_touches_no_other(two: Two, session_of_a: str) -> None:
    if "verdict of b" not in two.served.children:
        pytest.skip("only nginx asks for verdicts")
    before = two.served.child("verdict of b")
    os.kill(before, signal.SIGSTOP)
    try:
        cookie = f"{SESSION_COOKIE}={'A' * 43}"
        assert two.b.ask("GET", "/x", cookie=cookie).status == 503
        assert two.a.ask("GET", "/x", cookie=session_of_a).status == 200
    finally:
        os.kill(before, signal.SIGKILL)
    two.served.wait_for_new_child("verdict of b", before)
    two.wait_until_ready()


def test_commands_are_about_one_portal(
    two: Two, session_of_a: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(two.file)]
    assert main(["sessions", "list", *config]) == 2
    assert "--portal: is wanted, of: a, b" in capsys.readouterr().err
    assert main(["sessions", "list", *config, "--portal", "c"]) == 2
    capsys.readouterr()
    shown = {}
    for name in ("a", "b"):
        assert main(["sessions", "list", "--json", *config, "--portal", name]) == 0
        shown[name] = capsys.readouterr().out.splitlines()
    assert shown["a"]
    assert not shown["b"]
    assert main(["keys", "list", *config, "--portal", "b"]) == 0
    assert main(["guard", "blocked", *config, "--portal", "b"]) == 0
    assert main(["check", *config]) == 0
    text = capsys.readouterr().out
    assert f"origin         {two.a.origin}" in text
    assert f"origin         {two.b.origin}" in text
    assert run_health(two.file) == 0
    assert run_health(two.file, "b") == 0


def test_every_line_of_the_audit_log_names_its_portal(two: Two, session_of_a: str) -> None:
    lines = [json.loads(line) for line in (two.folder / "audit.log").read_text().splitlines()]
    assert {line["portal"] for line in lines} == {"a", "b"}
    begun = [line["portal"] for line in lines if line["event"] == "configuration_loaded"]
    assert begun == ["a", "b"]


def test_nothing_of_one_portal_lies_with_the_other(two: Two) -> None:
    folders = [two.folder / "state" / "portals" / name for name in ("a", "b")]
    for folder in folders:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "gateway.db").is_file()
    assert not (two.folder / "state" / "gateway.db").exists()


def test_portals_change_come_and_go_while_others_are_asked(two: Two, session_of_a: str) -> None:
    """The last test: the file changes."""
    text = two.file.read_text()
    c = Portal("127.0.0.2", two.port)
    third = f"""
[[portals]]
name = "c"
origin = "{c.origin}"
upstream = "http://127.0.0.1:9"
label = "Portail c"
"""

    def reload(changed: str, has_happened: Callable[[], bool]) -> None:
        two.file.write_text(changed)
        two.served.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while not has_happened():
            assert two.a.ask("GET", "/x", cookie=session_of_a).status == 200
            assert time.monotonic() < deadline, two.served.log
            time.sleep(0.05)
        two.wait_until_ready()

    def shows(portal: Portal, label: str) -> Callable[[], bool]:
        return lambda: label.encode() in portal.ask("GET", PAGE).body

    relabelled = text.replace('label = "Portail b"', 'label = "Autre nom"')
    reload(relabelled, shows(two.b, "Autre nom"))
    assert shows(two.a, "Portail a")()
    assert c.ask("GET", PAGE).status == 421
    reload(relabelled + third, shows(c, "Portail c"))
    assert c.ask("GET", "/x", cookie=session_of_a).status == 401
    assert shows(two.b, "Autre nom")()
    reload(text, lambda: c.ask("GET", PAGE).status == 421)
    assert two.a.ask("GET", "/x", cookie=session_of_a).status == 200
    lines = [json.loads(line) for line in (two.folder / "audit.log").read_text().splitlines()]
    of_c = [line["event"] for line in lines if line["portal"] == "c"]
    assert (of_c[0], of_c[-1]) == ("configuration_loaded", "gateway_stopped")
