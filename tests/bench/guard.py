"""The guard: what it costs a request that is not sensitive, and one that is."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from gateway.clock import system_clock
from gateway.database import Database
from gateway.guard.guard import Guard
from gateway.guard.redis import RedisGuardStore
from gateway.guard.routes import SensitiveRoutes
from gateway.guard.sqlite import DATABASE_FILE, SCHEMA, SQLiteGuardStore
from gateway.guard.store import GuardStore
from gateway.journal.access import Access
from gateway.journal.ring import RingFile
from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.settings import SessionSettings
from gateway.settings_guard import GuardSettings, RouteSettings
from tests.bench.timing import median_seconds
from tests.support.redis_servers import redis_process
from tests.support.relay import PERSON, new_agent_key
from tests.support.watching import ListedAlarms, ListedAudit

ROUTES = 20
TIMES = 20_000
ADMISSIONS = 500
TARGET = "/portail/dossiers/recherche?page=2&tri=nom"


def main() -> None:
    """Measure, and print a line for each."""
    print("guard")
    for count in (0, 1, ROUTES):
        routes = SensitiveRoutes(
            [
                RouteSettings(name=f"r{number}", path=f"/api/{number}/patients/{{record}}/rights")
                for number in range(count)
            ]
        )
        seconds = median_seconds(partial(routes.match, "GET", TARGET), TIMES)
        print(f"  request that is not sensitive, {count} routes: {1e6 * seconds:.2f} us")
    with tempfile.TemporaryDirectory() as folder:
        for name, store in _stores(Path(folder)):
            seconds = asyncio.run(_admit(store, Path(folder)))
            print(f"  sensitive request, the gateway's own rules, {name}: {1e3 * seconds:.2f} ms")


def _stores(folder: Path) -> Iterator[tuple[str, GuardStore]]:
    database = Database(folder / DATABASE_FILE, schema=SCHEMA)
    yield "SQLite", SQLiteGuardStore(database)
    database.close()
    with ExitStack() as stack:
        yield "Redis", stack.enter_context(_redis())


@contextmanager
def _redis() -> Iterator[GuardStore]:
    with redis_process() as process:
        server = process.server()
        yield RedisGuardStore(server)
        server.close()


async def _admit(store: GuardStore, folder: Path) -> float:
    """Return how long a request waits for the guard, one after another."""
    sessions = MemorySessionStore(SessionSettings())
    cookie = sessions.create(PERSON, new_agent_key(), now=system_clock())
    session = sessions.get(cookie_hash(cookie), now=system_clock())
    route = RouteSettings(name="rights", path="/rights/{record}")
    guard = Guard(
        GuardSettings(routes=(route,)),
        store=store,
        sessions=sessions,
        keys=RingFile(folder / "journal.key").current,
        audit=ListedAudit(),
        alarms=ListedAlarms(),
        clock=system_clock,
    )
    match = SensitiveRoutes((route,)).match("GET", "/rights/7")
    if match is None:
        raise AssertionError("not sensitive")
    begun = time.perf_counter()
    for number in range(ADMISSIONS):
        # A few people, none of whom does anything unusual.
        access = Access(
            who=f"8999000{number % 50:05d}",
            card="2899000001",
            session=f"{number % 50:016d}",
            client="192.0.2.7",
            route="rights",
            method="GET",
            record=f"{number * 7919 % 100_003}",
        )
        await guard.admit(match, access, session)
    seconds = (time.perf_counter() - begun) / ADMISSIONS
    guard.close()
    return seconds


if __name__ == "__main__":
    main()
