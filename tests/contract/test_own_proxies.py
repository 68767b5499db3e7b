"""The proxies that a site keeps: the door, the end of sessions, and a gateway that is not itself.

The attacks on what passes through them are in test_relay_attacks.py.
"""

import asyncio
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from h2.exceptions import ProtocolError

from gateway.clock import system_clock
from gateway.edge.render.files import files_for
from tests.contract.test_engines import CUT_SECONDS, EVENTS, NAVIGATION, accepted, end
from tests.contract.test_nginx_engine import HTTP2
from tests.contract.test_relay_attacks import assert_plain
from tests.support.engines import OWN_PROXIES, FrontName, portal_and_engine
from tests.support.proxies import (
    PROXIES,
    ProxyName,
    for_proxy,
    front_of,
    proxy_program,
    running_program,
    running_proxy,
    tls_front,
)
from tests.support.relay import (
    HOST,
    ORIGIN,
    PERSON,
    Message,
    RawServer,
    RunningRelay,
    Wire,
    cookie_field,
    echo,
    fake_control_plane,
    new_agent_key,
    raw_request,
    relay_settings,
)
from tests.support.server_certificate import write_server_files

REFUSAL_SECONDS = 20
"""A proxy gives up by then on a gateway that does not answer; HAProxy asks four times."""
Handler = Callable[[Wire], object]


@pytest.fixture(scope="module", params=OWN_PROXIES)
def engine(request: pytest.FixtureRequest) -> FrontName:
    name: FrontName = request.param
    return name


