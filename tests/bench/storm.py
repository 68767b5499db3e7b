"""How many complete logins two cores take in a second: ``python -m tests.bench.storm``.

A login is four requests: the page that begins it, the agent's claim, its token with a signature by
a card's key and a certificate of an authority, and the browser's return, which gives it a session.
Cards do not sign here while time is taken: a batch of logins goes to the claim, then everything is
signed, then the batch goes on.

The load runs on the same two cores; what it takes itself is said, and what the gateway would do
with the processors' whole time ("logins per CPU second").
"""

import asyncio
import os
import re
import shutil
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import perf_counter, process_time

from cps.authtoken.jwk import AgentKey
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from gateway.settings import RateSettings
from tests.bench.servers import NGINX, cpu_seconds, memory_megabytes
from tests.support.logins import agent_key
from tests.support.quick_login import CLAIM, PAGE, TOKEN, QuickLogin
from tests.support.redis_servers import BINARY, redis_process
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

CORES = 2
LOGINS = 400
"""Logins of a batch."""
BATCHES = 5
CONNECTIONS = 32
"""Connections, each with one login under way."""
WANTED, GOAL = 150, 360
_COOKIE = re.compile(rb"(?i)\r\nset-cookie: (%s=[^;]+)" % LOGIN_COOKIE.encode())
_STEPS = ("page", "claim", "token", "callback")
_SESSION = b"set-cookie: " + SESSION_COOKIE.lower().encode()


@dataclass(slots=True, kw_only=True)
class Login:
    """One login, with what its browser and its agent keep meanwhile."""

    quick: QuickLogin
    cookie: bytes = b""
    token: bytes = b""
    waited: list[float] = field(default_factory=list)
    """Seconds until each answer, in the order of the steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one batch took."""

    seconds: float
    own: float
    """Seconds of processors that the load itself took."""
    used: dict[str, float]
    """Seconds of processors, by the gateway's process."""
    megabytes: float
    """Memory of the whole gateway at the end."""
    waited: list[list[float]]
    """Seconds that each login waited, by step."""


