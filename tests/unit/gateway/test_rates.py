import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from gateway import rates
from gateway.errors import StoreUnavailableError
from gateway.rates import WINDOW_SECONDS, CountingMemory, RedisCounters
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
        return CountingMemory(["login"]).counters("login", clock)
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


def test_a_flood_of_one_kind_takes_no_place_of_another(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MAX_SUBJECTS", 3)
    memory = CountingMemory(["login", "lease"])
    login, lease = memory.counters("login", clock), memory.counters("lease", clock)
    for number in range(50):
        login.incr(str(number), 60)
    assert [lease.incr(name, 60) for name in "abc"] == [1, 1, 1]
    assert login.get("never seen") == 47


def test_every_subject_keeps_its_count_where_the_table_is_full(clock: FakeClock) -> None:
    counters = CountingMemory(["login"]).counters("login", clock)
    names = [f"2001:db8:{number:x}::/64" for number in range(rates.MAX_SUBJECTS)]
    assert all(counters.incr(name, 60) == 1 for name in names)
    assert (counters.incr("one more", 60), counters.incr("and another", 60)) == (1, 2)
    assert all(counters.get(name) == 1 for name in names[::97])
    clock.advance(WINDOW_SECONDS)
    assert counters.incr("one more", 60) == 1


def test_a_clock_set_back_in_a_flood_leaves_a_free_place(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MAX_SUBJECTS", 6)
    monkeypatch.setattr(rates, "_PLACES", 8)
    counters = CountingMemory(["login"]).counters("login", clock)
    before, again = [f"a{n}" for n in range(6)], [f"b{n}" for n in range(6)]
    assert [counters.incr(name, 60) for name in before] == [1] * 6
    clock.advance(-WINDOW_SECONDS)
    assert counters.incr("meanwhile", 60) == 1
    clock.advance(WINDOW_SECONDS)
    # Who looks for a place where none is free does so for ever, and keeps all others out.
    assert [counters.incr(name, 60) for name in again] == [1] * 6
    assert [counters.incr(name, 60) for name in ("c", "d")] == [1, 2]


def test_addresses_that_meet_are_not_known_outside(clock: FakeClock) -> None:
    one, other = CountingMemory(["login"]), CountingMemory(["login"])
    assert one.digest("192.0.2.1") == one.digest("192.0.2.1") != other.digest("192.0.2.1")


_FORK = multiprocessing.get_context("fork")


@contextmanager
def forked(work: Callable[[Connection], object]) -> Iterator[tuple[int, Connection]]:
    """Run *work* in a process forked from this one, and give its id and a pipe to it."""
    ours, theirs = _FORK.Pipe()
    process = _FORK.Process(target=work, args=(theirs,))
    process.start()
    try:
        assert process.pid is not None
        yield process.pid, ours
    finally:
        process.kill()
        process.join()


def test_forked_processes_count_together_and_none_is_lost(clock: FakeClock) -> None:
    counters = CountingMemory(["login"]).counters("login", clock)

    def count(pipe: Connection) -> None:
        pipe.send([counters.incr("a", 60) for _ in range(2000)])

    with forked(count) as (_, first), forked(count) as (_, second):
        seen = [counters.incr("a", 60) for _ in range(2000)] + first.recv() + second.recv()
    assert sorted(seen) == list(range(1, 6001))


def test_a_process_killed_while_it_counts_keeps_nobody_out(clock: FakeClock) -> None:
    memory = CountingMemory(["login"])
    counters = memory.counters("login", clock)
    counters.incr("a", 60)
    with _holding(memory) as pid:
        os.kill(pid, signal.SIGKILL)
        assert counters.incr("a", 60) == 2


def test_a_process_that_stands_still_while_it_counts_is_not_waited_for_long(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "TURN_SECONDS", 0.05)
    memory = CountingMemory(["login"])
    with _holding(memory), pytest.raises(StoreUnavailableError):
        memory.counters("login", clock).incr("a", 60)


@contextmanager
def _holding(memory: CountingMemory) -> Iterator[int]:
    """Have another process keep the memory locked; give its id."""

    def hold(pipe: Connection) -> None:
        with memory.turn():
            pipe.send("held")
            pipe.recv()

    with forked(hold) as (pid, pipe):
        assert pipe.recv() == "held"
        yield pid


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