@pytest.fixture(scope="module")
def edge(engine: FrontName, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    """The proxy before a portal that echoes."""
    with portal_and_engine(engine, tmp_path_factory.mktemp("own"), RawServer(echo)) as running:
        yield running


def portal_fields(answer: Message) -> dict[str, str]:
    assert answer.status == 200, answer
    return {name.lower(): value for name, value in json.loads(answer.body)["fields"]}


class TestTheDoor:
    """Who has no session."""

    def test_a_person_is_led_to_the_login_page(self, edge: RunningRelay) -> None:
        answer = edge.ask(raw_request("/rights?nir=1", *NAVIGATION))
        assert answer.status == 303
        assert answer.one("Location") in ("/_cps/login?t=TARGET", f"{ORIGIN}/_cps/login?t=TARGET")
        assert answer.one("Cache-Control") == "no-store"

    def test_a_program_is_told(self, edge: RunningRelay) -> None:
        answer = edge.ask(raw_request("/api", "Sec-Fetch-Mode: cors"))
        assert answer.status == 401
        assert answer.one("Content-Type") == "application/problem+json; charset=utf-8"
        assert json.loads(answer.body)["login"] == "/_cps/login"

    def test_a_form_is_not_lost_silently(self, edge: RunningRelay) -> None:
        answer = edge.ask(raw_request("/save", *NAVIGATION, method="POST", body=b"note=1"))
        assert answer.status == 401
        assert "le formulaire n’a pas été transmis" in answer.body.decode()

    def test_the_login_sets_and_sees_our_cookies(self, edge: RunningRelay) -> None:
        cookies = f"{cookie_field(edge.log_in())}; __Host-cps-login=y; other=1"
        answer = edge.ask(raw_request("/_cps/login?t=x", f"Cookie: {cookies}", *NAVIGATION))
        assert answer.one("Set-Cookie") == "__Host-cps-login=x; Path=/; Secure"
        assert portal_fields(answer)["cookie"] == cookies

    def test_an_agent_reaches_the_gateway(self, edge: RunningRelay) -> None:
        raw = raw_request("/_cps/agent/claim", "Content-Type: x/y", method="POST", body=b"{}")
        fields = portal_fields(edge.ask(raw))
        assert (fields["content-length"], fields["x-cps-client"]) == ("2", "127.0.0.1")


class TestThePortal:
    """What passes to the portal and back."""

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_every_method_passes_with_its_body(self, edge: RunningRelay, method: str) -> None:
        raw = raw_request("/x", method=method, cookie=edge.log_in(), body=b"abc")
        echoed = json.loads(edge.ask(raw).body)
        assert echoed["first"] == f"{method} /x HTTP/1.1"
        assert echoed["body"] == "abc"

    def test_a_large_body_passes(self, edge: RunningRelay) -> None:
        body = b"x" * 3_000_000
        raw = raw_request("/x", method="POST", cookie=edge.log_in(), body=body)
        assert len(json.loads(edge.ask(raw).body)["body"]) == len(body)

    @pytest.mark.parametrize(
        "value",
        ["a={http.request.host}", "a={env.HOME}", "a=%REQ(X)%", "a=$host", "a=%[src]", "a={{.}}"],
    )
    def test_no_cookie_is_read_as_configuration(self, edge: RunningRelay, value: str) -> None:
        ours = cookie_field(edge.log_in())
        answer = edge.ask(raw_request("/", f"Cookie: {value}; {ours}"))
        assert portal_fields(answer)["cookie"] == value

    def test_what_is_not_known_of_a_person_is_no_field(self, edge: RunningRelay) -> None:
        somebody = replace(PERSON, profession=None)
        cookie = edge.sessions.create(somebody, new_agent_key(), now=system_clock())
        fields = portal_fields(edge.ask(raw_request("/", cookie=cookie)))
        assert "x-cps-profession" not in fields
        assert fields["x-cps-subject"] == PERSON.national_id

    @pytest.mark.parametrize("first", [True, False], ids=["good first", "good last"])
    def test_two_session_cookies_in_two_fields_open_nothing(
        self, edge: RunningRelay, first: bool
    ) -> None:
        fields = [f"Cookie: {cookie_field(edge.log_in())}", f"Cookie: {cookie_field(b'A' * 32)}"]
        answer = edge.ask(raw_request("/", *(fields if first else reversed(fields))))
        assert answer.status in (400, 401)

    @pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
    def test_no_field_after_a_body_passes(
        self, engine: FrontName, tmp_path: Path, announced: bool
    ) -> None:
        portal = RawServer(echo)
        with portal_and_engine(engine, tmp_path, portal) as edge:
            lines = ["Transfer-Encoding: chunked", *(["Trailer: X-CPS-Subject"] * announced)]
            head = raw_request("/", *lines, method="POST", cookie=edge.log_in())
            with edge.wire() as wire:
                wire.send(head)
                time.sleep(0.1)
                wire.send(b"2\r\nab\r\n0\r\nX-CPS-Subject: evil\r\n\r\n")
                assert wire.response().status == 200
            assert b"evil" not in portal.all_received

    def test_the_portal_sets_none_of_our_cookies(self, engine: FrontName, tmp_path: Path) -> None:
        if engine in ("own traefik", "own envoy"):
            pytest.skip("said in the rendered file: it cannot change Set-Cookie by its value")

        def answering(wire: Wire) -> None:
            wire.request()
            wire.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: fine=1; Secure\r\n"
                b"Set-Cookie: __Host-cps-session=evil; Path=/; Secure\r\n\r\n"
            )

        with portal_and_engine(engine, tmp_path, RawServer(answering)) as edge:
            answer = edge.ask(raw_request("/", cookie=edge.log_in()))
        cookies = answer.all("Set-Cookie")
        assert "fine=1; Secure" in cookies
        for cookie in cookies:
            assert not cookie.startswith("__Host-cps") or "secure" not in cookie.lower()


