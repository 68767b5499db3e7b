"""What belongs to the nginx engine alone: verdicts, their cache, what stands behind, HTTP/2.

V are attacks on verdicts, S3 the ones that come with HTTP/2.
"""

import json
import logging
import socket
import ssl
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from cps.authtoken.encoding import b64url_encode
from gateway.clock import system_clock
from gateway.edge.verdict import LET_IN_FIELD
from gateway.session.model import EndReason
from tests.support.engines import for_nginx, portal_and_engine, running_nginx
from tests.support.relay import (
    HOST,
    RawServer,
    RunningRelay,
    Wire,
    cookie_field,
    echo,
    fake_control_plane,
    raw_request,
    relay_settings,
    session_key,
)
from tests.support.server_certificate import write_server_files

EVENTS = "Accept: text/event-stream"
Handler = Callable[[Wire], object]


@contextmanager
def judged_by(folder: Path, verdict: Handler | None) -> Iterator[tuple[RunningRelay, RawServer]]:
    """Run nginx with the verdicts of a test, or nobody's."""
    portal, control = RawServer(echo), RawServer(fake_control_plane)
    with portal.on_port() as upstream, control.on_socket(folder / "control.sock") as control_socket:
        settings = for_nginx(relay_settings(folder, upstream=upstream))

        @contextmanager
        def running() -> Iterator[tuple[RunningRelay, RawServer]]:
            with running_nginx(settings, folder, control_socket, has_verdicts=False) as edge:
                yield edge, portal

        if verdict is None:
            with running() as found:
                yield found
        else:
            with RawServer(verdict).on_socket(folder / "verdict.sock"), running() as found:
                yield found


def saying(answer: bytes) -> Handler:
    def verdict(wire: Wire) -> None:
        while True:
            wire.request()
            wire.send(answer)

    return verdict


OPEN = f"{LET_IN_FIELD}: let-in\r\nX-CPS-Subject: somebody\r\n".encode()


def test_v2_only_a_whole_permission_lets_in(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + OPEN + b"Content-Length: 0\r\n\r\n"
    with judged_by(tmp_path, saying(answer)) as (edge, _):
        fields = dict(json.loads(edge.ask(raw_request("/", cookie=b"x" * 32)).body)["fields"])
    assert fields["X-CPS-Subject"] == "somebody"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", id="200 without the words"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-CPS-Verdict: let-in!\r\nContent-Length: 0\r\n\r\n",
                     id="other words"),
        pytest.param(b"HTTP/1.1 500 X\r\n" + OPEN + b"Content-Length: 0\r\n\r\n", id="500"),
        pytest.param(b"HTTP/1.1 302 X\r\n" + OPEN + b"Location: /\r\nContent-Length: 0\r\n\r\n",
                     id="302"),
        pytest.param(b"HTTP/1.1 503 X\r\n" + OPEN + b"Content-Length: 0\r\n\r\n", id="503"),
        pytest.param(b"HTTP/1.1 400 X\r\n" + OPEN + b"Content-Length: 0\r\n\r\n", id="400"),
        pytest.param(b"let-in\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + OPEN + b"X: \x00\r\n\r\n", id="NUL"),
        pytest.param(b"", id="nothing"),
    ],
)  # fmt: skip
def test_v2_no_other_answer_of_the_verdict_process_lets_in(tmp_path: Path, answer: bytes) -> None:
    def verdict(wire: Wire) -> None:
        wire.request()
        wire.send(answer)

    with judged_by(tmp_path, verdict) as (edge, portal):
        found = edge.ask(raw_request("/", cookie=b"x" * 32))
        assert found.status in (502, 503)
        assert json.loads(found.body)["status"] == found.status
        assert portal.all_received == b""


def test_v2_a_verdict_process_that_is_away_lets_nobody_in(tmp_path: Path) -> None:
    with judged_by(tmp_path, None) as (edge, portal):
        assert edge.ask(raw_request("/", cookie=b"x" * 32)).status == 503
        # Without a cookie nobody has to be asked.
        assert edge.ask(raw_request("/")).status == 401
        assert portal.all_received == b""


