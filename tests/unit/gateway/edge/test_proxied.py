"""Connections of trusted proxies, through the engine itself: who is believed, and who is closed."""

import asyncio
import errno
import ipaddress
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from gateway.edge import proxied
from gateway.edge.proxied import ProxiedConnections
from gateway.settings import Settings
from tests.support.proxy_protocol import (
    LOCAL,
    PROXY,
    TCP4,
    UNIX,
    UNSPECIFIED,
    addition,
    binary_header,
    raw_header,
    text_header,
)
from tests.support.relay import (
    HOST,
    Message,
    RawServer,
    RunningRelay,
    echo,
    raw_request,
    relay_settings,
    running_relay,
)
from tests.support.server_certificate import ServerFiles, write_server_files

BROWSER, LIE = "192.0.2.7", "198.51.100.66"
HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ServerFiles:
    return write_server_files(tmp_path_factory.mktemp("tls"), HOST)


class Behind:
    """A relay that takes connections of proxies alone, and the portal that it asks."""

    def __init__(self, relay: RunningRelay, portal: RawServer) -> None:
        self.relay = relay
        self.portal = portal

    def ask(self, header: bytes, *fields: str) -> Message:
        with self.relay.wire() as wire:
            wire.send(header + raw_request("/", *fields, cookie=self.relay.log_in()))
            return wire.response()

    def answer_to(self, raw: bytes) -> bytes:
        with self.relay.wire() as wire:
            wire.send(raw)
            return wire.rest()


@contextmanager
def behind(folder: Path, *trusted: str, files: ServerFiles | None = None) -> Iterator[Behind]:
    portal = RawServer(echo)
    with portal.on_port() as upstream:
        settings: Settings = relay_settings(folder, upstream=upstream)
        own = {"trusted_proxies": trusted or (HERE,), "proxy_protocol": True}
        if files is not None:
            own |= {"tls_certificate": files.certificate, "tls_key": files.key}
        listen = settings.listen.model_copy(update=own)
        settings = settings.model_copy(update={"listen": listen})
        with running_relay(settings, folder / "none.sock") as relay:
            yield Behind(relay, portal)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Behind]:
    with behind(tmp_path) as found:
        yield found


def told(answer: Message) -> dict[str, str]:
    """Return what the portal was told, by the names in lower case."""
    assert answer.status == 200
    return {name.lower(): value for name, value in json.loads(answer.body)["fields"]}


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        pytest.param(text_header(BROWSER), BROWSER, id="version 1"),
        pytest.param(text_header("2001:db8::7"), "2001:db8::7", id="version 1, IPv6"),
        pytest.param(binary_header(BROWSER), BROWSER, id="version 2"),
        pytest.param(binary_header("2001:db8::7"), "2001:db8::7", id="version 2, IPv6"),
        pytest.param(binary_header("::ffff:192.0.2.7"), BROWSER, id="IPv4 in IPv6"),
        pytest.param(binary_header(BROWSER, addition(2, b"x" * 3000)), BROWSER, id="additions"),
    ],
)
def test_the_browser_that_a_proxy_names_is_the_peer(gate: Behind, header: bytes, peer: str) -> None:
    fields = told(gate.ask(header))
    assert fields["x-forwarded-for"] == peer


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-CPS-Client"])
def test_no_field_says_otherwise(gate: Behind, name: str) -> None:
    lie = f"for={LIE}" if name == "Forwarded" else LIE
    fields = told(gate.ask(text_header(BROWSER), f"{name}: {lie}"))
    assert fields["x-forwarded-for"] == BROWSER
    assert LIE not in str(fields)


@pytest.mark.parametrize("header", [text_header(BROWSER), binary_header(BROWSER)], ids=repr)
def test_a_header_may_come_in_pieces(gate: Behind, header: bytes) -> None:
    with gate.relay.wire() as wire:
        for place in range(len(header)):
            wire.send(header[place : place + 1])
            time.sleep(0.001)
        for _ in range(2):
            # All requests of the connection are the browser's.
            wire.send(raw_request("/", cookie=gate.relay.log_in()))
            assert told(wire.response())["x-forwarded-for"] == BROWSER