class TestTheEndOfASession:
    """Ended anywhere is ended here."""

    def test_it_opens_nothing_any_more(self, edge: RunningRelay) -> None:
        cookie = edge.log_in()
        with edge.wire() as wire:
            wire.send(raw_request("/", cookie=cookie))
            assert wire.response().status == 200
            ended_at = end(edge, cookie)
            while True:
                wire.send(raw_request("/", cookie=cookie))
                if wire.response().status == 401:
                    break
            assert time.monotonic() - ended_at < CUT_SECONDS

    @pytest.mark.parametrize("target", ["/events", "/exports/x"])
    def test_what_lives_long_is_cut(self, engine: FrontName, tmp_path: Path, target: str) -> None:
        ended = threading.Event()

        def events(wire: Wire) -> None:
            wire.request()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
            wire.rest()
            ended.set()

        line = EVENTS if target == "/events" else "Accept: */*"
        relayed = {"relayed_paths": ["/exports/"]}
        with (
            portal_and_engine(engine, tmp_path, RawServer(events), edge=relayed) as edge,
            edge.wire() as wire,
        ):
            cookie = edge.log_in()
            wire.send(raw_request(target, line, cookie=cookie))
            wire.until(b"data: x\n\n")
            ended_at = end(edge, cookie)
            # No chunk of length nought: the browser sees that the stream was cut.
            assert b"0\r\n\r\n" not in wire.rest()
            assert time.monotonic() - ended_at < CUT_SECONDS
            assert ended.wait(1)

    def test_a_websocket_works_and_is_cut(self, engine: FrontName, tmp_path: Path) -> None:
        ended = threading.Event()

        def sockets(wire: Wire) -> None:
            request = wire.request()
            assert request.one("X-CPS-Subject") == PERSON.national_id
            wire.send(accepted(request.one("Sec-WebSocket-Key") or ""))
            _, mask, text = wire.exactly(2), wire.exactly(4), wire.exactly(2)
            wire.send(b"\x81\x02" + bytes([text[0] ^ mask[0], text[1] ^ mask[1]]))
            wire.rest()
            ended.set()

        async def main(edge: RunningRelay) -> float:
            cookie = edge.log_in()
            headers = {"Host": HOST, "Origin": ORIGIN, "Cookie": cookie_field(cookie)}
            async with (
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.ws_connect(f"http://{edge.address}/socket", headers=headers) as socket,
            ):
                await socket.send_str("ab")
                assert (await socket.receive()).data == "ab"
                ended_at = end(edge, cookie)
                assert (await socket.receive()).type in (
                    aiohttp.WSMsgType.CLOSED,
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.ERROR,
                )
                return time.monotonic() - ended_at

        with portal_and_engine(engine, tmp_path, RawServer(sockets)) as edge:
            assert asyncio.run(main(edge)) < CUT_SECONDS
            assert ended.wait(1)

    @pytest.mark.parametrize(
        ("origin", "with_session", "status"),
        [("https://evil.example", True, 403), (ORIGIN, False, 401)],
        ids=["another origin", "no session"],
    )
    def test_a_websocket_of_somebody_else_is_refused(
        self, edge: RunningRelay, origin: str, with_session: bool, status: int
    ) -> None:
        lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", f"Origin: {origin}")  # fmt: skip
        cookie = edge.log_in() if with_session else None
        assert edge.ask(raw_request("/socket", *lines, cookie=cookie)).status == status


@contextmanager
def judged_by(
    name: ProxyName, folder: Path, gateway: Handler | None
) -> Iterator[tuple[str, RawServer]]:
    """Run a proxy before something that is not the gateway, or nothing; give address and portal."""
    proxy_program(name)
    portal = RawServer(echo)
    with ExitStack() as stack:
        upstream = stack.enter_context(portal.on_port())
        settings = for_proxy(relay_settings(folder, upstream=upstream))
        front = front_of(settings, folder)
        if gateway is not None:
            socket = front.verdict_socket if name == "nginx" else front.relay_socket
            stack.enter_context(RawServer(gateway).on_socket(socket))
            stack.enter_context(RawServer(gateway).on_port(settings.listen.port))
        stack.enter_context(running_program(name, front, folder / "proxy"))
        portal.forget()
        yield f"127.0.0.1:{front.port}", portal


