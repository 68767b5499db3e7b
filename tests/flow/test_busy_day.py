"""The gateway's own rules let an ordinary working day of a busy pharmacy pass, without an alarm.

Run with ``-s`` to see how busy it was.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.guard.guard import Guard
from gateway.guard.redis import RedisGuardStore
from gateway.guard.routes import SensitiveRoutes
from gateway.guard.sqlite import DATABASE_FILE, SCHEMA, SQLiteGuardStore
from gateway.guard.store import GuardStore
from gateway.journal.access import Access
from gateway.journal.ring import RingFile
from gateway.redis_server import RedisServer
from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.settings import SessionSettings
from gateway.settings_guard import GuardSettings, RouteSettings
from tests.support.pharmacy import OPENS, Request, working_day
from tests.support.relay import PERSON, new_agent_key
from tests.support.watching import ListedAlarms, ListedAudit

RIGHTS = RouteSettings(name="rights", path="/rights/{record}")


class Day:
    """A guard with the gateway's own rules, whose clock is that of the day that passes."""

    def __init__(self, folder: Path, store: GuardStore) -> None:
        self.now = OPENS
        self.audit, self.alarms = ListedAudit(), ListedAlarms()
        sessions = MemorySessionStore(SessionSettings())
        cookie = sessions.create(PERSON, new_agent_key(), now=self.now)
        self.session = sessions.get(cookie_hash(cookie), now=self.now)
        self.routes = SensitiveRoutes((RIGHTS,))
        self.guard = Guard(
            GuardSettings(routes=(RIGHTS,)),
            store=store,
            sessions=sessions,
            keys=RingFile(folder / "journal.key").current,
            audit=self.audit,
            alarms=self.alarms,
            clock=lambda: self.now,
        )

    async def pass_by(self, requests: list[Request]) -> Counter[str | None]:
        """Let the requests come; return what was done to how many."""
        done: Counter[str | None] = Counter()
        for request in requests:
            self.now = request.at
            match = self.routes.match("GET", f"/rights/{request.record}")
            assert match is not None
            access = Access(
                who=f"89990000{request.card:04d}",
                card=f"{request.card:010d}",
                session=f"{request.card}-{request.session}",
                client="192.0.2.7",
                route="rights",
                method="GET",
                record=match.record,
            )
            done[await self.guard.admit(match, access, self.session)] += 1
        return done

    def close(self) -> None:
        self.guard.close()


@pytest.fixture
def in_sqlite(tmp_path: Path) -> Iterator[GuardStore]:
    with closing(Database(tmp_path / DATABASE_FILE, schema=SCHEMA)) as database:
        yield SQLiteGuardStore(database)


@pytest.mark.parametrize("kind", ["social security numbers", "file numbers"])
@pytest.mark.parametrize("seed", range(5))
def test_a_busy_pharmacys_day_raises_nothing(
    tmp_path: Path, in_sqlite: GuardStore, kind: str, seed: int
) -> None:
    requests, day = list(working_day(seed, kind)), Day(tmp_path, in_sqlite)
    done = asyncio.run(day.pass_by(requests))
    day.close()
    busiest, count = Counter(request.card for request in requests).most_common(1)[0]
    records = {request.record for request in requests if request.card == busiest}
    hour = max(
        len(
            {
                other.record
                for other in requests
                if other.card == busiest
                and timedelta(0) <= request.at - other.at < timedelta(hours=1)
            }
        )
        for request in requests[::10]
    )
    print(
        f"\n{kind}: {len(requests)} requests; the busiest card {count}, "
        f"{len(records)} records, {hour} in an hour"
    )
    assert hour > 20
    assert done == {None: len(requests)}
    assert day.alarms.sent == []
    assert day.audit.events == []


def test_nor_does_it_where_several_machines_count(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    requests = list(working_day(0, "social security numbers"))
    day = Day(tmp_path, RedisGuardStore(redis_server))
    done = asyncio.run(day.pass_by(requests))
    day.close()
    assert done == {None: len(requests)}
    assert day.alarms.sent == []
    assert day.audit.events == []