def test_v2_a_verdict_process_that_is_silent_lets_nobody_in(tmp_path: Path) -> None:
    with judged_by(tmp_path, Wire.rest) as (edge, portal):
        began = time.monotonic()
        assert edge.ask(raw_request("/", cookie=b"x" * 32)).status == 503
        assert time.monotonic() - began < 5
        assert portal.all_received == b""


def test_v2_the_verdict_process_is_told_nothing_but_the_session(tmp_path: Path) -> None:
    asked: list[str] = []

    def verdict(wire: Wire) -> None:
        message = wire.request()
        asked.append(message.first)
        asked.extend(f"{name}: {value}" for name, value in message.fields)
        wire.send(b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")

    with judged_by(tmp_path, verdict) as (edge, _):
        edge.ask(raw_request("/secret?x=1", "X-CPS-Session: evil", "X: y", cookie=b"x" * 32))
    assert asked == [
        "GET /portal HTTP/1.1",
        "Host: verdict",
        f"x-cps-session: {b64url_encode(b'x' * 32)}",
        "x-cps-door: program",
    ]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where there is such a place."""
    place = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    if not place.is_dir():
        pytest.skip("no /dev/shm on this machine")
    with tempfile.TemporaryDirectory(prefix="cps-", dir=place) as name:
        yield Path(name)


@contextmanager
def keeping_verdicts(folder: Path) -> Iterator[tuple[RunningRelay, RawServer, Path]]:
    portal = RawServer(echo)
    edge = {"verdict_cache_seconds": 5}
    with portal_and_engine("nginx", folder, portal, edge=edge) as running:
        yield running, portal, folder / "nginx" / "verdicts"


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_v1_a_kept_verdict_is_closed_to_others_and_found_by_its_name(memory: Path) -> None:
    with keeping_verdicts(memory) as (edge, _, verdicts):
        cookie = edge.log_in()
        assert edge.ask(raw_request("/", cookie=cookie)).status == 200
        (file,) = files_in(verdicts)
        assert stat.S_IMODE(verdicts.stat().st_mode) == 0o700
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert f"portal.example|portal|{b64url_encode(cookie)}".encode() in file.read_bytes()


def test_v1_a_kept_verdict_goes_with_its_session(memory: Path) -> None:
    with keeping_verdicts(memory) as (edge, portal, verdicts):
        cookie, other = edge.log_in(), edge.log_in()
        # Asked often enough for each process of nginx to have the files open.
        for each in (cookie, other) * 10:
            assert edge.ask(raw_request("/", cookie=each)).status == 200
        assert len(files_in(verdicts)) == 2
        edge.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
        ended_at = time.monotonic()
        while edge.ask(raw_request("/", cookie=cookie)).status != 401:
            time.sleep(0.005)
        # Far less than the five seconds for which nginx would keep it.
        assert time.monotonic() - ended_at < 0.5
        assert len(files_in(verdicts)) == 1
        portal.forget()
        for _ in range(20):
            assert edge.ask(raw_request("/", cookie=cookie)).status == 401
        assert portal.all_received == b""
        assert edge.ask(raw_request("/", cookie=other)).status == 200


def test_v1_no_refusal_is_kept(memory: Path) -> None:
    with keeping_verdicts(memory) as (edge, _, verdicts):
        cookie = edge.log_in()
        # Its first use comes before its session is known, as in a race at login.
        stranger = raw_request("/", cookie=b"y" * 32)
        assert edge.ask(stranger).status == 401
        assert edge.ask(stranger).status == 401
        assert files_in(verdicts) == []
        assert edge.ask(raw_request("/", cookie=cookie)).status == 200


def test_v1_a_kept_verdict_is_nobody_elses(memory: Path) -> None:
    with keeping_verdicts(memory) as (edge, portal, _):
        cookie = edge.log_in()
        assert edge.ask(raw_request("/", cookie=cookie)).status == 200
        portal.forget()
        value = b64url_encode(cookie)
        for other in (value[:-1] + "!", value.swapcase(), value[:-1], value + "A"):
            answer = edge.ask(raw_request("/", f"Cookie: __Host-cps-session={other}"))
            assert answer.status == 401
        assert edge.ask(raw_request("/", cookie=cookie, host="other.example")).status == 421
        assert portal.all_received == b""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    settings = {"relayed_paths": ["/exports/"], "passed_fields": ["X-Tenant"]}
    folder = tmp_path_factory.mktemp("edge")
    with portal_and_engine("nginx", folder, RawServer(echo), edge=settings) as running:
        yield running


def test_a_header_that_nobody_named_stays_behind(edge: RunningRelay) -> None:
    raw = raw_request("/", "X-Tenant: a", "X-Unknown: b", cookie=edge.log_in())
    fields = dict(json.loads(edge.ask(raw).body)["fields"])
    assert fields["X-Tenant"] == "a"
    assert "X-Unknown" not in fields


def test_what_the_relay_passes_has_the_true_client_and_identity(edge: RunningRelay) -> None:
    spoofed = ("X-CPS-Client: 6.6.6.6", "X-CPS-Subject: evil", "X-Forwarded-For: 6.6.6.6")
    raw = raw_request("/events", EVENTS, *spoofed, cookie=edge.log_in())
    fields = json.loads(edge.ask(raw).body)["fields"]
    assert ["X-Forwarded-For", "127.0.0.1"] in fields
    assert ["X-CPS-Subject", "899900000013"] in fields
    assert not [value for _, value in fields if value in ("evil", "6.6.6.6")]
    assert "X-CPS-Client" not in dict(fields)


@pytest.mark.parametrize(
    "target", ["/exports/2026.csv", "/%65xports/2026.csv", "/exports/%C3%A9t%C3%A9?x=1"]
)
def test_a_named_path_is_cut_when_its_session_ends(tmp_path: Path, target: str) -> None:
    def download(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        wire.rest()

    named = {"relayed_paths": ["/exports/"]}
    with (
        portal_and_engine("nginx", tmp_path, RawServer(download), edge=named) as running,
        running.wire() as wire,
    ):
        cookie = running.log_in()
        wire.send(raw_request(target, cookie=cookie))
        wire.until(b"abc")
        running.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
        began = time.monotonic()
        wire.rest()
        assert time.monotonic() - began < 0.5


def test_a_request_under_way_on_another_path_may_end(tmp_path: Path) -> None:
    """A difference to the relay, which cuts everything: see docs/reference/engines.md."""
    may_end = threading.Event()

    def slow(wire: Wire) -> None:
        wire.request()
        assert may_end.wait(2)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with portal_and_engine("nginx", tmp_path, RawServer(slow)) as running, running.wire() as wire:
        cookie = running.log_in()
        wire.send(raw_request("/report", cookie=cookie))
        time.sleep(0.05)
        running.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
        time.sleep(0.2)
        may_end.set()
        assert wire.response().status == 200


def test_the_log_tells_refusals_without_what_was_asked(
    edge: RunningRelay, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = edge.log_in()
    with caplog.at_level(logging.DEBUG, "gateway.edge"):
        answer = edge.ask(raw_request("//x?code=ONE-TIME", "X: SECRET", cookie=cookie))
        incident = json.loads(answer.body)["ref"]
        deadline = time.monotonic() + 2
        while incident not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert f"400 to 127.0.0.1: target with two readings [{incident}]" in caplog.messages
    assert "ONE-TIME" not in caplog.text
    assert "SECRET" not in caplog.text
    assert cookie_field(cookie) not in caplog.text


@pytest.mark.parametrize(
    "raw",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 40 + b"\r\n\r\n"],
    ids=["nonsense", "bad header", "TLS to a plain port"],
)  # fmt: skip
def test_what_is_no_request_is_refused(edge: RunningRelay, raw: bytes) -> None:
    with edge.wire() as wire:
        wire.send(raw)
        answer = wire.rest()
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b'"error": "request_malformed"' in answer


def test_a_request_without_a_version_gets_a_body_without_a_head(edge: RunningRelay) -> None:
    with edge.wire() as wire:
        wire.send(b"GET /\r\n\r\n")
        assert json.loads(wire.rest())["error"] == "request_malformed"


def test_bare_line_feeds_are_framed_anew(edge: RunningRelay) -> None:
    raw = raw_request("/", "Accept: x", cookie=edge.log_in()).replace(b"\r\n", b"\n")
    answer = edge.ask(raw)
    assert answer.status == 200
    assert json.loads(answer.body)["first"] == "GET / HTTP/1.1"


def test_a_slow_head_is_given_up(edge: RunningRelay) -> None:
    with edge.wire() as slow:
        slow.send(b"GET / HTTP/1.1\r\n")
        # Others are served meanwhile.
        for _ in range(20):
            assert edge.ask(raw_request("/", cookie=edge.log_in())).status == 200


# ----- HTTP/2


class HTTP2:
    """A client that sends what no browser would."""

    def __init__(self, address: str, *, name: str = HOST) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        host, _, port = address.rpartition(":")
        raw = socket.create_connection((host, int(port)), 5)
        self.socket = context.wrap_socket(raw, server_hostname=name)
        assert self.socket.selected_alpn_protocol() == "h2"
        config = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()

    def ask(
        self,
        fields: list[tuple[str, str]],
        body: bytes | None = None,
        trailers: list[tuple[str, str]] | None = None,
    ) -> tuple[int, bytes]:
        """Return status and body; status 0 where stream or connection is refused."""
        self.connection.send_headers(1, fields, end_stream=body is None)
        if body is not None:
            self.connection.send_data(1, body, end_stream=trailers is None)
            if trailers is not None:
                self.connection.send_headers(1, trailers, end_stream=True)
        self.socket.sendall(self.connection.data_to_send())
        status, content = 0, b""
        while data := self.socket.recv(65536):
            for event in self.connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, h2.events.DataReceived):
                    content += event.data
                elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                    return 0, content
                elif isinstance(event, h2.events.StreamEnded):
                    return status, content
        return 0, content


class Secure:
    """nginx with TLS before a portal that echoes."""

    def __init__(self, edge: RunningRelay, portal: RawServer) -> None:
        self.edge = edge
        self.portal = portal
        self.cookie = cookie_field(edge.log_in())

    def ask(
        self,
        *further: tuple[str, str],
        path: str = "/",
        method: str = "GET",
        authority: str = HOST,
        body: bytes | None = None,
    ) -> tuple[int, bytes]:
        self.portal.forget()
        client = HTTP2(self.edge.address)
        with client.socket:
            head = [
                (":method", method), (":path", path), (":scheme", "https"),
                (":authority", authority), ("cookie", self.cookie), *further,
            ]  # fmt: skip
            return client.ask(head, body)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    files = write_server_files(folder, HOST)
    portal, control = RawServer(echo), RawServer(fake_control_plane)
    with portal.on_port() as upstream, control.on_socket(folder / "control.sock") as control_socket:
        settings = for_nginx(relay_settings(folder, upstream=upstream))
        listen = settings.listen.model_copy(
            update={"tls_certificate": files.certificate, "tls_key": files.key}
        )
        settings = settings.model_copy(update={"listen": listen})
        with running_nginx(settings, folder, control_socket) as running:
            yield Secure(running, portal)


def test_s3_a_request_of_http_2_reaches_the_portal_as_http_1_1(secure: Secure) -> None:
    status, content = secure.ask(
        ("x-requested-with", "x"), path="/a?b=c", method="POST", body=b"abc"
    )
    assert status == 200
    echoed = json.loads(content)
    assert (echoed["first"], echoed["body"]) == ("POST /a?b=c HTTP/1.1", "abc")
    fields = dict(echoed["fields"])
    assert fields["Host"] == HOST
    assert fields["X-CPS-Subject"] == "899900000013"
    assert "__Host-cps" not in content.decode()


@pytest.mark.parametrize(
    "path",
    ["/a b", "/a\r\nX-CPS-Subject: evil", "/a\nb", "//x", "/../x", "/a;b", "x", "", "*",
     "http://portal.example/", "/a#b", "/%2e%2e/", "/a\\b", "/_cps/internal/verdict",
     "/a HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled"],
    ids=ascii,
)  # fmt: skip
def test_s3_a_path_with_two_readings_is_refused(secure: Secure, path: str) -> None:
    status, _ = secure.ask(path=path)
    assert status in (0, 400, 404)
    assert secure.portal.all_received == b""


@pytest.mark.parametrize(
    "field",
    [
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("x-a", "b\r\nx-cps-subject: evil"),
        ("x-a\r\nx-cps-subject", "evil"),
        ("accept", "a\x01b"),
        ("X-CPS-Subject", "evil"),
        ("x-cps-subject ", "evil"),
        ("x_cps_subject", "evil"),
        ("x-cps-subject", "evil"),
        ("upgrade", "h2c"),
        ("host", "evil.example"),
        (":authority", "evil.example"),
        (":path", "/evil"),
        ("content-length", "0"),
    ],
    ids=ascii,
)
def test_s3_a_header_that_http_1_1_reads_otherwise_changes_nothing(
    secure: Secure, field: tuple[str, str]
) -> None:
    status, _ = secure.ask(field, method="POST", body=b"GET /smuggled HTTP/1.1\r\n\r\n")
    received = secure.portal.all_received
    assert status in (0, 200, 400, 421)
    assert b"evil" not in received
    assert b"\r\nGET /smuggled" not in received.partition(b"\r\n\r\n")[0]
    heads = received.count(b" HTTP/1.1\r\nHost: ")
    assert heads <= 1


@pytest.mark.parametrize("length", ["2", "99"])
def test_s3_a_length_that_is_not_the_bodys_is_refused(secure: Secure, length: str) -> None:
    status, _ = secure.ask(("content-length", length), method="POST", body=b"abcdef")
    assert status in (0, 400)
    assert not secure.portal.all_received.endswith(b"abcdef")


@pytest.mark.parametrize("authority", ["evil.example", "portal.example:444", "", "PORTAL.EXAMPLE"])
def test_s3_another_authority_is_refused(secure: Secure, authority: str) -> None:
    status, _ = secure.ask(authority=authority)
    assert status in (0, 400, 421)
    assert secure.portal.all_received == b""


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "G ET", "GET\r\n"])
def test_s3_other_methods_are_refused(secure: Secure, method: str) -> None:
    status, _ = secure.ask(method=method)
    assert status in (0, 400, 405)
    assert secure.portal.all_received == b""


def test_s3_cookies_in_pieces_are_one_header(secure: Secure) -> None:
    status, content = secure.ask(("cookie", "a=1"), ("cookie", "b=2"))
    assert status == 200
    assert dict(json.loads(content)["fields"])["Cookie"] == "a=1; b=2"
    status, _ = secure.ask(("cookie", secure.cookie))
    assert status == 400


def test_s3_plain_http_1_1_over_tls_works_too(secure: Secure) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with secure.edge.wire(context) as wire:
        wire.send(raw_request("/", f"Cookie: {secure.cookie}"))
        assert wire.response().status == 200


def test_plain_http_to_the_tls_port_is_refused(secure: Secure) -> None:
    with secure.edge.wire() as wire:
        wire.send(raw_request("/"))
        assert wire.response().status == 400


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_before_1_2_is_refused(secure: Secure) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        secure.edge.wire(context)