OPEN = (
    b"X-CPS-Verdict: let-in\r\nX-CPS-Subject: somebody\r\nX-Forwarded-For: 192.0.2.1\r\n"
    b"Content-Length: 0\r\n\r\n"
)
ANSWERS = {
    "200 without words": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "200 with a subject": b"HTTP/1.1 200 OK\r\nX-CPS-Subject: x\r\nContent-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "other words": (
        b"HTTP/1.1 200 OK\r\nX-CPS-Verdict: let-in!\r\nX-Forwarded-For: 192.0.2.10\r\n"
        b"Content-Length: 0\r\n\r\n"
    ),
    "500": b"HTTP/1.1 500 X\r\n" + OPEN,
    "503": b"HTTP/1.1 503 X\r\n" + OPEN,
    "400": b"HTTP/1.1 400 X\r\n" + OPEN,
    "302": b"HTTP/1.1 302 X\r\nLocation: /\r\n" + OPEN,
    "no HTTP": b"let-in\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", PROXIES)
class TestAGatewayThatIsNotItself:
    """V2: only the gateway's own words let anybody in."""

    def test_its_own_words_let_in(self, name: ProxyName, tmp_path: Path) -> None:
        """So that the tests below can fail."""

        def saying(wire: Wire) -> None:
            wire.request()
            wire.send(b"HTTP/1.1 200 OK\r\n" + OPEN)

        with judged_by(name, tmp_path, saying) as (address, _), Wire.open(address) as wire:
            wire.send(raw_request("/", cookie=b"x" * 32))
            assert portal_fields(wire.response())["x-cps-subject"] == "somebody"

    def test_no_other_answer_lets_in(self, name: ProxyName, tmp_path: Path) -> None:
        answers = iter(ANSWERS.values())
        current = [b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n"]

        def saying(wire: Wire) -> None:
            wire.request()
            wire.send(current[0])

        with judged_by(name, tmp_path, saying) as (address, portal):
            for answer in answers:
                current[0] = answer
                with Wire.open(address) as wire:
                    wire.send(raw_request("/", cookie=b"x" * 32))
                    with suppress(EOFError):
                        found = wire.response()
                        assert found.status != 200, answer
                assert portal.all_received == b"", answer

    def test_a_gateway_that_is_away_lets_nobody_in(self, name: ProxyName, tmp_path: Path) -> None:
        with judged_by(name, tmp_path, None) as (address, portal):
            for cookie in (b"x" * 32, None):
                with Wire.open(address) as wire:
                    wire.send(raw_request("/", cookie=cookie))
                    assert wire.response().status >= 400
            assert portal.all_received == b""

    def test_a_gateway_that_is_silent_lets_nobody_in(self, name: ProxyName, tmp_path: Path) -> None:
        if name == "traefik":
            pytest.skip("Traefik waits half a minute, and then refuses")
        has_begun = threading.Event()

        def silent(wire: Wire) -> None:
            if has_begun.is_set():
                wire.rest()
            wire.request()
            wire.send(b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")

        with judged_by(name, tmp_path, silent) as (address, portal):
            has_begun.set()
            with Wire.open(address) as wire:
                wire.patience(REFUSAL_SECONDS)
                wire.send(raw_request("/", cookie=b"x" * 32))
                assert wire.response().status >= 500
            assert portal.all_received == b""


HTTP_2 = ("nginx", "caddy", "traefik", "envoy")


class Secure:
    """A proxy with TLS before a portal that echoes."""

    def __init__(self, edge: RunningRelay, portal: RawServer) -> None:
        self.edge = edge
        self.portal = portal
        self.cookie = cookie_field(edge.log_in())

    def ask(
        self,
        *further: tuple[str, str],
        path: str = "/",
        authority: str = HOST,
        cookies: Sequence[str] | None = None,
        body: bytes | None = None,
        trailers: list[tuple[str, str]] | None = None,
    ) -> int:
        """Return the status, 0 where stream or connection is refused."""
        sent = [self.cookie] if cookies is None else cookies
        head = [
            (":method", "GET" if body is None else "POST"), (":path", path),
            (":scheme", "https"), (":authority", authority),
            *(("cookie", each) for each in sent), *further,
        ]  # fmt: skip
        return self.send(head, body, trailers)

    def send(
        self,
        head: list[tuple[str, str]],
        body: bytes | None = None,
        trailers: list[tuple[str, str]] | None = None,
    ) -> int:
        """Send exactly these fields; return the status, 0 where they are refused without one."""
        self.portal.forget()
        client = HTTP2(self.edge.address)
        with client.socket:
            try:
                status, _ = client.ask(head, body, trailers)
            except (OSError, ProtocolError):
                status = 0
            return status

    @property
    def heads(self) -> list[str]:
        """What the portal was asked since."""
        return self.portal.all_received.decode("latin-1").split("\r\n\r\n")[:-1]


@pytest.fixture(scope="module", params=HTTP_2)
def secure(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secure]:
    folder: Path = tmp_path_factory.mktemp("tls")
    files = write_server_files(folder, HOST)
    portal, control = RawServer(echo), RawServer(fake_control_plane)
    with portal.on_port() as upstream, control.on_socket(folder / "control.sock") as control_socket:
        settings = for_proxy(relay_settings(folder, upstream=upstream))
        with running_proxy(request.param, settings, folder, control_socket, files) as edge:
            yield Secure(edge, portal)


class TestHTTP2:
    """S3: what comes with HTTP/2 is refused, or reaches the portal as a plain request."""

    def test_a_request_passes(self, secure: Secure) -> None:
        assert secure.ask(path="/a?b") == 200
        assert_plain(secure.heads[0])

    @pytest.mark.parametrize(
        "field",
        [
            ("x-cps-subject", "evil"),
            ("X-CPS-Subject", "evil"),
            ("x_cps_subject", "evil"),
            ("x.cps.subject", "evil"),
            ("x-cps-anything", "evil"),
            ("forwarded", "for=evil"),
            ("x-forwarded-uri", "/evil"),
            ("x-forwarded-method", "EVIL"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-for", "evil"),
            ("x-envoy-original-path", "/evil"),
            ("connection", "x-cps-subject"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("x", "a\r\nx-cps-subject: evil"),
            ("x", "a\x00evil"),
            ("x\r\nx-cps-subject: evil", "b"),
            ("host", "evil.example"),
            (":path", "/evil"),
            ("cookie ", "evil"),
        ],
        ids=ascii,
    )
    def test_no_field_changes_what_the_portal_is_told(
        self, secure: Secure, field: tuple[str, str]
    ) -> None:
        status = secure.ask(field)
        assert (status == 200) == bool(secure.heads)
        for head in secure.heads:
            assert_plain(head)
            assert "evil" not in head.lower()

    @pytest.mark.parametrize(
        "path",
        ["//x", "/a/../b", "/a b", "/a\r\nX: evil", "*", "", "http://evil.example/", "/a#b",
         "/_CPS/x", "/%5fcps/internal/forward-auth", "/_cps/internal/forward-auth"],
        ids=ascii,
    )  # fmt: skip
    def test_no_path_has_two_readings(self, secure: Secure, path: str) -> None:
        secure.ask(path=path)
        for head in secure.heads:
            assert_plain(head)

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({":method": "CONNECT", ":protocol": "websocket"}, id="websocket"),
            pytest.param({":method": "CONNECT", ":protocol": "connect-udp"}, id="tunnel"),
            pytest.param({":method": "CONNECT"}, id="connect"),
            pytest.param({":protocol": "websocket"}, id="protocol"),
            pytest.param({":method": "GET /evil HTTP/1.1\r\nX: y"}, id="method with lines"),
            pytest.param({":method": "GET /evil"}, id="method with space"),
            pytest.param({":scheme": "https://evil.example/?"}, id="scheme"),
            pytest.param({":scheme": "https\r\nX-CPS-Subject: evil"}, id="scheme with lines"),
            pytest.param({":status": "200"}, id="status"),
            pytest.param({":evil": "evil"}, id="unknown"),
            pytest.param({":authority": f"{HOST}, evil.example"}, id="two names"),
            pytest.param({":authority": f"{HOST}?evil"}, id="name with query"),
        ],
    )
    def test_strange_pseudo_fields_reach_nobody(
        self, secure: Secure, changed: dict[str, str]
    ) -> None:
        usual = {":method": "GET", ":path": "/", ":scheme": "https", ":authority": HOST}
        secure.send([*(usual | changed).items(), ("cookie", secure.cookie)])
        assert secure.heads == []

    @pytest.mark.parametrize("authority", ["evil.example", f"{HOST}.", f"x@{HOST}", "", "a/b"])
    def test_another_host_is_refused(self, secure: Secure, authority: str) -> None:
        secure.ask(authority=authority)
        assert secure.heads == []

    def test_two_session_cookies_open_nothing(self, secure: Secure) -> None:
        other = cookie_field(b"A" * 32)
        for cookies in ([secure.cookie, other], [other, secure.cookie]):
            assert secure.ask(cookies=cookies) in (0, 400, 401)
            assert secure.heads == []

    def test_a_cookie_in_crumbs_is_one(self, secure: Secure) -> None:
        assert secure.ask(cookies=["a=1", secure.cookie, "b=2"]) == 200
        assert "cookie: a=1; b=2" in secure.heads[0].lower().split("\r\n")

    @pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
    def test_no_field_after_a_body_passes(self, secure: Secure, announced: bool) -> None:
        fields = [("trailer", "x-cps-subject")] * announced
        secure.ask(*fields, body=b"abc", trailers=[("x-cps-subject", "evil")])
        assert b"evil" not in secure.portal.all_received

    @pytest.mark.parametrize("length", ["2", "4", "0", "x", "-1"])
    def test_a_length_that_lies_smuggles_nothing(self, secure: Secure, length: str) -> None:
        secure.ask(("content-length", length), body=b"GET /smuggled HTTP/1.1\r\n\r\n")
        time.sleep(0.05)
        assert not [head for head in secure.heads if head.startswith("GET /smuggled")]


def test_haproxy_speaks_no_http_2(tmp_path: Path) -> None:
    files = write_server_files(tmp_path, HOST)
    settings = for_proxy(relay_settings(tmp_path, upstream="http://127.0.0.1:9"))
    front = tls_front("haproxy", settings, files)
    context = ssl.create_default_context(cafile=str(files.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        running_program("haproxy", front, tmp_path / "proxy"),
        socket.create_connection(("127.0.0.1", front.port), 5) as raw,
        context.wrap_socket(raw, server_hostname=HOST) as wire,
    ):
        assert wire.selected_alpn_protocol() == "http/1.1"


CHECKS: dict[ProxyName, tuple[str, ...]] = {
    "haproxy": ("-c", "-f", "cps-gateway.cfg"),
    "caddy": ("validate", "--adapter", "caddyfile", "--config", "cps-gateway.caddy"),
    "envoy": ("--mode", "validate", "-c", "envoy.yaml"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_program_accepts_tls_on_both_sides(name: ProxyName, tmp_path: Path) -> None:
    files = write_server_files(tmp_path, HOST)
    settings = for_proxy(
        relay_settings(tmp_path, upstream="https://localhost:8444"), relayed_paths=["/exports/"]
    )
    portal = settings.portal.model_copy(update={"upstream_ca": files.certificate})
    if name != "haproxy":
        pair = {"upstream_certificate": files.certificate, "upstream_key": files.key}
        portal = portal.model_copy(update=pair)
    chosen = settings.model_copy(update={"portal": portal})
    front = tls_front(name, chosen, files, address=None)
    for file, text in files_for(name, front, tmp_path).items():
        (tmp_path / file).write_text(text)
    done = subprocess.run(
        [proxy_program(name), *CHECKS[name]],
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
