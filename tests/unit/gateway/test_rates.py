from datetime import timedelta
from pathlib import Path

import pytest
from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from gateway import rates
from gateway.errors import StoreUnavailableError
from gateway.rates import WINDOW_SECONDS, MemoryCounters, RedisCounters
from gateway.redis_server import RedisServer
from tests.support.gateway_fakes import NOW, FakeClock
from tests.support.processes import in_two_processes
from tests.support.redis_servers import RedisProcess


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "redis"])
def counters(request: pytest.FixtureRequest, clock: FakeClock) -> Storage:
    if request.param == "memory":
        return MemoryCounters("login", clock)
    return RedisCounters("login", clock, request.getfixturevalue("redis_server"))


def test_each_subject_is_counted_apart_and_anew_each_minute(
    counters: Storage, clock: FakeClock
) -> None:
    assert [counters.incr("a", 60) for _ in range(3)] == [1, 2, 3]
    assert counters.incr("b", 60) == 1
    assert (counters.get("a"), counters.get("none")) == (3, 0)
    clock.advance(WINDOW_SECONDS - 1)
    assert counters.incr("a", 60) == 4
    clock.advance(1)
    assert counters.incr("a", 60) == 1


def test_the_window_ends_with_the_minute(counters: Storage, clock: FakeClock) -> None:
    clock.advance(12.5)
    assert counters.get_expiry("a") == (NOW + timedelta(seconds=60)).timestamp()


def test_past_so_many_subjects_the_others_share_a_counter(
    counters: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MAX_SUBJECTS", 3)
    assert [counters.incr(name, 60) for name in "abc"] == [1, 1, 1]
    assert [counters.incr(name, 60) for name in "defg"] == [1, 2, 3, 4]
    # Those who were counted before the flood are not touched by it.
    assert counters.incr("a", 60) == 2


def test_counters_can_be_forgotten(counters: Storage) -> None:
    counters.incr("a", 60)
    counters.incr("b", 60)
    counters.clear("a")
    assert (counters.get("a"), counters.get("b")) == (0, 1)
    assert counters.reset() == 1
    assert counters.get("b") == 0
    assert counters.check()


def test_the_librarys_strategy_works_with_them(counters: Storage) -> None:
    limiter, item = FixedWindowRateLimiter(counters), RateLimitItemPerMinute(2)
    assert [limiter.hit(item, "a") for _ in range(3)] == [True, True, False]
    assert limiter.hit(item, "b")


def test_nothing_of_a_flood_stays_in_redis(redis_server: RedisServer, clock: FakeClock) -> None:
    counters = RedisCounters("login", clock, redis_server)
    for number in range(20):
        counters.incr(str(number), 60)
    minute = int(NOW.timestamp()) // 60
    key = redis_server.key(f"rate:login:{minute}")
    assert redis_server.ask("HLEN", key) == 20
    assert 0 < redis_server.ask("TTL", key) <= 2 * WINDOW_SECONDS


def test_without_redis_nothing_can_be_counted(shared_redis: RedisProcess, clock: FakeClock) -> None:
    server = shared_redis.server()
    server.close()
    counters = RedisCounters("login", clock, server)
    assert not counters.check()
    with pytest.raises(StoreUnavailableError):
        counters.incr("a", 60)


def _count_many(folder: str, namespace: str, together: object) -> list[int]:
    server = RedisProcess(Path(folder)).server(namespace)
    counters = RedisCounters("login", FakeClock(), server)
    seen = [counters.incr("a", 60) for _ in range(100)]
    server.close()
    return seen


def test_processes_on_one_redis_count_together(shared_redis: RedisProcess) -> None:
    first, second = in_two_processes(_count_many, str(shared_redis.folder), "rates-together")
    assert sorted(first + second) == list(range(1, 201))
