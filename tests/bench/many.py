"""What many connections cost, and whether others are served meanwhile.

``python -m tests.bench.many``: open WebSockets, connections that say nothing, and heads that never
end; as many of each as the open files allow, up to ten thousand.
"""

import asyncio
import base64
import hashlib
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from time import perf_counter

from gateway.clock import system_clock
from gateway.session.model import EndReason, SessionStore
from gateway.settings import Settings
from gateway.stores import open_stores
from tests.bench.load import load
from tests.bench.servers import NGINX, memory_megabytes
from tests.support.logins import DOCTOR, agent_key
from tests.support.relay import cookie_field, session_key
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

WANTED = 10_000
AT_ONCE = 50
"""Connections that are being opened at a time."""
SECONDS = 2
PATIENCE = 30
PAUSE = 3
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = base64.b64encode(b"k" * 16)

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def main() -> None:
    """Print memory for each connection, and what other people wait meanwhile, for each engine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"Many connections ({hard} open files allowed), and what others get meanwhile")
    try:
        for engine in ("embedded", "nginx"):
            if engine == "nginx" and NGINX is None:
                print(f"  {engine:9} skipped: no nginx on this machine")
                continue
            with _gateway(engine) as (gateway, port, sessions):
                # The edge has two files for each WebSocket, and each worker of nginx too, of which
                # one may get many more than the other.
                count = min(WANTED, hard // (2 if engine == "embedded" else 4) - 512)
                asyncio.run(_measure(engine, gateway, port, sessions, count))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _measure(
    engine: str, gateway: ServedGateway, port: int, sessions: SessionStore, count: int
) -> None:
    cookie = sessions.create(DOCTOR, agent_key(), now=system_clock())
    victim = sessions.create(DOCTOR, agent_key(), now=system_clock())
    await _others(port, cookie)
    idle = _memory(gateway)
    print(f"  {engine:9} {'nobody':12} {idle:6.0f} MB   others {await _others(port, cookie)}")
    for name, sent in (
        ("silent", b""),
        ("endless heads", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "),
        ("WebSockets", _handshake(port, victim)),
    ):
        before = _memory(gateway)
        opened = await _open(port, count, sent, answers=name == "WebSockets")
        used = _memory(gateway) - before
        others = await _others(port, cookie)
        line = f"{count} of {used / count * 1e3:4.1f} kB   others {others}"
        if name == "WebSockets":
            began = perf_counter()
            sessions.end(session_key(victim), EndReason.LOGOUT, now=system_clock())
            await asyncio.wait_for(
                asyncio.gather(*(_ended(reader) for reader, _ in opened)), PATIENCE
            )
            line += f"   all cut {perf_counter() - began:.2f} s after the session's end"
        print(f"  {engine:9} {name:12} {before + used:6.0f} MB   {line}")
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.sleep(PAUSE)


async def _open(port: int, count: int, sent: bytes, *, answers: bool) -> list[Connection]:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one() -> Connection:
        async with turn:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
            writer.write(sent)
            if answers:
                head = await reader.readuntil(b"\r\n\r\n")
                assert b" 101 " in head, head
            return reader, writer

    return await asyncio.gather(*(one() for _ in range(count)))


async def _ended(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        return


async def _others(port: int, cookie: bytes) -> str:
    """Return what somebody else's requests take now."""
    found = await asyncio.to_thread(
        load,
        f"http://localhost:{port}/",
        {"Cookie": cookie_field(cookie)},
        seconds=SECONDS,
        connections=8,
    )
    return f"{found.rate:5.0f}/s, p99 {found.p99 * 1e3:5.1f} ms"


def _memory(gateway: ServedGateway) -> float:
    return sum(memory_megabytes(gateway.child(name)) for name in gateway.children)


def _handshake(port: int, cookie: bytes) -> bytes:
    return (
        b"GET /socket HTTP/1.1\r\nHost: localhost:%d\r\nOrigin: http://localhost:%d\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: %s\r\nCookie: %s\r\n\r\n"
    ) % (port, port, _KEY, cookie_field(cookie).encode())


@contextmanager
def _gateway(engine: str) -> Iterator[tuple[ServedGateway, int, SessionStore]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cps-")))
        port, behind = free_port(), free_port()
        portal = stack.enter_context(
            Popen([sys.executable, "-m", "tests.bench.many", str(behind)], stdout=PIPE)
        )
        stack.callback(portal.terminate)
        assert portal.stdout is not None
        portal.stdout.readline()
        limits = "[limits]\nupstream_connect_seconds = 30\n"
        more = f'[edge]\nengine = "{engine}"\n{limits}'
        file = write_settings(folder, upstream=f"http://127.0.0.1:{behind}", port=port, more=more)
        gateway = stack.enter_context(served_gateway(file, port))
        stores = open_stores(Settings.load(file))
        stack.callback(stores.close)
        yield gateway, port, stores.sessions


async def _portal(port: int) -> None:
    """Open each WebSocket that is asked for and say nothing on it; answer all else shortly."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                if b"upgrade" in fields:
                    key = next(x[19:] for x in head.split(b"\r\n") if x[:19].lower() == _KEY_FIELD)
                    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324
                    writer.write(
                        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept
                    )
                    await reader.read()
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


_KEY_FIELD = b"sec-websocket-key: "

if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_portal(int(sys.argv[1])))
    else:
        main()
