"""The engine: its server, its TLS and its limits."""

import asyncio
import resource
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import uvloop
from aiohttp import http_parser
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.clock import system_clock
from gateway.edge import embedded
from gateway.edge.embedded import EmbeddedEngine, require_safe_parser
from gateway.edge.relay import create_relay
from gateway.edge.tls import tls_context
from gateway.errors import ConfigurationError
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from gateway.settings import ListenSettings, Settings
from tests.support.relay import (
    HOST,
    FakeSigner,
    RawServer,
    Wire,
    echo,
    portal_and_relay,
    raw_request,
    relay_settings,
    running_relay,
    session_key,
)
from tests.support.server_certificate import write_server_files


@pytest.fixture(scope="module")
def listen(tmp_path_factory: pytest.TempPathFactory) -> ListenSettings:
    """Settings with a certificate of the portal's name and its key."""
    files = write_server_files(tmp_path_factory.mktemp("tls"), HOST)
    return ListenSettings(tls_certificate=files.certificate, tls_key=files.key).model_copy(
        update={"port": 0}
    )


def test_the_compiled_parser_is_there() -> None:
    require_safe_parser()


def test_the_other_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(ConfigurationError, match="compiled HTTP parser"):
        require_safe_parser()


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls_context(ListenSettings()) is None


def test_a_portal_is_served_over_tls(tmp_path: Path, listen: ListenSettings) -> None:
    portal = RawServer(echo)
    client = ssl.create_default_context(cafile=str(listen.tls_certificate))
    with portal.on_port() as upstream:
        settings = relay_settings(tmp_path, upstream=upstream)
        settings = settings.model_copy(update={"listen": listen})
        with (
            running_relay(settings, tmp_path / "none.sock") as relay,
            relay.wire(client) as wire,
        ):
            wire.send(raw_request("/", cookie=relay.log_in()))
            assert wire.response().status == 200


def test_logout_cuts_a_stream_over_tls(tmp_path: Path, listen: ListenSettings) -> None:
    def endless(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
        wire.rest()

    portal = RawServer(endless)
    client = ssl.create_default_context(cafile=str(listen.tls_certificate))
    with portal.on_port() as upstream:
        settings = relay_settings(tmp_path, upstream=upstream)
        settings = settings.model_copy(update={"listen": listen})
        with (
            running_relay(settings, tmp_path / "none.sock") as relay,
            relay.wire(client) as wire,
        ):
            cookie = relay.log_in()
            wire.send(raw_request("/", cookie=cookie))
            wire.until(b"data: x\n\n")
            relay.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
            with pytest.raises(EOFError):
                wire.until(b"more")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_tls_before_1_2_is_refused(
    tmp_path: Path, listen: ListenSettings, version: ssl.TLSVersion
) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = version
    settings = relay_settings(tmp_path, upstream="http://127.0.0.1:9")
    settings = settings.model_copy(update={"listen": listen})
    with running_relay(settings, tmp_path / "none.sock") as relay:
        if version < ssl.TLSVersion.TLSv1_2:
            with pytest.raises(ssl.SSLError):
                Wire.open(relay.address, client)
        else:
            with relay.wire(client) as wire:
                wire.send(raw_request("/"))
                assert wire.response().status == 401


def test_a_key_that_does_not_fit_is_named(listen: ListenSettings, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(ConfigurationError) as caught:
        tls_context(listen.model_copy(update={"tls_key": other}))
    assert caught.value.key == "listen.tls_certificate"


def test_a_locked_key_is_an_error_and_no_prompt(listen: ListenSettings) -> None:
    assert listen.tls_key is not None
    locked = listen.tls_key.with_name("locked.pem")
    with pytest.raises(ConfigurationError):
        tls_context(listen.model_copy(update={"tls_key": locked}))


def test_a_browser_that_sends_no_request_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "IDLE_SECONDS", 0.1)
    with portal_and_relay(tmp_path, RawServer(echo)) as relay:
        for begun in (b"", b"GET / HTTP/1.1\r\nHost: portal"):
            with relay.wire() as wire:
                wire.send(begun)
                assert wire.rest() == b""


def test_connections_that_only_wait_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_CONNECTIONS", 3)
    with portal_and_relay(tmp_path, RawServer(echo)) as relay, ExitStack() as stack:
        first, second, third = (stack.enter_context(relay.wire()) for _ in range(3))
        second.send(b"GET / HTTP/1.1\r\nHo")
        # The second never asks; the first asks last, and so waits behind the third.
        for wire in (third, first):
            wire.send(raw_request("/"))
            assert wire.response().status == 401
        for _ in range(20):
            assert relay.ask(raw_request("/")).status == 401
        assert second.rest() == b""
        fourth, fifth = (stack.enter_context(relay.wire()) for _ in range(2))
        assert third.rest() == b""
        for wire in (first, fourth, fifth):
            wire.send(raw_request("/"))
            assert wire.response().status == 401


def test_connections_in_use_are_kept_and_those_past_the_limit_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_CONNECTIONS", 2)
    done = threading.Event()

    def slow(wire: Wire) -> None:
        wire.request()
        done.wait(5)
        wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    portal = RawServer(slow)
    with portal_and_relay(tmp_path, portal) as relay, relay.wire() as one, relay.wire() as two:
        for wire in (one, two):
            wire.send(raw_request("/", cookie=relay.log_in()))
        while len(portal.received) < 2:
            time.sleep(0.01)
        with relay.wire() as third:
            assert third.rest() == b""
        done.set()
        assert [wire.response().status for wire in (one, two)] == [204, 204]


def test_connections_are_fewer_than_the_files_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1256, 4096))
    assert embedded._connections_allowed() == 500


