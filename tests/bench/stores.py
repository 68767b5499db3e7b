"""What a million sessions cost the store: ``python -m tests.bench.stores``.

They are written as a login writes them; then single ones are looked up, and the feed is asked as
each process at the edge asks it.
"""

import os
import secrets
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

from gateway.clock import system_clock
from gateway.database import Database
from gateway.session.cookie import cookie_hash
from gateway.session.model import SessionStore
from gateway.session.redis import RedisSessionStore
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.bench.servers import process_megabytes
from tests.support.logins import DOCTOR, agent_key
from tests.support.redis_servers import BINARY, redis_process

SIZES = (1_000, 100_000, 1_000_000)
TIMES = 2000
ONE_OF = 50
SETTINGS = SessionSettings(idle_seconds=86_400, absolute_seconds=86_400)

Size = Callable[[], float]


def main(sizes: tuple[int, ...] = SIZES) -> None:
    """Print look-up, feed and size of each store as it fills."""
    print(f"Sessions in the store; medians and 99th percentiles of {TIMES} look-ups")
    for name, store in (("sqlite", _sqlite), ("redis", _redis)):
        if name == "redis" and shutil.which(BINARY) is None:
            print(f"  {name:7} skipped: no {BINARY} on this machine")
            continue
        with store() as (sessions, stored):
            _fill_and_measure(name, sessions, stored, sizes)


def _fill_and_measure(
    name: str, sessions: SessionStore, stored: Size, sizes: tuple[int, ...]
) -> None:
    agent, count = agent_key(), 0
    # Some of all, so that what grows here is not this list.
    some: list[bytes] = []
    for size in sizes:
        began, before = perf_counter(), count
        while count < size:
            key = cookie_hash(sessions.create(DOCTOR, agent, now=system_clock()))
            if count % ONE_OF == 0:
                some.append(key)
            count += 1
        rate = (size - before) / (perf_counter() - began)
        found = _seconds(lambda: sessions.get(secrets.choice(some), now=system_clock()))
        cursor, _ = sessions.ended_since(0, now=system_clock())
        feed = _seconds(partial(_ask_feed, sessions, cursor))
        print(
            f"  {name:7} {size:9,}   look-up {_told(found)}   feed {_told(feed)}"
            f"   {stored():6.0f} MB stored, {process_megabytes(os.getpid()):4.0f} MB here"
            f"   {rate:6.0f} new/s"
        )


def _ask_feed(sessions: SessionStore, cursor: int) -> None:
    sessions.ended_since(cursor, now=system_clock())


def _seconds(act: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(TIMES):
        began = perf_counter()
        act()
        taken.append(perf_counter() - began)
    return taken


def _told(taken: list[float]) -> str:
    hundredths = statistics.quantiles(taken, n=100)
    return f"{hundredths[49] * 1e6:4.0f} {hundredths[98] * 1e6:4.0f} µs"


@contextmanager
def _sqlite() -> Iterator[tuple[SessionStore, Size]]:
    with tempfile.TemporaryDirectory(prefix="cps-") as name:
        file = Path(name) / "gateway.db"
        database = Database(file)
        yield SQLiteSessionStore(database, SETTINGS), lambda: file.stat().st_size / 1e6
        database.close()


@contextmanager
def _redis() -> Iterator[tuple[SessionStore, Size]]:
    with ExitStack() as stack:
        server = stack.enter_context(redis_process()).server()
        stack.callback(server.close)

        def stored() -> float:
            lines = server.ask("INFO", "memory").decode().splitlines()
            (used,) = (line for line in lines if line.startswith("used_memory:"))
            return int(used.partition(":")[2]) / 1e6

        yield RedisSessionStore(server, SETTINGS), stored


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SIZES)
