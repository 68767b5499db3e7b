"""What a portal and its people need of the edge, on both engines; where they differ, it is said."""

import asyncio
import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.clock import system_clock
from gateway.session.model import EndReason
from tests.support.engines import ENGINES, EngineName, portal_and_engine
from tests.support.relay import (
    HOST,
    ORIGIN,
    Message,
    RawServer,
    RunningRelay,
    Wire,
    cookie_field,
    echo,
    raw_request,
    session_key,
)

NAVIGATION = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
EVENTS = "Accept: text/event-stream"
CUT_SECONDS = 0.5
"""How long after the end of a session its last stream may live."""


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(scope="module")
def edge(engine: EngineName, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    """The engine before a portal that echoes."""
    with portal_and_engine(engine, tmp_path_factory.mktemp("edge"), RawServer(echo)) as running:
        yield running


@contextmanager
def portal_of(
    engine: EngineName, folder: Path, handler: Callable[[Wire], object], **limits: float
) -> Iterator[tuple[RunningRelay, RawServer]]:
    portal = RawServer(handler)
    with portal_and_engine(engine, folder, portal, limits=limits) as running:
        yield running, portal


def end(edge: RunningRelay, cookie: bytes) -> float:
    """End a session and return when that was."""
    edge.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
    return time.monotonic()


def assert_protected(answer: Message) -> None:
    assert answer.one("Cache-Control") == "no-store"
    assert (answer.one("Content-Security-Policy") or "").startswith("default-src 'none'; ")
    assert answer.one("X-Content-Type-Options") == "nosniff"
    assert answer.one("X-Frame-Options") == "DENY"
    assert answer.one("Referrer-Policy") == "no-referrer"
    assert answer.one("Strict-Transport-Security") == "max-age=31536000"


class TestTheDoor:
    """Who has no session."""

    @pytest.mark.parametrize(
        "lines", [NAVIGATION, ("Accept: text/html,*/*",)], ids=["fetch metadata", "older browser"]
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_person_is_led_to_the_login_page(
        self, edge: RunningRelay, lines: tuple[str, ...], method: str
    ) -> None:
        answer = edge.ask(raw_request("/rights?nir=1", *lines, method=method), to=method)
        assert (answer.status, answer.one("Location")) == (303, "/_cps/login?t=TARGET")
        assert_protected(answer)

    @pytest.mark.parametrize(
        "lines",
        [("Sec-Fetch-Mode: cors", "Accept: text/html"), (), ("Accept: application/json",)],
        ids=["fetch", "bare", "json"],
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_a_program_is_told(
        self, edge: RunningRelay, lines: tuple[str, ...], method: str
    ) -> None:
        answer = edge.ask(raw_request("/api", *lines, method=method))
        assert answer.status == 401
        assert answer.one("Content-Type") == "application/problem+json; charset=utf-8"
        problem = json.loads(answer.body)
        assert problem["error"] == "session_required"
        assert problem["login"] == "/_cps/login"
        assert answer.one("WWW-Authenticate") == "CPS"
        assert_protected(answer)

    @pytest.mark.parametrize(
        ("language", "sentence"),
        [
            ("fr,en;q=0.5", "le formulaire n’a pas été transmis"),
            ("de,en-GB;q=0.9,fr;q=0.1", "the form was not passed to the portal"),
            ("es", "le formulaire n’a pas été transmis"),
        ],
    )
    def test_a_form_is_not_lost_silently(
        self, edge: RunningRelay, language: str, sentence: str
    ) -> None:
        fields = (*NAVIGATION, f"Accept-Language: {language}")
        answer = edge.ask(raw_request("/save", *fields, method="POST", body=b"note=1"))
        assert answer.status == 401
        page = answer.body.decode()
        assert sentence in page
        assert 'href="/_cps/login"' in page
        assert "Portail &lt;d&#x27;essai&gt;" in page
        assert_protected(answer)

    def test_one_connection_carries_several_people(self, edge: RunningRelay) -> None:
        one, other = edge.log_in(), edge.log_in()
        with edge.wire() as wire:
            for cookie, status in ((one, 200), (None, 401), (other, 200), (one, 200)):
                wire.send(raw_request("/", cookie=cookie))
                assert wire.response().status == status

    def test_the_control_plane_is_open_and_sets_our_cookies(self, edge: RunningRelay) -> None:
        answer = edge.ask(raw_request("/_cps/login?t=x", *NAVIGATION))
        assert json.loads(answer.body)["first"] == "GET /_cps/login?t=x HTTP/1.1"
        assert answer.one("Set-Cookie") == "__Host-cps-login=x; Path=/; Secure"

    def test_the_control_plane_sees_its_cookies(self, edge: RunningRelay) -> None:
        cookies = f"{cookie_field(edge.log_in())}; __Host-cps-login=y; other=1"
        answer = edge.ask(raw_request("/_cps/session", f"Cookie: {cookies}"))
        assert ["Cookie", cookies] in json.loads(answer.body)["fields"]

    def test_a_body_reaches_the_control_plane(self, edge: RunningRelay) -> None:
        raw = raw_request("/_cps/agent/claim", method="POST", body=b"{}")
        answer = json.loads(edge.ask(raw).body)
        assert ["Content-Length", "2"] in answer["fields"]

    def test_a_refusal_says_what_is_allowed(self, edge: RunningRelay) -> None:
        answer = edge.ask(raw_request("/", method="TRACE"))
        assert answer.status == 405
        assert "GET, HEAD, POST" in (answer.one("Allow") or "")

    @pytest.mark.parametrize(
        ("lines", "kind"),
        [(NAVIGATION, "text/html"), ((), "application/problem+json")],
        ids=["person", "program"],
    )
    def test_a_refusal_has_a_form_for_who_asks(
        self, edge: RunningRelay, lines: tuple[str, ...], kind: str
    ) -> None:
        answer = edge.ask(raw_request("//x", *lines, cookie=edge.log_in()))
        assert answer.status == 400
        assert answer.one("Content-Type") == f"{kind}; charset=utf-8"
        assert_protected(answer)


class TestThePortal:
    """What passes to the portal and back."""

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_every_method_passes_with_its_body(self, edge: RunningRelay, method: str) -> None:
        raw = raw_request("/x", method=method, cookie=edge.log_in(), body=b"abc")
        echoed = json.loads(edge.ask(raw).body)
        assert echoed["first"] == f"{method} /x HTTP/1.1"
        assert echoed["body"] == "abc"

    @pytest.mark.parametrize(
        "line",
        ["Accept: application/json", "Accept-Language: fr", "Authorization: Bearer x",
         "Content-Type: text/csv", "If-None-Match: \"x\"", "Origin: https://portal.example",
         "Range: bytes=1-2", "Referer: https://portal.example/", "User-Agent: x/1",
         "X-CSRF-Token: x", "X-Requested-With: XMLHttpRequest", "Sec-Fetch-Site: same-origin",
         "Cookie: a=1; b=2", "Cache-Control: no-cache"],
    )  # fmt: skip
    def test_the_usual_headers_pass_as_they_are(self, edge: RunningRelay, line: str) -> None:
        name, _, value = line.partition(": ")
        cookie = edge.log_in()
        if name == "Cookie":
            raw = raw_request("/", f"{line}; {cookie_field(cookie)}")
        else:
            raw = raw_request("/", line, cookie=cookie)
        assert [name, value] in json.loads(edge.ask(raw).body)["fields"]

    @pytest.mark.parametrize(
        "scheme", ["Negotiate", "NTLM", "ntlm", "\tNegotiate", " \t NTLM", "NTLM\t", "x y,NTLM"]
    )
    def test_a_login_of_the_whole_connection_does_not_pass(
        self, edge: RunningRelay, scheme: str
    ) -> None:
        raw = raw_request("/", f"Authorization: {scheme} abc", cookie=edge.log_in())
        assert "abc" not in edge.ask(raw).body.decode()

    @pytest.mark.parametrize(
        ("sent", "passed"),
        [
            ("{ours}", None),
            ("a=1; {ours}; b=2", "a=1; b=2"),
            ("{ours}; a=1", "a=1"),
            ("a=1;{ours};b=2", "a=1;b=2"),
            ("  {ours} ;  a=1", "a=1"),
            ("__Host-cps-login=x; {ours}", None),
            ("a={ours}; {ours}", None),
        ],
    )
    def test_our_cookies_stay_behind(
        self, edge: RunningRelay, sent: str, passed: str | None
    ) -> None:
        ours = cookie_field(edge.log_in())
        answer = edge.ask(raw_request("/", f"Cookie: {sent.format(ours=ours)}"))
        fields = dict(json.loads(answer.body)["fields"])
        if sent.startswith("a={ours}"):
            # A value may look like our cookie; it is another's.
            passed = f"a={ours}"
        assert fields.get("Cookie") == passed

    def test_chunks_pass_without_their_extensions(self, edge: RunningRelay) -> None:
        head = raw_request("/", "Transfer-Encoding: chunked", method="POST", cookie=edge.log_in())
        answer = edge.ask(head + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
        assert json.loads(answer.body)["body"] == "abc"

    def test_an_answer_passes_unchanged(self, engine: EngineName, tmp_path: Path) -> None:
        def answering(wire: Wire) -> None:
            wire.request()
            wire.send(
                b"HTTP/1.1 418 I am a teapot\r\nServer: old\r\nContent-Type: text/plain\r\n"
                b"Content-Encoding: gzip\r\nContent-Length: 3\r\nSet-Cookie: a=1\r\n"
                b"Set-Cookie: b=2\r\nX-Accel-Redirect: /_cps/session\r\nX-Own: 1\r\n\r\nabc"
            )

        with portal_of(engine, tmp_path, answering) as (edge, _):
            answer = edge.ask(raw_request("/", cookie=edge.log_in()))
        assert (answer.first, answer.body) == ("HTTP/1.1 418 I am a teapot", b"abc")
        assert answer.all("Set-Cookie") == ["a=1", "b=2"]
        assert answer.one("Content-Encoding") == "gzip"
        assert answer.one("Server") == "old"
        assert answer.one("X-Own") == "1"

    @pytest.mark.parametrize(
        "value",
        ["__Host-cps-session=x; Path=/; Secure; HttpOnly", "=__Host-cps-session=x; Secure",
         "__HOST-cps-login=x; Secure"],
    )  # fmt: skip
    def test_the_portal_sets_none_of_our_cookies(
        self, engine: EngineName, tmp_path: Path, value: str
    ) -> None:
        def answering(wire: Wire) -> None:
            wire.request()
            line = f"Set-Cookie: {value}\r\n".encode()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + line + b"\r\n")

        with portal_of(engine, tmp_path, answering) as (edge, _):
            answer = edge.ask(raw_request("/", cookie=edge.log_in()))
        # nginx cannot leave one out; without Secure no browser takes a cookie of such a name.
        assert not [each for each in answer.all("Set-Cookie") if "secure" in each.lower()]

    def test_head_and_ranges_keep_their_lengths(self, engine: EngineName, tmp_path: Path) -> None:
        def answering(wire: Wire) -> None:
            wire.request()
            wire.send(b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/9\r\n")
            wire.send(b"Content-Length: 2\r\n\r\n")

        with portal_of(engine, tmp_path, answering) as (edge, _), edge.wire() as wire:
            wire.send(raw_request("/", method="HEAD", cookie=edge.log_in()))
            answer = wire.response(to="HEAD")
        assert answer.one("Content-Length") == "2"
        assert answer.one("Content-Range") == "bytes 0-1/9"

    def test_a_body_streams_to_the_portal(self, engine: EngineName, tmp_path: Path) -> None:
        arrived = threading.Event()

        def slow_reader(wire: Wire) -> None:
            wire.until(b"first")
            arrived.set()
            wire.until(b"second")
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        with portal_of(engine, tmp_path, slow_reader) as (edge, _), edge.wire() as wire:
            head = raw_request("/", "Content-Length: 11", method="POST", cookie=edge.log_in())
            wire.send(head + b"first")
            assert arrived.wait(2)
            wire.send(b"second")
            assert wire.response().status == 200

    @pytest.mark.parametrize("framing", ["length", "chunks"])
    def test_a_body_past_the_limit_is_refused(
        self, engine: EngineName, tmp_path: Path, framing: str
    ) -> None:
        limit = 1024**2
        with portal_of(engine, tmp_path, Wire.rest, body_bytes=limit) as (edge, portal):
            with edge.wire() as wire:
                if framing == "length":
                    line, body = f"Content-Length: {limit + 1}", b""
                else:
                    line, body = "Transfer-Encoding: chunked", b"%x\r\n" % (limit + 1)
                    body += b"x" * (limit + 1)
                head = raw_request("/", line, method="POST", cookie=edge.log_in())
                wire.send(head + body)
                assert wire.response().status == 413
            assert not portal.all_received.endswith(b"0\r\n\r\n")

    def test_connections_to_the_portal_are_kept(self, engine: EngineName, tmp_path: Path) -> None:
        with portal_of(engine, tmp_path, echo) as (edge, portal), edge.wire() as wire:
            cookie = edge.log_in()
            for _ in range(5):
                wire.send(raw_request("/", cookie=cookie))
                assert wire.response().status == 200
            assert len(portal.received) == 1


class TestFaults:
    """A portal, a control plane or a browser that does not do its part."""

    @pytest.mark.parametrize(
        ("lines", "kind"), [(NAVIGATION, "text/html"), ((), "application/problem+json")]
    )
    def test_a_portal_that_is_down_is_said_to_be(
        self, engine: EngineName, tmp_path: Path, lines: tuple[str, ...], kind: str
    ) -> None:
        def refuse(wire: Wire) -> None:
            wire.reset()

        with portal_of(engine, tmp_path, refuse) as (edge, _):
            answer = edge.ask(raw_request("/", *lines, cookie=edge.log_in()))
        assert answer.status == 502
        assert (answer.one("Content-Type") or "").startswith(kind)
        assert_protected(answer)

    def test_a_portal_that_is_silent_is_said_to_be(
        self, engine: EngineName, tmp_path: Path
    ) -> None:
        with portal_of(engine, tmp_path, Wire.rest, upstream_read_seconds=1) as (edge, _):
            answer = edge.ask(raw_request("/", *NAVIGATION, cookie=edge.log_in()))
        assert answer.status == 504

    @pytest.mark.parametrize(
        ("raw_answer", "by_nginx"),
        [
            (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n", 502),
            # Passed on as what came before HTTP/1.0, without a head, which no browser shows.
            (b"nonsense\r\n\r\n", None),
            # Framed anew by the one length that nginx believes; later versions refuse it.
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 200),
            (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nConnection: close\r\n\r\nabc", 200),
        ],
        ids=["NUL in a header", "no HTTP", "two lengths", "no number"],
    )
    def test_a_portal_that_answers_nonsense_is_not_believed(
        self, engine: EngineName, tmp_path: Path, raw_answer: bytes, by_nginx: int | None
    ) -> None:
        def answering(wire: Wire) -> None:
            wire.request()
            wire.send(raw_answer)

        with portal_of(engine, tmp_path, answering) as (edge, _), edge.wire() as wire:
            wire.send(raw_request("/", cookie=edge.log_in()))
            if engine == "embedded":
                assert wire.response().status == 502
            elif by_nginx is None:
                assert wire.until(b"\r\n\r\n") == raw_answer
            else:
                answer = wire.response()
                assert answer.status in (by_nginx, 502)
                assert len(answer.all("Content-Length")) <= 1

    @pytest.mark.parametrize(
        "raw_answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ],
        ids=["length", "chunks"],
    )
    def test_half_an_answer_does_not_look_whole(
        self, engine: EngineName, tmp_path: Path, raw_answer: bytes
    ) -> None:
        def answering(wire: Wire) -> None:
            wire.request()
            wire.send(raw_answer)

        with portal_of(engine, tmp_path, answering) as (edge, _), edge.wire() as wire:
            wire.send(raw_request("/", cookie=edge.log_in()))
            with pytest.raises((EOFError, ConnectionError)):
                wire.response()

    def test_half_a_request_does_not_look_whole(self, engine: EngineName, tmp_path: Path) -> None:
        with portal_of(engine, tmp_path, echo) as (edge, portal):
            with edge.wire() as wire:
                line = "Transfer-Encoding: chunked"
                raw = raw_request("/", line, method="POST", cookie=edge.log_in())
                wire.send(raw + b"3\r\nabc\r\n")
            time.sleep(0.1)
            assert not portal.all_received.endswith(b"0\r\n\r\n")

    def test_a_browser_that_goes_away_frees_the_portal(
        self, engine: EngineName, tmp_path: Path
    ) -> None:
        ended = threading.Event()

        def endless(wire: Wire) -> None:
            wire.request()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
            wire.rest()
            ended.set()

        with portal_of(engine, tmp_path, endless) as (edge, _):
            with edge.wire() as wire:
                wire.send(raw_request("/", EVENTS, cookie=edge.log_in()))
                wire.until(b"data: x")
            assert ended.wait(2)


class TestTheEndOfASession:
    """Ended anywhere is ended here: refused, and what is open is cut."""

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
                # nginx closes a connection after a thousand requests.
                time.sleep(0.002)
            assert time.monotonic() - ended_at < CUT_SECONDS

    def test_its_event_stream_is_cut(self, engine: EngineName, tmp_path: Path) -> None:
        ended = threading.Event()

        def events(wire: Wire) -> None:
            wire.request()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
            wire.rest()
            ended.set()

        with portal_of(engine, tmp_path, events) as (edge, _), edge.wire() as wire:
            cookie, other = edge.log_in(), edge.log_in()
            wire.send(raw_request("/events", EVENTS, cookie=cookie))
            wire.until(b"data: x\n\n")
            with edge.wire() as theirs:
                theirs.send(raw_request("/events", EVENTS, cookie=other))
                theirs.until(b"data: x\n\n")
                ended_at = end(edge, cookie)
                # No chunk of length nought: the browser sees that the stream was cut.
                assert wire.rest() in (b"", b"\r\n")
                assert time.monotonic() - ended_at < CUT_SECONDS
                assert ended.wait(1)
                # Another's stream goes on.
                assert theirs.is_silent(0.2)

    def test_its_websocket_is_cut(self, engine: EngineName, tmp_path: Path) -> None:
        ended = threading.Event()

        def sockets(wire: Wire) -> None:
            request = wire.request()
            wire.send(accepted(request.one("Sec-WebSocket-Key") or ""))
            # A frame of two letters: its head, the mask, and the letters under the mask.
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

        with portal_of(engine, tmp_path, sockets) as (edge, _):
            assert asyncio.run(main(edge)) < CUT_SECONDS
            assert ended.wait(1)


def accepted(key: str) -> bytes:
    """Return the answer that opens a WebSocket. Source: RFC 6455 §4.2.2."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


class TestEvents:
    """Server-sent events arrive one by one."""

    def test_each_event_arrives_before_the_next_is_made(
        self, engine: EngineName, tmp_path: Path
    ) -> None:
        seen = threading.Event()

        def events(wire: Wire) -> None:
            wire.request()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for number in range(3):
                wire.send(b"data: %d\n\n" % number)
                assert seen.wait(2)
                seen.clear()

        with portal_of(engine, tmp_path, events) as (edge, _), edge.wire() as wire:
            wire.send(raw_request("/events", EVENTS, cookie=edge.log_in()))
            assert b"text/event-stream" in wire.until(b"\r\n\r\n")
            for number in range(3):
                wire.until(b"data: %d\n\n" % number)
                seen.set()