def test_stopping_lets_an_answer_end(tmp_path: Path) -> None:
    stopping = threading.Event()

    def slow(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        stopping.wait(2)
        wire.send(b"b")

    with portal_and_relay(tmp_path, RawServer(slow)) as relay, relay.wire() as wire:
        wire.send(raw_request("/", cookie=relay.log_in()))
        wire.until(b"\r\n\r\na")
        relay.stop()
        stopping.set()
        assert wire.rest() == b"b"


def test_stopping_cuts_an_answer_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.1)

    def endless(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
        wire.rest()

    began = time.monotonic()
    with portal_and_relay(tmp_path, RawServer(endless)) as relay, relay.wire() as wire:
        wire.send(raw_request("/", cookie=relay.log_in()))
        wire.until(b"data: x\n\n")
        relay.stop()
        wire.rest()
    assert time.monotonic() - began < 1


def test_a_handshake_that_ends_after_the_stop_gets_no_answer(
    tmp_path: Path, listen: ListenSettings
) -> None:
    client = ssl.create_default_context(cafile=str(listen.tls_certificate))
    answers: list[bytes] = []

    def ask_late(connection: socket.socket) -> None:
        with suppress(OSError), client.wrap_socket(connection, server_hostname=HOST) as late:
            late.sendall(raw_request("/", cookie=b"x" * 32))
            answers.append(late.recv(100))

    async def run(settings: Settings) -> None:
        relay = create_relay(
            settings=settings,
            clock=system_clock,
            sessions=MemorySessionStore(settings.session),
            signer=FakeSigner(),
            control_socket=tmp_path / "none.sock",
        )
        engine = EmbeddedEngine(relay, listen=settings.listen, limits=settings.limits)
        await engine.start()
        host, _, port = engine.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            # Until it is accepted.
            await asyncio.sleep(0.1)
            await engine.stop()
            await asyncio.to_thread(ask_late, connection)

    settings = relay_settings(tmp_path, upstream="http://127.0.0.1:9")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings.model_copy(update={"listen": listen})))
    assert b"".join(answers) == b""