def main() -> None:
    """Print logins per second, for each engine and store."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    print(
        f"Login storm: whole logins on {len(os.sched_getaffinity(0))} cores, {CONNECTIONS} kept"
        f" connections, no TLS; medians of {BATCHES} batches of {LOGINS}; wanted {WANTED}/s,"
        f" goal {GOAL}/s"
    )
    for engine in ("embedded", "nginx"):
        if engine == "nginx" and NGINX is None:
            print(f"  {engine:9} skipped: no nginx on this machine")
            continue
        for store in ("sqlite", "redis"):
            if store == "redis" and shutil.which(BINARY) is None:
                print(f"  {engine:9} {store:7} skipped: no redis-server on this machine")
                continue
            with _gateway(engine, store) as (gateway, port):
                _report(f"{engine:9} {store:7}", asyncio.run(_batches(gateway, port)))


def _report(title: str, batches: list[Batch]) -> None:
    rate = statistics.median(LOGINS / batch.seconds for batch in batches)
    parts = ", ".join(
        f"{name} {statistics.median(batch.used[name] for batch in batches) / LOGINS * 1e3:.2f}"
        for name in batches[0].used
    )
    own = statistics.median(batch.own for batch in batches) / LOGINS * 1e3
    used = statistics.median(sum(batch.used.values()) for batch in batches) / LOGINS
    print(
        f"  {title} {rate:5.0f} logins/s, {rate / GOAL:.2f} of the goal;"
        f" {1 / used:.0f} logins per CPU second of the gateway;"
        f" {batches[-1].megabytes:.0f} MB\n"
        f"    CPU ms/login: {parts}; the load itself {own:.2f}\n"
        f"    p50/p99 ms with {CONNECTIONS} at a time: {_waits(batches)}"
    )


def _waits(batches: list[Batch]) -> str:
    said = []
    for number, step in enumerate(_STEPS):
        waited = [each[number] * 1e3 for batch in batches for each in batch.waited]
        hundredths = statistics.quantiles(waited, n=100)
        said.append(f"{step} {hundredths[49]:.0f}/{hundredths[98]:.0f}")
    return ", ".join(said)


@contextmanager
def _gateway(engine: str, store: str) -> Iterator[tuple[ServedGateway, int]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cps-")))
        rates = "".join(f"{name} = 1000000\n" for name in RateSettings.model_fields)
        more = f'[edge]\nengine = "{engine}"\n[rate]\n{rates}'
        if store == "redis":
            redis = stack.enter_context(redis_process())
            more += f'[store]\nengine = "redis"\nredis_url = "unix://{redis.socket}"\n'
        port = free_port()
        file = write_settings(folder, upstream="http://127.0.0.1:9", port=port, more=more)
        yield stack.enter_context(served_gateway(file, port)), port


async def _batches(gateway: ServedGateway, port: int) -> list[Batch]:
    agents = [agent_key() for _ in range(LOGINS)]
    # The first warms up.
    return [await _batch(gateway, port, agents) for _ in range(BATCHES + 1)][1:]


async def _batch(gateway: ServedGateway, port: int, agents: list[AgentKey]) -> Batch:
    logins = [Login(quick=QuickLogin(agent=agent)) for agent in agents]
    groups = {name: gateway.child(name) for name in gateway.children}
    connections = [await Connection.open(port) for _ in range(CONNECTIONS)]
    before = {name: cpu_seconds(group) for name, group in groups.items()}
    seconds = own = 0.0
    for half in (_begin, _finish):
        started, used = perf_counter(), process_time()
        await _all(logins, connections, half)
        seconds, own = seconds + perf_counter() - started, own + process_time() - used
        if half is _begin:
            _sign(logins, f"http://localhost:{port}")
    for connection in connections:
        connection.close()
    return Batch(
        seconds=seconds,
        own=own,
        used={name: cpu_seconds(group) - before[name] for name, group in groups.items()},
        megabytes=sum(map(memory_megabytes, groups.values())),
        waited=[login.waited for login in logins],
    )


def _sign(logins: list[Login], origin: str) -> None:
    """Have a card sign each login: one of two, because their number changes nothing."""
    for login, card in zip(logins, cycle(("one", "two")), strict=False):
        login.token = login.quick.token(origin, card)


async def _begin(login: Login, connection: "Connection") -> None:
    head, page = await connection.ask(login, b"GET", PAGE)
    cookie = _COOKIE.search(head)
    assert cookie is not None, head
    login.cookie = cookie[1]
    login.quick.read_page(page.decode())
    _, answer = await connection.ask(login, b"POST", CLAIM, login.quick.claim())
    login.quick.read_claimed(answer)


async def _finish(login: Login, connection: "Connection") -> None:
    _, answer = await connection.ask(login, b"POST", TOKEN, login.token)
    login.quick.read_accepted(answer)
    head, _ = await connection.ask(login, b"GET", login.quick.callback, cookie=login.cookie)
    assert _SESSION in head.lower(), head


async def _all(
    logins: list[Login],
    connections: list["Connection"],
    half: Callable[[Login, "Connection"], Awaitable[None]],
) -> None:
    waiting = iter(logins)

    async def work(connection: "Connection") -> None:
        for login in waiting:
            await half(login, connection)

    await asyncio.gather(*(work(connection) for connection in connections))


class Connection:
    """A kept connection, with as little work for each request as Python can do."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host.encode()

    @classmethod
    async def open(cls, port: int) -> "Connection":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return cls(reader, writer, f"localhost:{port}")

    def close(self) -> None:
        self._writer.close()

    async def ask(
        self, login: Login, method: bytes, target: str, body: bytes = b"", cookie: bytes = b""
    ) -> tuple[bytes, bytes]:
        """Return head and body of the answer, which must be good, and note the time it took."""
        started = perf_counter()
        fields = b"Cookie: %s\r\n" % cookie if cookie else b""
        if body:
            fields += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        self._writer.write(
            b"%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s"
            % (method, target.encode(), self._host, fields, body)
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 303")), head
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        content = await self._reader.readexactly(int(length[1])) if length else b""
        login.waited.append(perf_counter() - started)
        return head, content


if __name__ == "__main__":
    main()
