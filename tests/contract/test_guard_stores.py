"""What every store of the guard does; one parameter for each implementation."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.guard.redis import RedisGuardStore
from gateway.guard.sqlite import DATABASE_FILE, SCHEMA, SQLiteGuardStore
from gateway.guard.store import (
    MAX_NETWORKS,
    MAX_STEP,
    NETWORK_TIME,
    NUMBER_MODULUS,
    Block,
    GuardStore,
    Observation,
    Records,
    Requests,
    Run,
)
from tests.support.redis_servers import RedisProcess

MOMENT = datetime.now(UTC).replace(minute=10, second=0, microsecond=0)  # noqa: TID251 - Redis has its own clock
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WHO = "899900000013"


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[GuardStore, ...]]:
    """Return the same store as two processes have it."""
    if request.param == "sqlite":
        databases = [Database(tmp_path / DATABASE_FILE, schema=SCHEMA) for _ in range(2)]
        yield tuple(SQLiteGuardStore(database) for database in databases)
        for database in databases:
            database.close()
    else:
        server = request.getfixturevalue("redis_server")
        yield (RedisGuardStore(server), RedisGuardStore(server))


@pytest.fixture
def store(stores: tuple[GuardStore, ...]) -> GuardStore:
    return stores[0]


def requests(store: GuardStore, after: timedelta = timedelta(), key: str = "all") -> int:
    observation = Observation(identity=WHO, requests=(Requests(key=key, span=MINUTE),))
    return store.observe(observation, now=MOMENT + after).requests[0]


def records(
    store: GuardStore, member: str, after: timedelta = timedelta(), limit: int = 100
) -> tuple[int, ...]:
    """Return how many records were seen in an hour and in a day."""
    wanted = tuple(
        Records(key=str(span), member=member, span=span, limit=limit) for span in (HOUR, DAY)
    )
    observation = Observation(identity=WHO, records=wanted)
    return store.observe(observation, now=MOMENT + after).records


def run(store: GuardStore, number: int, after: timedelta = timedelta(), near: int = 1) -> int:
    wanted = Run(key="all", number=number % NUMBER_MODULUS, near=near, keep=HOUR)
    return store.observe(Observation(identity=WHO, runs=(wanted,)), now=MOMENT + after).runs[0]


def network(store: GuardStore, name: str, after: timedelta = timedelta()) -> bool:
    observation = Observation(identity=WHO, network=name)
    return store.observe(observation, now=MOMENT + after).is_new_network


def test_requests_are_counted_in_minutes_of_the_clock(stores: tuple[GuardStore, ...]) -> None:
    one, other = stores
    assert [requests(one), requests(other), requests(one)] == [1, 2, 3]
    assert requests(one, key="other") == 1
    assert requests(one, MINUTE) == 1


def test_records_are_counted_once_each_in_the_time_before(stores: tuple[GuardStore, ...]) -> None:
    one, other = stores
    assert records(one, "a") == (1, 1)
    assert records(other, "a", MINUTE) == (1, 1)
    assert records(other, "b", 2 * MINUTE) == (2, 2)
    # What is seen again counts from then.
    assert records(one, "c", HOUR + MINUTE / 2) == (3, 3)
    assert records(one, "c", HOUR + 3 * MINUTE) == (1, 3)
    assert records(one, "c", DAY + HOUR) == (1, 1)


def test_what_is_remembered_of_records_is_bounded(store: GuardStore) -> None:
    for number in range(30):
        counts = records(store, f"r{number}", number * MINUTE, limit=10)
    assert counts == (10, 10)
    assert records(store, "r29", 31 * MINUTE, limit=10) == (10, 10)


def test_at_once_or_not_each_record_counts(stores: tuple[GuardStore, ...]) -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda n: records(stores[n % 2], f"r{n}", limit=500)[0], range(200)))
    assert sorted(counts) == list(range(1, 201))


@pytest.mark.parametrize("step", [1, -1, MAX_STEP], ids=["up", "down", "by the largest step"])
@pytest.mark.parametrize("start", [1000, 0, NUMBER_MODULUS - 2], ids=["middle", "begin", "end"])
def test_consecutive_numbers_make_a_run(
    stores: tuple[GuardStore, ...], step: int, start: int
) -> None:
    lengths = [run(stores[n % 2], start + n * step) for n in range(5)]
    assert lengths == [1, 2, 3, 4, 5]


def test_another_number_is_no_part_of_it_and_the_same_one_does_not_count(store: GuardStore) -> None:
    assert [run(store, n) for n in (5000, 5001, 5001, 5002, 9000, 9001)] == [1, 2, 2, 3, 1, 4]


def test_sequences_in_turns_are_counted_together(stores: tuple[GuardStore, ...]) -> None:
    one, other = stores
    lengths = []
    for step in range(5):
        lengths += [run(one, 10_000 + step), run(other, 50_000 + step), run(one, 90_000 - step)]
    assert lengths == [1, 1, 1, *range(2, 14)]


def test_numbers_in_any_order_are_neighbours(store: GuardStore) -> None:
    shuffled = [7000, 7004, 7002, 7001, 7003, 7001]
    # Neighbours are those that meet a number seen before, each once.
    assert [run(store, n * 300, near=300) for n in shuffled][-1] == 3


def test_neighbours_are_forgotten_and_what_is_seen_again_is_kept(store: GuardStore) -> None:
    for number in (5, 90_000, 6, 70_000):
        run(store, number)
    assert run(store, 7, HOUR / 2) == 3
    assert run(store, 6, HOUR / 2) == 3
    assert run(store, 8, HOUR + MINUTE) == 4
    assert run(store, 900_000, 2 * HOUR) == 1


def test_numbers_that_are_remembered_are_bounded(
    store: GuardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(store, RedisGuardStore):
        pytest.skip("its script has the number in it")
    monkeypatch.setattr("gateway.guard.sqlite.MAX_NUMBERS", 3)
    for place in range(5):
        run(store, place * 10_000, place * MINUTE)
    assert run(store, 1, 6 * MINUTE) == 1
    assert run(store, 40_001, 7 * MINUTE) == 2


def test_a_network_is_new_to_who_was_seen_elsewhere(store: GuardStore) -> None:
    assert not network(store, "192.0.2.0/24")
    assert not network(store, "192.0.2.0/24")
    assert network(store, "198.51.100.0/24")
    assert not network(store, "198.51.100.0/24")


def test_networks_are_forgotten(store: GuardStore) -> None:
    assert not network(store, "192.0.2.0/24")
    assert not network(store, "198.51.100.0/24", NETWORK_TIME + DAY)
    assert network(store, "192.0.2.0/24", NETWORK_TIME + DAY)


def test_networks_are_bounded(store: GuardStore) -> None:
    for number in range(MAX_NETWORKS + 1):
        network(store, f"192.0.{number}.0/24", number * MINUTE)
    assert network(store, "192.0.0.0/24", HOUR)


def test_who_asks_first_says_it(stores: tuple[GuardStore, ...]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda n: stores[n % 2].is_first(WHO, "alarm", keep=HOUR, now=MOMENT), range(16)
            )
        )
    assert sum(answers) == 1
    assert stores[0].is_first(WHO, "another", keep=HOUR, now=MOMENT)
    assert stores[0].is_first("another", "alarm", keep=HOUR, now=MOMENT)


def test_it_is_said_again_after_its_time(store: GuardStore) -> None:
    keep = timedelta(milliseconds=50)
    assert store.is_first(WHO, "alarm", keep=keep, now=MOMENT)
    time.sleep(0.1)
    assert store.is_first(WHO, "alarm", keep=keep, now=MOMENT + 2 * keep)


def test_what_is_said_holds_for_the_last_time_named(stores: tuple[GuardStore, ...]) -> None:
    one, other = stores
    assert one.is_first(WHO, "alarm", keep=timedelta(milliseconds=50), now=MOMENT)
    one.say(WHO, "alarm", keep=HOUR, now=MOMENT)
    time.sleep(0.1)
    assert not other.is_first(WHO, "alarm", keep=HOUR, now=MOMENT + MINUTE)
    other.say(WHO, "alarm", keep=timedelta(milliseconds=1), now=MOMENT + MINUTE)
    time.sleep(0.01)
    assert one.is_first(WHO, "alarm", keep=HOUR, now=MOMENT + 2 * MINUTE)


def test_the_card_is_asked_for_from_a_moment_on(stores: tuple[GuardStore, ...]) -> None:
    observation = Observation(identity=WHO)
    assert stores[0].observe(observation, now=MOMENT).asked_at is None
    stores[0].ask_for_card(WHO, keep=HOUR, now=MOMENT)
    assert stores[1].observe(observation, now=MOMENT).asked_at == MOMENT
    stores[0].ask_for_card(WHO, keep=HOUR, now=MOMENT + MINUTE)
    assert stores[1].observe(observation, now=MOMENT).asked_at == MOMENT + MINUTE


def test_who_is_blocked_stays_out_until_cleared(stores: tuple[GuardStore, ...]) -> None:
    one, other = stores
    block = Block(identity=WHO, rule="records 200", at=MOMENT)
    assert not other.is_blocked(WHO)
    assert one.block(block)
    assert not other.block(Block(identity=WHO, rule="other", at=MOMENT + HOUR))
    assert other.is_blocked(WHO)
    assert other.observe(Observation(identity=WHO), now=MOMENT).is_blocked
    assert list(other.blocks()) == [block]
    assert other.clear(WHO)
    assert not other.clear(WHO)
    assert not one.observe(Observation(identity=WHO), now=MOMENT).is_blocked
    assert list(one.blocks()) == []


def test_who_is_cleared_begins_anew(store: GuardStore) -> None:
    requests(store)
    records(store, "a")
    run(store, 7)
    store.ask_for_card(WHO, keep=HOUR, now=MOMENT)
    store.is_first(WHO, "alarm", keep=HOUR, now=MOMENT)
    store.clear(WHO)
    assert (requests(store), records(store, "b"), run(store, 8)) == (1, (1, 1), 1)
    assert store.observe(Observation(identity=WHO), now=MOMENT).asked_at is None
    assert store.is_first(WHO, "alarm", keep=HOUR, now=MOMENT)


def test_one_identity_says_nothing_of_another(store: GuardStore) -> None:
    requests(store)
    other = Observation(identity="another", requests=(Requests(key="all", span=MINUTE),))
    assert store.observe(other, now=MOMENT).requests == (1,)


def test_nothing_is_left_in_redis_for_ever(
    redis_server: object, shared_redis: RedisProcess
) -> None:
    store = RedisGuardStore(redis_server)  # type: ignore[arg-type]  # The fixture says which.
    records(store, "a")
    requests(store)
    run(store, 7)
    network(store, "192.0.2.0/24")
    server = shared_redis.server()
    keys = list(server.ask("KEYS", "*guard:*"))
    assert keys
    assert [key for key in keys if server.ask("PTTL", key) < 0] == []
