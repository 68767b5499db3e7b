"""A robot with a valid session walks through the portal's records, as in 2022.

The session is real, the card is in its reader: nothing is wrong with who asks, only with how much.
Run with ``-s`` to see the numbers.
"""

import random  # noqa: TID251 - not for secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from gateway.database import Database
from gateway.guard.redis import RedisGuardStore
from gateway.guard.sqlite import DATABASE_FILE, SCHEMA, SQLiteGuardStore
from gateway.guard.store import GuardStore
from gateway.redis_server import RedisServer
from gateway.session.memory import MemorySessionStore
from gateway.session.model import SessionStore
from gateway.session.redis import RedisSessionStore
from gateway.settings import SessionSettings
from tests.support.relay import RawServer, RunningRelay, echo
from tests.support.robot import AlarmBox, Haul, walk
from tests.support.watching import WatchedPlace

RIGHTS = {"name": "rights", "path": "/rights/{record}"}
ONLY_DISTINCT = [{"count": "records", "limit": 200, "per": "hour", "effect": "block"}]
LIMIT = 200
ALARM_SECONDS = 2.0
SEED = 20_221_231


class Gateways:
    """One or two gateways that share sessions and the guard's memory, and an alarm's receiver."""

    def __init__(
        self,
        folder: Path,
        alarms: str,
        rules: list[dict[str, object]],
        stores: "Shared",
        count: int,
    ) -> None:
        self.stores = stores
        self.places = []
        for number in range(count):
            place = WatchedPlace(
                folder / str(number),
                {"routes": [RIGHTS], "rules": rules, "alarm_url": alarms},
                {"records": "plain"},
                store=stores.guard,
            )
            if number:
                shutil.copy(folder / "0" / "journal.key", folder / str(number))
            assert place.keys is not None
            self.places.append(place)
        self.relays: list[RunningRelay] = []

    def start(self, stack: ExitStack) -> None:
        for place in self.places:
            running = place.running(RawServer(echo), self.stores.sessions)
            self.relays.append(stack.enter_context(running))

    def given(self) -> set[str]:
        """Return the records that the journals say were given."""
        return {
            str(line["record"])
            for place in self.places
            for line in place.accesses()
            if line["status"] == 200
        }


class Shared:
    """Sessions, and what the guard remembers."""

    def __init__(self, sessions: SessionStore, guard: GuardStore) -> None:
        self.sessions = sessions
        self.guard = guard


@pytest.fixture(params=["sqlite, one gateway", "redis, two gateways"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shared]:
    if request.param.startswith("sqlite"):
        database = Database(tmp_path / DATABASE_FILE, schema=SCHEMA)
        yield Shared(MemorySessionStore(SessionSettings()), SQLiteGuardStore(database))
        database.close()
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        yield Shared(RedisSessionStore(server, SessionSettings()), RedisGuardStore(server))


def robbed(
    folder: Path, shared: Shared, rules: list[dict[str, object]], records: list[str], effect: str
) -> tuple[Haul, float, Gateways]:
    """Let the robot walk; return its haul, and how long after its end the alarm came."""
    count = 2 if isinstance(shared.guard, RedisGuardStore) else 1
    box = AlarmBox()
    with ExitStack() as stack:
        gateways = Gateways(folder, stack.enter_context(box.listening()), rules, shared, count)
        gateways.start(stack)
        cookie = gateways.relays[0].log_in()
        end = monotonic() + 12

        def is_over() -> bool:
            return monotonic() > end or any(a["effect"] == effect for _, a in list(box.alarms))

        addresses = [relay.address for relay in gateways.relays]
        haul = walk(addresses, cookie, records, is_over)
        late = box.first(effect) - haul.first_stop
    return haul, late, gateways


def consecutive() -> list[str]:
    return [str(1_850_175_000_000 + number) for number in range(1000)]


def scattered() -> list[str]:
    generator = random.Random(SEED)  # noqa: S311 - the same robot each time
    return [str(generator.randrange(10**12, 3 * 10**12)) for _ in range(1000)]


@pytest.mark.parametrize(
    ("rules", "records", "effect", "most"),
    [
        pytest.param(ONLY_DISTINCT, scattered(), "block", LIMIT - 1, id="limit of records alone"),
        pytest.param([], scattered(), "block", LIMIT - 1, id="the gateway's own rules"),
        pytest.param([], consecutive(), "end_session", 19, id="consecutive numbers"),
    ],
)
def test_a_robot_is_stopped_before_the_limit_and_the_alarm_is_out_at_once(
    tmp_path: Path,
    shared: Shared,
    rules: list[dict[str, object]],
    records: list[str],
    effect: str,
    most: int,
) -> None:
    haul, late, gateways = robbed(tmp_path, shared, rules, records, effect)
    print(
        f"\n{len(gateways.relays)} gateways: {len(set(haul.given))} records given of "
        f"{len(haul.statuses)} asked for; alarm {1000 * late:+.0f} ms after the first refusal"
    )
    assert 0 < len(set(haul.given)) <= most
    assert late <= ALARM_SECONDS
    # What the robot was given is what the journals tell; they may know of some that were cut off.
    assert {f"p:{record}" for record in haul.given} <= gateways.given()
    assert len(gateways.given()) <= most
