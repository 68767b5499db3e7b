"""How long a session outlives its end: until it is refused, and until its stream is cut."""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.clock import system_clock
from gateway.session.model import EndReason, SessionStore
from gateway.settings import Settings
from gateway.stores import open_stores
from tests.bench.servers import NGINX
from tests.support.logins import DOCTOR, agent_key
from tests.support.redis_servers import BINARY, redis_process
from tests.support.relay import RawServer, Wire, raw_request, session_key
from tests.support.serving import free_port, served_gateway, write_settings

TIMES = 20
ENGINES = ("embedded", "nginx")
WANTED = {"sqlite": 0.5, "redis": 0.2}
"""Seconds, by the store."""
EVENTS = "Accept: text/event-stream"


def main() -> None:
    """Print both delays, for each engine and store."""
    print(f"End of a session by another process, {TIMES} times: median and longest, ms")
    for store in WANTED:
        if store == "redis" and shutil.which(BINARY) is None:
            print(f"  {store:7} skipped: no {BINARY} on this machine")
            continue
        for engine in ENGINES:
            if engine == "nginx" and NGINX is None:
                print(f"  {store:7} {engine:9} skipped: no nginx on this machine")
                continue
            with _gateway(engine, store) as (address, host, sessions):
                refused, cut = zip(
                    *(_end_one(address, host, sessions) for _ in range(TIMES)), strict=True
                )
            print(
                f"  {store:7} {engine:9} refused {_told(refused)}   stream cut {_told(cut)}"
                f"   wanted {WANTED[store] * 1e3:.0f}"
            )


def _told(delays: tuple[float, ...]) -> str:
    return f"{statistics.median(delays) * 1e3:5.0f} {max(delays) * 1e3:5.0f}"


@contextmanager
def _gateway(engine: str, store: str) -> Iterator[tuple[str, str, SessionStore]]:
    """Run a gateway before a portal of streams; give its address, its host and its sessions."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cps-")))
        more = f'[edge]\nengine = "{engine}"\n'
        if store == "redis":
            redis = stack.enter_context(redis_process())
            more += f'[store]\nengine = "redis"\nredis_url = "unix://{redis.socket}"\n'
        upstream = stack.enter_context(RawServer(_portal).on_port())
        port = free_port()
        file = write_settings(folder, upstream=upstream, port=port, more=more)
        served = stack.enter_context(served_gateway(file, port))
        stores = open_stores(Settings.load(file))
        stack.callback(stores.close)
        yield served.address, f"localhost:{port}", stores.sessions


def _portal(wire: Wire) -> None:
    while True:
        if wire.request().target == "/events":
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
            wire.rest()
            return
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def _end_one(address: str, host: str, sessions: SessionStore) -> tuple[float, float]:
    """Return the seconds after which a session was refused, and after which its stream ended."""
    cookie = sessions.create(DOCTOR, agent_key(), now=system_clock())
    with Wire.open(address) as stream, Wire.open(address) as wire:
        stream.send(raw_request("/events", EVENTS, cookie=cookie, host=host))
        stream.until(b"data: x\n\n")
        wire.send(raw_request("/x", cookie=cookie, host=host))
        assert wire.response().status == 200
        sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
        ended_at = time.monotonic()
        status = 200
        while status == 200:
            wire.send(raw_request("/x", cookie=cookie, host=host))
            status = wire.response().status
            time.sleep(0.002)
        assert status == 401
        refused = time.monotonic() - ended_at
        stream.rest()
        return refused, time.monotonic() - ended_at


if __name__ == "__main__":
    main()
