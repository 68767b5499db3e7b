"""What every session store does; one parameter for each implementation."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from gateway.errors import SessionRequiredError
from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason, SessionStore
from gateway.session.redis import RedisSessionStore
from gateway.settings import LoginSettings, SessionSettings
from tests.support.logins import DOCTOR, EMPLOYEE, MOMENT, agent_key
from tests.support.processes import in_two_processes
from tests.support.store_places import StorePlace

SETTINGS = SessionSettings(idle_seconds=100, absolute_seconds=1000, touch_seconds=10)
KEY = agent_key()


def at(seconds: float) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


@contextmanager
def opened(place: StorePlace) -> Iterator[SessionStore]:
    with place.opened(LoginSettings(), SETTINGS) as stores:
        yield stores.sessions


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionStore]:
    if request.param == "memory":
        yield MemorySessionStore(SETTINGS)
    elif request.param == "sqlite":
        with opened(StorePlace("sqlite", tmp_path)) as store:
            yield store
    else:
        yield RedisSessionStore(request.getfixturevalue("redis_server"), SETTINGS)


@pytest.fixture
def key(store: SessionStore) -> bytes:
    """Return the key of a session that began at the moment."""
    return cookie_hash(store.create(DOCTOR, KEY, now=MOMENT))


def lives(store: SessionStore, key: bytes, now: datetime) -> bool:
    try:
        store.get(key, now=now)
    except SessionRequiredError:
        return False
    return True


def test_a_session_is_found_by_the_hash_of_its_cookie(store: SessionStore) -> None:
    cookie = store.create(EMPLOYEE, KEY, now=MOMENT)
    session = store.get(cookie_hash(cookie), now=MOMENT)
    assert session.key == cookie_hash(cookie)
    assert (session.identity, session.agent_key) == (EMPLOYEE, KEY)
    assert (session.created_at, session.seen_at) == (MOMENT, MOMENT)


def test_the_cookie_itself_opens_nothing(store: SessionStore) -> None:
    cookie = store.create(DOCTOR, KEY, now=MOMENT)
    assert len(cookie) == 32
    assert not lives(store, cookie, MOMENT)


def test_every_login_has_a_new_cookie(store: SessionStore) -> None:
    cookies = {store.create(DOCTOR, KEY, now=MOMENT) for _ in range(20)}
    assert len(cookies) == 20
    assert all(lives(store, cookie_hash(cookie), MOMENT) for cookie in cookies)


@pytest.mark.parametrize("unknown", [b"", b"\0" * 32], ids=["empty", "32 bytes"])
def test_an_unknown_session_is_refused(store: SessionStore, unknown: bytes) -> None:
    with pytest.raises(SessionRequiredError):
        store.get(unknown, now=MOMENT)


def test_a_session_ends_after_a_pause(store: SessionStore, key: bytes) -> None:
    assert lives(store, key, at(99))
    assert not lives(store, key, at(99 + 100))


def test_use_prolongs_a_session_only_to_its_absolute_limit(store: SessionStore, key: bytes) -> None:
    for seconds in range(50, 1000, 50):
        assert lives(store, key, at(seconds))
    assert not lives(store, key, at(1000))


def test_use_is_noted_at_most_once_an_interval(store: SessionStore, key: bytes) -> None:
    assert store.get(key, now=at(9)).seen_at == MOMENT
    assert store.get(key, now=at(10)).seen_at == at(10)
    assert store.get(key, now=at(19)).seen_at == at(10)


@pytest.mark.parametrize("limit", [100, 1000], ids=["idle", "absolute"])
def test_a_session_past_its_limit_stays_dead_when_the_clock_goes_back(
    store: SessionStore, key: bytes, limit: int
) -> None:
    assert not lives(store, key, at(limit))
    assert not lives(store, key, at(limit - 30))
    assert not lives(store, key, MOMENT)


def test_a_small_step_back_of_the_clock_ends_nothing_and_prolongs_nothing(
    store: SessionStore, key: bytes
) -> None:
    assert store.get(key, now=at(50)).seen_at == at(50)
    assert store.get(key, now=at(20)).seen_at == at(50)
    assert not lives(store, key, at(150))


def test_a_session_from_the_future_is_refused(store: SessionStore, key: bytes) -> None:
    assert not lives(store, key, at(-3600))


def test_a_session_from_the_future_is_told_as_ended(store: SessionStore, key: bytes) -> None:
    assert list(store.ended_since(0, now=at(-60))[1]) == []
    assert list(store.ended_since(0, now=at(-61))[1]) == [key]


def test_an_ended_session_is_refused_and_ends_once(store: SessionStore, key: bytes) -> None:
    assert store.end(key, EndReason.LOGOUT, now=MOMENT) is True
    assert not lives(store, key, MOMENT)
    assert store.end(key, EndReason.LOGOUT, now=MOMENT) is False


def test_ending_one_session_leaves_the_others(store: SessionStore, key: bytes) -> None:
    other = cookie_hash(store.create(DOCTOR, KEY, now=MOMENT))
    store.end(key, EndReason.LOGOUT, now=MOMENT)
    assert lives(store, other, MOMENT)


def test_ends_are_told_once_in_their_order(store: SessionStore) -> None:
    keys = [cookie_hash(store.create(DOCTOR, KEY, now=MOMENT)) for _ in range(3)]
    cursor, ended = store.ended_since(0, now=MOMENT)
    assert list(ended) == []
    store.end(keys[2], EndReason.LOGOUT, now=MOMENT)
    store.end(keys[0], EndReason.REPLACED, now=MOMENT)
    cursor, ended = store.ended_since(cursor, now=MOMENT)
    assert list(ended) == [keys[2], keys[0]]
    store.end(keys[1], EndReason.ADMINISTRATOR, now=MOMENT)
    cursor, ended = store.ended_since(cursor, now=MOMENT)
    assert list(ended) == [keys[1]]
    assert store.ended_since(cursor, now=MOMENT) == (cursor, [])


@pytest.mark.parametrize("limit", [100, 1000], ids=["idle", "absolute"])
def test_the_limits_of_sessions_without_requests_are_told_too(
    store: SessionStore, key: bytes, limit: int
) -> None:
    for seconds in range(50, limit, 50):
        store.get(key, now=at(seconds))
    living = cookie_hash(store.create(DOCTOR, KEY, now=at(limit)))
    last = limit if limit == 1000 else 50 + limit
    cursor, ended = store.ended_since(0, now=at(last - 1))
    assert list(ended) == []
    cursor, ended = store.ended_since(cursor, now=at(last))
    assert list(ended) == [key]
    assert store.ended_since(cursor, now=at(last)) == (cursor, [])
    assert lives(store, living, at(last))


def test_a_session_ended_by_a_request_is_told_once(store: SessionStore, key: bytes) -> None:
    assert not lives(store, key, at(100))
    _, ended = store.ended_since(0, now=at(100))
    assert list(ended) == [key]


def test_old_ends_are_forgotten_and_the_cursor_goes_on(store: SessionStore, key: bytes) -> None:
    store.end(key, EndReason.LOGOUT, now=MOMENT)
    cursor, _ = store.ended_since(0, now=MOMENT)
    store.record_ends(lambda end: None, now=MOMENT)
    later = at(1000 + 61)
    young = cookie_hash(store.create(DOCTOR, KEY, now=later))
    store.end(young, EndReason.LOGOUT, now=later)
    assert list(store.ended_since(0, now=later)[1]) == [young]
    assert list(store.ended_since(cursor, now=later)[1]) == [young]


def test_many_threads_agree_on_who_ended_a_session(store: SessionStore) -> None:
    def race(key: bytes, together: threading.Barrier) -> bool:
        together.wait()
        return store.end(key, EndReason.LOGOUT, now=MOMENT)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            key = cookie_hash(store.create(DOCTOR, KEY, now=MOMENT))
            together = threading.Barrier(4)
            results = list(pool.map(race, [key] * 4, [together] * 4))
            assert sorted(results) == [False, False, False, True]


def test_two_stores_in_one_place_are_one(store_place: StorePlace) -> None:
    with opened(store_place) as one, opened(store_place) as two:
        key = cookie_hash(one.create(DOCTOR, KEY, now=MOMENT))
        assert two.get(key, now=at(20)).seen_at == at(20)
        assert one.get(key, now=at(21)).seen_at == at(20)
        assert two.end(key, EndReason.LOGOUT, now=at(21))
        assert not lives(one, key, at(21))
        assert list(one.ended_since(0, now=at(21))[1]) == [key]


ROUNDS = 40


def _end_all(place: StorePlace, keys: list[bytes], together: Barrier) -> list[bool]:
    results = []
    with opened(place) as store:
        for key in keys:
            together.wait(30)
            # A request in flight must not bring back what the other process ends at this moment.
            lives(store, key, at(50))
            results.append(store.end(key, EndReason.LOGOUT, now=at(50)))
    return results


def test_two_processes_agree_on_who_ended_a_session(store_place: StorePlace) -> None:
    with opened(store_place) as store:
        keys = [cookie_hash(store.create(DOCTOR, KEY, now=MOMENT)) for _ in range(ROUNDS)]
        first, second = in_two_processes(_end_all, store_place, keys)
        assert all(one != two for one, two in zip(first, second, strict=True))
        assert not any(lives(store, key, at(50)) for key in keys)
        assert sorted(store.ended_since(0, now=at(50))[1]) == sorted(keys)