@pytest.mark.parametrize("header", [text_header(BROWSER), binary_header(BROWSER)], ids=repr)
def test_tls_follows_the_header_even_in_one_piece(
    tmp_path: Path, files: ServerFiles, header: bytes
) -> None:
    context = ssl.create_default_context(cafile=str(files.certificate))
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(coming, going, server_hostname=HOST)
    with behind(tmp_path, files=files) as gate:
        host, _, port = gate.relay.address.rpartition(":")
        with socket.create_connection((host, int(port)), 5) as connection:

            def exchange(first: bytes = b"") -> None:
                connection.sendall(first + going.read())
                coming.write(connection.recv(65536))

            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            exchange(header)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    exchange()
            tls.write(raw_request("/", cookie=gate.relay.log_in()))
            answer = b""
            while BROWSER.encode() not in answer:
                try:
                    answer += tls.read()
                except ssl.SSLWantReadError:
                    exchange()
            assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", id="TLS at once"),
        pytest.param(text_header(BROWSER).replace(b"\r\n", b"\n"), id="no CR"),
        pytest.param(text_header("192.0.2.7").replace(b".7 ", b".777 "), id="no address"),
        pytest.param(b"PROXY TCP4 " + b"1" * 100_000, id="without end"),
        pytest.param(raw_header(PROXY, TCP4, bytes(12), size=65_535), id="too long"),
        pytest.param(raw_header(PROXY, TCP4, bytes(11)), id="address cut off"),
        pytest.param(raw_header(0x2F, TCP4, bytes(12)), id="unknown command"),
        pytest.param(binary_header(BROWSER, b"\x01\x00\x09x"), id="addition cut off"),
    ],
)
def test_without_a_good_header_nothing_is_answered(
    gate: Behind, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    request = raw_request("/", f"X-Forwarded-For: {LIE}", cookie=gate.relay.log_in())
    assert gate.answer_to(raw + request) == b""
    assert gate.portal.received == []
    assert f"a connection is closed: proxy {HERE}: " in caplog.text
    assert LIE not in caplog.text


def test_a_second_header_is_no_request(gate: Behind) -> None:
    raw = text_header(BROWSER) + text_header(LIE) + raw_request("/", cookie=gate.relay.log_in())
    assert gate.answer_to(raw).startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert gate.portal.received == []


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(raw_header(LOCAL, UNSPECIFIED), id="local"),
        pytest.param(raw_header(PROXY, UNSPECIFIED), id="unspecified"),
        pytest.param(raw_header(PROXY, UNIX, bytes(216)), id="a Unix socket"),
        pytest.param(b"PROXY UNKNOWN\r\n", id="unknown"),
    ],
)
def test_a_connection_of_nobody_is_taken_and_lets_nobody_in(gate: Behind, header: bytes) -> None:
    assert gate.ask(header, f"X-Forwarded-For: {LIE}").status == 500
    assert gate.portal.received == []


def test_a_stranger_is_closed_whatever_it_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with behind(tmp_path, "10.0.0.1", "2001:db8::/64") as gate:
        for header in (b"", text_header("10.0.0.1"), binary_header(BROWSER)):
            request = raw_request("/", "X-Forwarded-For: 10.0.0.1", cookie=gate.relay.log_in())
            assert gate.answer_to(header + request) == b""
        assert gate.portal.received == []
    assert caplog.text.count(f"{HERE} is no trusted proxy") == 3


@pytest.mark.parametrize("begun", [b"", b"PROXY TCP4 ", binary_header(BROWSER)[:20]], ids=repr)
def test_a_slow_header_is_not_waited_for(
    tmp_path: Path, begun: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(proxied, "HEADER_SECONDS", 0.1)
    with behind(tmp_path) as gate:
        assert gate.answer_to(begun) == b""
    assert "no PROXY header within 0.1 s" in caplog.text


def test_a_proxy_that_only_looks_whether_we_listen_is_not_logged(
    gate: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    with gate.relay.wire():
        pass
    assert gate.ask(text_header(BROWSER)).status == 200
    assert "closed" not in caplog.text


def test_headers_that_never_end_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxied, "MAX_AWAITED", 1)
    with behind(tmp_path) as gate, gate.relay.wire() as first:
        first.send(text_header(BROWSER) + raw_request("/"))
        assert first.response().status == 401
        with gate.relay.wire() as second:
            second.send(b"PROXY ")
            for _ in range(3):
                assert gate.ask(text_header(BROWSER)).status == 200
            assert second.rest() == b""
        # Whose header is there is awaited no more.
        first.send(raw_request("/"))
        assert first.response().status == 401


def test_a_stop_ends_what_has_not_begun(tmp_path: Path) -> None:
    with behind(tmp_path) as gate, gate.relay.wire() as wire:
        wire.send(b"PROXY ")
        gate.ask(text_header(BROWSER))
        gate.relay.stop()
        assert wire.rest() == b""


class _Exhausted(socket.socket):
    """A socket that listens where the system has no descriptor left for a while."""

    refusals = 3

    def accept(self) -> tuple[socket.socket, object]:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def test_connections_wait_while_the_system_has_no_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(proxied, "_PAUSE_SECONDS", 0.01)
    assert asyncio.run(_first_served()) == BROWSER
    assert caplog.text.count("no connection can be taken") == 3


async def _first_served() -> str:
    async with _listening(_Exhausted()) as (connections, browser, served):
        browser.sendall(text_header(BROWSER))
        connections.start()
        return await served


def test_a_header_that_has_begun_is_waited_for_after_the_last_connection() -> None:
    assert asyncio.run(_begun_before_the_close()) == BROWSER


async def _begun_before_the_close() -> str:
    header = binary_header(BROWSER)
    async with _listening(socket.socket()) as (connections, browser, served):
        browser.sendall(header[:7])
        connections.start()
        while not connections.are_begun:
            await asyncio.sleep(0)
        connections.close()
        browser.sendall(header[7:])
        return await served


@asynccontextmanager
async def _listening(
    listening: socket.socket,
) -> AsyncIterator[tuple[ProxiedConnections, socket.socket, asyncio.Future[str]]]:
    """Give what takes connections, one to it, and the browser's address once that is served."""
    served: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(connection: socket.socket, peer: str) -> None:
        connection.close()
        served.set_result(peer)

    listening.bind((HERE, 0))
    listening.listen()
    connections = ProxiedConnections(listening, [ipaddress.ip_network(HERE)], serve)
    with socket.create_connection(listening.getsockname()) as browser:
        async with asyncio.timeout(5):
            yield connections, browser, served
    connections.close()
