"""WebSockets through the relay, with aiohttp's own client and server at the ends."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from gateway.clock import system_clock
from gateway.edge import websocket
from gateway.session.model import EndReason
from tests.support.relay import (
    HOST,
    ORIGIN,
    RawServer,
    RunningRelay,
    Wire,
    cookie_field,
    fake_control_plane,
    raw_request,
    relay_settings,
    running_relay,
    session_key,
)

Handler = Callable[[web.BaseRequest, web.WebSocketResponse], Awaitable[None]]
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def _echo(request: web.BaseRequest, socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)


@contextmanager
def _portal(handler: Handler) -> Iterator[str]:
    """Run a portal of WebSockets in a thread and give its address."""
    started: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("second",))
        await socket.prepare(request)
        await handler(request, socket)
        return socket

    async def main() -> None:
        stop = asyncio.Event()
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        started.append((site.port, asyncio.get_running_loop(), stop))
        ready.set()
        await stop.wait()
        await runner.shutdown()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(5)
    port, loop, stop = started[0]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@contextmanager
def _relay(folder: Path, handler: Handler) -> Iterator[RunningRelay]:
    control = RawServer(fake_control_plane)
    with (
        _portal(handler) as upstream,
        control.on_socket(folder / "control.sock") as control_socket,
        running_relay(relay_settings(folder, upstream=upstream), control_socket) as relay,
    ):
        yield relay


@asynccontextmanager
async def _opened(
    relay: RunningRelay, cookie: bytes, **options: object
) -> AsyncIterator["aiohttp.ClientWebSocketResponse[bool]"]:
    headers = {"Host": HOST, "Origin": ORIGIN, "Cookie": cookie_field(cookie)}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.ws_connect(
            f"http://{relay.address}/socket", headers=headers, protocols=("first", "second")
        ) as socket,
    ):
        yield socket


def test_messages_pass_both_ways_as_they_are(tmp_path: Path) -> None:
    async def main(relay: RunningRelay) -> None:
        async with _opened(relay, relay.log_in()) as socket:
            assert socket.protocol == "second"
            await socket.send_str("é")
            assert (await socket.receive()).data == "é"
            await socket.send_bytes(b"\x00\xff" * 100_000)
            assert (await socket.receive()).data == b"\x00\xff" * 100_000

    with _relay(tmp_path, _echo) as relay:
        asyncio.run(main(relay))


def test_the_portal_learns_who_opens_the_socket(tmp_path: Path) -> None:
    async def tell(request: web.BaseRequest, socket: web.WebSocketResponse) -> None:
        await socket.send_json({name.lower(): value for name, value in request.headers.items()})

    async def main(relay: RunningRelay) -> None:
        async with _opened(relay, relay.log_in()) as socket:
            fields = await socket.receive_json()
            assert fields["x-cps-subject"] == "899900000013"
            assert fields["host"] == HOST
            assert fields["origin"] == ORIGIN
            assert "cookie" not in fields

    with _relay(tmp_path, tell) as relay:
        asyncio.run(main(relay))


def test_the_portals_farewell_reaches_the_browser(tmp_path: Path) -> None:
    async def leave(request: web.BaseRequest, socket: web.WebSocketResponse) -> None:
        await socket.close(code=4321, message=b"done")

    async def main(relay: RunningRelay) -> None:
        async with _opened(relay, relay.log_in()) as socket:
            message = await socket.receive()
            assert message.type == WSMsgType.CLOSE
            assert (message.data, message.extra) == (4321, "done")

    with _relay(tmp_path, leave) as relay:
        asyncio.run(main(relay))


def test_the_browsers_farewell_reaches_the_portal(tmp_path: Path) -> None:
    codes: list[int | None] = []
    closed = threading.Event()

    async def wait(request: web.BaseRequest, socket: web.WebSocketResponse) -> None:
        await socket.receive()
        codes.append(socket.close_code)
        closed.set()

    async def main(relay: RunningRelay) -> None:
        async with _opened(relay, relay.log_in()) as socket:
            await socket.close(code=4321)

    with _relay(tmp_path, wait) as relay:
        asyncio.run(main(relay))
        assert closed.wait(2)
    assert codes == [4321]


def test_logout_cuts_a_socket(tmp_path: Path) -> None:
    async def main(relay: RunningRelay) -> None:
        cookie = relay.log_in()
        async with _opened(relay, cookie) as socket:
            await socket.send_str("a")
            await socket.receive()
            relay.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
            async with asyncio.timeout(1):
                message = await socket.receive()
            assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
            assert socket.close_code == 1006

    ended = threading.Event()

    async def echo_to_the_end(request: web.BaseRequest, socket: web.WebSocketResponse) -> None:
        with suppress(ConnectionError):
            await _echo(request, socket)
        ended.set()

    with _relay(tmp_path, echo_to_the_end) as relay:
        asyncio.run(main(relay))
        assert ended.wait(2)


def test_too_large_a_message_ends_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1000)

    async def main(relay: RunningRelay) -> None:
        async with _opened(relay, relay.log_in()) as socket:
            await socket.send_bytes(b"x" * 2000)
            message = await socket.receive()
            assert message.type == WSMsgType.CLOSE
            assert message.data == 1009

    with _relay(tmp_path, _echo) as relay:
        asyncio.run(main(relay))


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (("Origin: https://evil.example",), 403),
        (("Origin: null",), 403),
        ((), 403),
        ((f"Origin: {ORIGIN}", "Origin: https://evil.example"), 403),
        ((f"Origin: {ORIGIN}",), 101),
    ],
    ids=["other", "null", "none", "two", "own"],
)
def test_only_the_portals_own_pages_open_sockets(
    tmp_path: Path, origin: tuple[str, ...], status: int
) -> None:
    with _relay(tmp_path, _echo) as relay, relay.wire() as wire:
        wire.send(raw_request("/socket", *HANDSHAKE, *origin, cookie=relay.log_in()))
        assert wire.until(b"\r\n").startswith(b"HTTP/1.1 %d " % status)


def test_nobody_opens_a_socket_without_a_session(tmp_path: Path) -> None:
    with _relay(tmp_path, _echo) as relay:
        answer = relay.ask(raw_request("/socket", *HANDSHAKE, f"Origin: {ORIGIN}"))
    assert answer.status == 401


def test_the_control_plane_has_no_sockets(tmp_path: Path) -> None:
    with _relay(tmp_path, _echo) as relay:
        answer = relay.ask(raw_request("/_cps/login", *HANDSHAKE, f"Origin: {ORIGIN}"))
    assert answer.status == 400


def test_a_portal_that_opens_no_socket_is_said_to(tmp_path: Path) -> None:
    def refuse(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    portal, control = RawServer(refuse), RawServer(fake_control_plane)
    with (
        portal.on_port() as upstream,
        control.on_socket(tmp_path / "control.sock") as control_socket,
        running_relay(relay_settings(tmp_path, upstream=upstream), control_socket) as relay,
    ):
        raw = raw_request("/", *HANDSHAKE, f"Origin: {ORIGIN}", cookie=relay.log_in())
        assert relay.ask(raw).status == 502
