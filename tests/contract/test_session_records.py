"""What every store tells of sessions to those who watch: who is in, and each end once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason, SessionCounts, SessionEnd, SessionStore
from gateway.session.redis import RedisSessionStore
from gateway.settings import LoginSettings, SessionSettings
from tests.support.logins import DOCTOR, EMPLOYEE, MOMENT, agent_key
from tests.support.processes import in_two_processes
from tests.support.store_places import StorePlace

SETTINGS = SessionSettings(idle_seconds=100, absolute_seconds=1000, touch_seconds=10)
KEY = agent_key()
CLIENT = "192.0.2.7"


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


def recorded(store: SessionStore, now: datetime = MOMENT) -> list[SessionEnd]:
    ends: list[SessionEnd] = []
    count = store.record_ends(ends.append, now=now)
    assert count == len(ends)
    return ends


def new(store: SessionStore, now: datetime = MOMENT) -> bytes:
    return cookie_hash(store.create(DOCTOR, KEY, now=now))


def test_an_end_is_handed_out_once_with_whose_and_why(store: SessionStore) -> None:
    key = new(store)
    assert recorded(store) == []
    store.end(key, EndReason.LOGOUT, now=at(1), client=CLIENT)
    assert recorded(store, at(2)) == [
        SessionEnd(
            key=key,
            national_id=DOCTOR.national_id,
            reason=EndReason.LOGOUT,
            at=at(1),
            client=CLIENT,
        )
    ]
    assert recorded(store, at(100)) == []


def test_ends_that_nobody_asked_for_are_handed_out_too(store: SessionStore) -> None:
    lease = store.open_lease(KEY, grace=timedelta(seconds=60), now=MOMENT)
    silent = cookie_hash(store.create(DOCTOR, KEY, lease=lease, now=MOMENT))
    unused = cookie_hash(store.create(EMPLOYEE, KEY, now=MOMENT))
    store.ended_since(0, now=at(60))
    store.ended_since(0, now=at(5000))
    assert [(end.key, end.reason, end.client) for end in recorded(store, at(5000))] == [
        (silent, EndReason.PRESENCE_LOST, None),
        (unused, recorded_reason(store, unused), None),
    ]


def recorded_reason(store: SessionStore, key: bytes) -> EndReason | None:
    """Return the reason that the login page would be told."""
    reason = store.why_ended(key)
    assert reason in (EndReason.IDLE, EndReason.ABSOLUTE)
    return reason


def test_an_end_by_the_card_says_from_where(store: SessionStore) -> None:
    lease = store.open_lease(KEY, grace=timedelta(seconds=60), now=MOMENT)
    store.create(DOCTOR, KEY, lease=lease, now=MOMENT)
    store.end_lease(lease, 1, EndReason.CARD_REMOVED, now=at(1), client=CLIENT)
    (end,) = recorded(store)
    assert (end.reason, end.client) == (EndReason.CARD_REMOVED, CLIENT)


def test_an_end_that_could_not_be_written_is_handed_out_again(store: SessionStore) -> None:
    keys = [new(store, at(number)) for number in range(3)]
    for key in keys:
        store.end(key, EndReason.LOGOUT, now=at(5))
    written: list[bytes] = []

    def one_line_then_no_space(end: SessionEnd) -> None:
        if written:
            raise OSError("no space")
        written.append(end.key)

    with pytest.raises(OSError, match="no space"):
        store.record_ends(one_line_then_no_space, now=at(6))
    assert written == keys[:1]
    # Another process waits until the first one surely does not write any more.
    assert [end.key for end in recorded(store, at(60))] == keys[1:]


def test_an_end_stays_until_it_is_recorded_however_long(store: SessionStore) -> None:
    old = new(store)
    store.end(old, EndReason.LOGOUT, now=MOMENT)
    later = at(10_000)
    young = new(store, later)
    store.end(young, EndReason.LOGOUT, now=later)
    assert [end.key for end in recorded(store, later)] == [old, young]


def test_more_ends_than_fit_in_one_step_are_all_handed_out(store: SessionStore) -> None:
    keys = [new(store) for _ in range(230)]
    for key in keys:
        store.end(key, EndReason.ADMINISTRATOR, now=at(1))
    assert [end.key for end in recorded(store, at(2))] == keys


def test_who_is_in_is_told_oldest_first_and_nothing_is_changed(store: SessionStore) -> None:
    second, first = new(store, at(10)), new(store)
    ended = new(store)
    store.end(ended, EndReason.LOGOUT, now=at(20))
    assert [each.key for each in store.living(now=at(20))] == [first, second]
    assert [each.seen_at for each in store.living(now=at(20))] == [MOMENT, at(10)]


def test_who_is_past_a_limit_is_not_in(store: SessionStore) -> None:
    lease = store.open_lease(KEY, grace=timedelta(seconds=60), now=MOMENT)
    silent = cookie_hash(store.create(DOCTOR, KEY, lease=lease, now=MOMENT))
    assert [each.key for each in store.living(now=at(59))] == [silent]
    assert list(store.living(now=at(60))) == []
    assert recorded(store, at(60)) == [], "only looked at"


def test_many_who_are_in_are_told_in_several_steps(store: SessionStore) -> None:
    keys = {new(store, at(number % 7)) for number in range(520)}
    told = [each.key for each in store.living(now=at(10))]
    assert set(told) == keys
    assert len(told) == len(keys)


def test_all_there_is_can_be_counted(store: SessionStore) -> None:
    assert store.counts() == SessionCounts(sessions=0, leases=0, unrecorded_ends=0)
    lease = store.open_lease(KEY, grace=timedelta(seconds=60), now=MOMENT)
    store.create(DOCTOR, KEY, lease=lease, now=MOMENT)
    store.end(new(store), EndReason.LOGOUT, now=MOMENT)
    assert store.counts() == SessionCounts(sessions=1, leases=1, unrecorded_ends=1)


ENDS = 60


def _record_all(place: StorePlace, together: Barrier) -> list[bytes]:
    keys: list[bytes] = []
    with opened(place) as store:
        together.wait()
        for _ in range(20):
            store.record_ends(lambda end: keys.append(end.key), now=MOMENT)
    return keys


def test_two_processes_record_each_end_once(store_place: StorePlace) -> None:
    with opened(store_place) as store:
        keys = [new(store) for _ in range(ENDS)]
        for key in keys:
            store.end(key, EndReason.LOGOUT, now=MOMENT)
    one, two = in_two_processes(_record_all, store_place)
    assert sorted(one + two) == sorted(keys)


def test_a_slow_log_keeps_nobody_from_logging_in(store_place: StorePlace) -> None:
    with opened(store_place) as store, opened(store_place) as other:
        store.end(new(store), EndReason.LOGOUT, now=MOMENT)
        others: list[bytes] = []

        def slow(end: SessionEnd) -> None:
            others.append(new(other))

        assert store.record_ends(slow, now=at(1)) == 1
        assert other.get(others[0], now=at(2))
