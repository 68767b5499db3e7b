"""What every session store does with leases; one parameter for each implementation."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.lease import MAX_COUNTER, require_lease_id
from gateway.errors import LoginRejectedError, SessionRequiredError
from gateway.session.cookie import cookie_hash
from gateway.session.lease import give_back
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason, SessionStore
from gateway.session.redis import RedisSessionStore
from gateway.settings import LoginSettings, SessionSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key
from tests.support.processes import in_two_processes
from tests.support.store_places import StorePlace

SETTINGS = SessionSettings(idle_seconds=1000, absolute_seconds=10_000, touch_seconds=10)
KEY = agent_key()
GRACE = timedelta(seconds=60)
INSTANT = timedelta(microseconds=1)
UNKNOWN = "AAECAwQFBgcICQoLDA0ODw"


def at(seconds: float) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionStore]:
    if request.param == "memory":
        yield MemorySessionStore(SETTINGS)
    elif request.param == "sqlite":
        with StorePlace("sqlite", tmp_path).opened(LoginSettings(), SETTINGS) as stores:
            yield stores.sessions
    else:
        yield RedisSessionStore(request.getfixturevalue("redis_server"), SETTINGS)


def opened(store: SessionStore, now: datetime = MOMENT) -> str:
    return store.open_lease(KEY, grace=GRACE, now=now)


def leased(store: SessionStore, now: datetime = MOMENT) -> tuple[str, bytes]:
    """Return a lease and the key of its session."""
    lease = opened(store, now)
    return lease, cookie_hash(store.create(DOCTOR, KEY, lease=lease, now=now))


def removed(store: SessionStore, lease: str, counter: int, now: datetime = MOMENT) -> bytes | None:
    return store.end_lease(lease, counter, EndReason.CARD_REMOVED, now=now)


def lives(store: SessionStore, key: bytes, now: datetime = MOMENT) -> bool:
    try:
        store.get(key, now=now)
    except SessionRequiredError:
        return False
    return True


def refused(step: Callable[[], object]) -> ErrorCode:
    with pytest.raises(LoginRejectedError) as caught:
        step()
    return caught.value.reason


def test_a_lease_has_a_random_name_of_its_own_and_keeps_the_key(store: SessionStore) -> None:
    leases = {opened(store) for _ in range(20)}
    assert len(leases) == 20
    assert {store.lease_key(require_lease_id(lease)) for lease in leases} == {KEY}


def test_the_name_of_a_lease_says_nothing_of_its_session(store: SessionStore) -> None:
    lease, key = leased(store)
    assert lease.encode() not in key
    assert not lives(store, lease.encode())


def test_an_unknown_lease_is_over(store: SessionStore) -> None:
    opened(store)
    assert store.lease_key(UNKNOWN) is None
    assert store.renew_lease(UNKNOWN, 1, now=MOMENT) is False
    assert removed(store, UNKNOWN, 1) is None


def test_a_session_without_lease_needs_no_heartbeat(store: SessionStore) -> None:
    key = cookie_hash(store.create(DOCTOR, KEY, now=MOMENT))
    assert store.get(key, now=at(999)).present_until is None


def test_a_session_ends_with_its_grace(store: SessionStore) -> None:
    _, key = leased(store)
    assert store.get(key, now=MOMENT + GRACE - INSTANT).present_until == MOMENT + GRACE
    assert not lives(store, key, MOMENT + GRACE)
    assert store.why_ended(key) is EndReason.PRESENCE_LOST
    assert not lives(store, key, MOMENT)


def test_the_grace_counts_from_the_session_and_not_from_the_token(store: SessionStore) -> None:
    lease = opened(store)
    key = cookie_hash(store.create(DOCTOR, KEY, lease=lease, now=at(30)))
    assert lives(store, key, at(89))
    assert not lives(store, key, at(90))


def test_a_heartbeat_prolongs_a_session(store: SessionStore) -> None:
    lease, key = leased(store)
    for counter in range(1, 10):
        assert store.renew_lease(lease, counter, now=at(59 * counter))
    assert store.get(key, now=at(59 * 9 + 59)).present_until == at(59 * 9 + 60)
    assert not lives(store, key, at(59 * 9 + 60))


def test_a_heartbeat_prolongs_no_idle_session(store: SessionStore) -> None:
    lease, key = leased(store)
    for counter in range(1, 21):
        assert store.renew_lease(lease, counter, now=at(50 * counter))
    assert not lives(store, key, at(1000))
    assert store.why_ended(key) is EndReason.IDLE


def test_a_heartbeat_of_one_session_keeps_no_other(store: SessionStore) -> None:
    lease, key = leased(store)
    _, other = leased(store)
    store.renew_lease(lease, 1, now=at(50))
    assert lives(store, key, at(60))
    assert not lives(store, other, at(60))


def test_use_of_the_portal_is_no_presence(store: SessionStore) -> None:
    _, key = leased(store)
    for seconds in range(0, 60, 10):
        assert store.get(key, now=at(seconds)).seen_at == at(seconds)
    assert not lives(store, key, at(60))


def test_a_heartbeat_that_comes_too_late_restores_nothing(store: SessionStore) -> None:
    lease, key = leased(store)
    assert store.renew_lease(lease, 1, now=at(60)) is False
    assert not lives(store, key, at(60))
    assert store.renew_lease(lease, 2, now=MOMENT) is False
    assert not lives(store, key, MOMENT)


def test_a_clock_that_goes_back_shortens_no_lease(store: SessionStore) -> None:
    lease, key = leased(store)
    assert store.renew_lease(lease, 1, now=at(40))
    assert store.renew_lease(lease, 2, now=at(10))
    assert store.get(key, now=at(99)).present_until == at(100)


@pytest.mark.parametrize("counter", [5, 4, 1], ids=["repeated", "one before", "long before"])
def test_a_counter_only_rises(store: SessionStore, counter: int) -> None:
    lease, key = leased(store)
    assert store.renew_lease(lease, 5, now=at(10))
    assert refused(lambda: store.renew_lease(lease, counter, now=at(50))) == (
        ErrorCode.REQUEST_FORBIDDEN
    )
    assert refused(lambda: removed(store, lease, counter, at(50))) == ErrorCode.REQUEST_FORBIDDEN
    assert store.get(key, now=at(69)).present_until == at(70)
    assert not lives(store, key, at(70))


def test_counters_reach_as_far_as_json(store: SessionStore) -> None:
    lease, _ = leased(store)
    last = 2**53 - 1
    assert store.renew_lease(lease, last - 1, now=MOMENT)
    assert store.renew_lease(lease, last, now=MOMENT)
    assert refused(lambda: store.renew_lease(lease, last, now=MOMENT))


def test_a_removal_ends_its_session_and_no_other(store: SessionStore) -> None:
    lease, key = leased(store)
    _, other = leased(store)
    cursor, _ = store.ended_since(0, now=MOMENT)
    assert removed(store, lease, 1) == key
    assert not lives(store, key)
    assert lives(store, other)
    assert list(store.ended_since(cursor, now=MOMENT)[1]) == [key]
    assert store.why_ended(key) is EndReason.CARD_REMOVED
    assert store.why_ended(other) is None


def test_nothing_restores_a_session_whose_card_left(store: SessionStore) -> None:
    lease, key = leased(store)
    removed(store, lease, 1)
    assert store.lease_key(lease) is None
    assert store.renew_lease(lease, 2, now=MOMENT) is False
    assert removed(store, lease, 3) is None
    assert refused(lambda: store.create(DOCTOR, KEY, lease=lease, now=MOMENT))
    assert not lives(store, key)
    assert store.why_ended(key) is EndReason.CARD_REMOVED


def test_the_lease_goes_with_a_session_that_ends_otherwise(store: SessionStore) -> None:
    lease, key = leased(store)
    store.end(key, EndReason.LOGOUT, now=MOMENT)
    assert store.lease_key(lease) is None
    assert store.renew_lease(lease, 1, now=MOMENT) is False
    assert removed(store, lease, 2) is None
    assert store.why_ended(key) is EndReason.LOGOUT


def test_silence_is_told_to_open_streams(store: SessionStore) -> None:
    _, silent = leased(store)
    lease, heard = leased(store)
    store.renew_lease(lease, 1, now=at(10))
    cursor, ended = store.ended_since(0, now=at(60) - INSTANT)
    assert list(ended) == []
    cursor, ended = store.ended_since(cursor, now=at(60))
    assert list(ended) == [silent]
    assert store.why_ended(silent) is EndReason.PRESENCE_LOST
    cursor, ended = store.ended_since(cursor, now=at(70))
    assert list(ended) == [heard]
    assert store.ended_since(cursor, now=at(80)) == (cursor, [])


def test_a_lease_is_good_for_one_session(store: SessionStore) -> None:
    lease, key = leased(store)
    assert refused(lambda: store.create(DOCTOR, KEY, lease=lease, now=MOMENT)) == (
        ErrorCode.CARD_REMOVED
    )
    assert removed(store, lease, 1) == key


def test_no_session_begins_on_a_lease_that_is_unknown(store: SessionStore) -> None:
    assert refused(lambda: store.create(DOCTOR, KEY, lease=UNKNOWN, now=MOMENT)) == (
        ErrorCode.CARD_REMOVED
    )


def test_a_card_that_left_before_the_browser_came_back_opens_nothing(store: SessionStore) -> None:
    lease = opened(store)
    assert removed(store, lease, 1) is None
    assert refused(lambda: store.create(DOCTOR, KEY, lease=lease, now=MOMENT)) == (
        ErrorCode.CARD_REMOVED
    )
    assert list(store.ended_since(0, now=MOMENT)[1]) == []


def test_heartbeats_before_the_session_count_and_prolong_nothing(store: SessionStore) -> None:
    lease = opened(store)
    assert store.renew_lease(lease, 1, now=at(30))
    assert refused(lambda: store.renew_lease(lease, 1, now=at(30)))
    assert store.renew_lease(lease, 2, now=at(60)) is False
    assert refused(lambda: store.create(DOCTOR, KEY, lease=lease, now=at(60)))


def test_what_was_heard_before_the_session_is_not_good_again(store: SessionStore) -> None:
    lease = opened(store)
    store.renew_lease(lease, 3, now=at(10))
    store.create(DOCTOR, KEY, lease=lease, now=at(20))
    assert refused(lambda: store.renew_lease(lease, 3, now=at(20)))
    assert store.renew_lease(lease, 4, now=at(20))


def test_a_lease_that_nobody_came_for_is_forgotten_and_ends_nothing(store: SessionStore) -> None:
    lease = opened(store)
    _, key = leased(store, at(50))
    assert list(store.ended_since(0, now=at(60))[1]) == []
    opened(store, at(60))
    assert store.lease_key(lease) is None
    assert lives(store, key, at(60))


@pytest.mark.parametrize("heard", [0, 1, MAX_COUNTER], ids=["nothing", "a heartbeat", "the last"])
def test_a_lease_that_is_not_wanted_is_given_back(store: SessionStore, heard: int) -> None:
    unwanted, other = opened(store), opened(store)
    if heard:
        assert store.renew_lease(unwanted, heard, now=at(1))
    give_back(store, unwanted, now=at(2))
    assert store.lease_key(unwanted) is None
    assert store.lease_key(other) is not None
    give_back(store, unwanted, now=at(3))
    give_back(store, None, now=at(3))


def test_why_a_session_ended_is_forgotten_with_its_end(store: SessionStore) -> None:
    lease, key = leased(store)
    removed(store, lease, 1)
    store.record_ends(lambda end: None, now=MOMENT)
    later = at(10_000 + 61)
    young = cookie_hash(store.create(DOCTOR, KEY, now=later))
    assert store.why_ended(key) is EndReason.CARD_REMOVED
    store.end(young, EndReason.LOGOUT, now=later)
    assert store.why_ended(key) is None


def test_many_threads_agree_on_who_was_first_with_a_counter(store: SessionStore) -> None:
    def race(lease: str, counter: int, together: threading.Barrier) -> bool:
        together.wait()
        try:
            return store.renew_lease(lease, counter, now=MOMENT)
        except LoginRejectedError:
            return False

    with ThreadPoolExecutor(4) as pool:
        lease, _ = leased(store)
        for counter in range(1, 11):
            together = threading.Barrier(4)
            results = list(pool.map(race, [lease] * 4, [counter] * 4, [together] * 4))
            assert sorted(results) == [False, False, False, True]


def test_two_stores_in_one_place_share_leases(store_place: StorePlace) -> None:
    login = LoginSettings()
    with store_place.opened(login, SETTINGS) as one, store_place.opened(login, SETTINGS) as two:
        lease = opened(one.sessions)
        key = cookie_hash(two.sessions.create(DOCTOR, KEY, lease=lease, now=MOMENT))
        assert one.sessions.renew_lease(lease, 1, now=at(40))
        assert refused(lambda: two.sessions.renew_lease(lease, 1, now=at(40)))
        assert two.sessions.get(key, now=at(99)).present_until == at(100)
        assert removed(two.sessions, lease, 2, at(99)) == key
        assert not lives(one.sessions, key, at(99))
        assert list(one.sessions.ended_since(0, now=at(99))[1]) == [key]


ROUNDS = 40


def _renew_and_end(place: StorePlace, leases: list[str], together: Barrier) -> list[bool]:
    results = []
    with place.opened(LoginSettings(), SETTINGS) as stores:
        for lease in leases:
            together.wait(30)
            results.append(removed(stores.sessions, lease, 1, at(50)) is not None)
            # A heartbeat in flight must not bring back what either process ended just now.
            results.append(stores.sessions.renew_lease(lease, 2, now=at(50)))
    return results


def test_two_processes_agree_on_who_ended_a_lease(store_place: StorePlace) -> None:
    with store_place.opened(LoginSettings(), SETTINGS) as stores:
        leases = [leased(stores.sessions) for _ in range(ROUNDS)]
        names = [lease for lease, _ in leases]
        first, second = in_two_processes(_renew_and_end, store_place, names)
        assert all(one != two for one, two in zip(first[::2], second[::2], strict=True))
        assert not any(first[1::2] + second[1::2])
        assert not any(lives(stores.sessions, key, at(50)) for _, key in leases)
