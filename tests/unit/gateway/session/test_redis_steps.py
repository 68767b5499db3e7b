"""What the steps leave in a Redis server, of leases above all; the contracts test what they do."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from gateway.errors import LoginRejectedError, StoreReplacedError, StoreUnavailableError
from gateway.redis_server import RedisServer
from gateway.session import redis_steps
from gateway.session.cookie import cookie_hash
from gateway.session.model import EndReason
from gateway.session.redis import FEED_COUNT, RedisSessionStore
from gateway.settings import SessionSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key
from tests.support.redis_servers import redis_process

KEY = agent_key()
SETTINGS = SessionSettings(idle_seconds=100, absolute_seconds=1000, touch_seconds=10)
GRACE = timedelta(seconds=60)
OF_LEASES = ("owned", "leases", "by-presence")


def at(seconds: float) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


@pytest.fixture
def store(redis_server: RedisServer) -> RedisSessionStore:
    return RedisSessionStore(redis_server, SETTINGS)


def opened(store: RedisSessionStore, now: datetime = MOMENT) -> str:
    return store.open_lease(KEY, grace=GRACE, now=now)


def leased(store: RedisSessionStore) -> tuple[str, bytes]:
    lease = opened(store)
    return lease, cookie_hash(store.create(DOCTOR, KEY, lease=lease, now=MOMENT))


def kept(server: RedisServer) -> set[str]:
    """Return which keys there are."""
    return {name for name in redis_steps.KEYS if server.ask("EXISTS", server.key(name))}


def test_a_step_reads_no_key_that_an_end_of_all_would_leave() -> None:
    assert set(redis_steps.READ_KEYS + redis_steps.RENEW_KEYS + redis_steps.LIST_KEYS) < set(
        redis_steps.KEYS
    )
    assert redis_steps.KEYS[0] == "state", "all behind it is wiped when an era ends"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(
            lambda store, lease, key: store.end(key, EndReason.LOGOUT, now=MOMENT), id="logout"
        ),
        pytest.param(
            lambda store, lease, key: store.end_lease(lease, 1, EndReason.CARD_REMOVED, now=MOMENT),
            id="card removed",
        ),
        pytest.param(lambda store, lease, key: store.ended_since(0, now=at(60)), id="silence"),
        pytest.param(lambda store, lease, key: store.ended_since(0, now=at(2000)), id="long ago"),
    ],
)
def test_nothing_of_a_lease_outlives_its_session(
    store: RedisSessionStore,
    redis_server: RedisServer,
    end: Callable[[RedisSessionStore, str, bytes], object],
) -> None:
    lease, key = leased(store)
    assert set(OF_LEASES) < kept(redis_server)
    end(store, lease, key)
    assert kept(redis_server) == {"state", "ended", "reasons", "unrecorded"}
    store.record_ends(lambda end: None, now=at(2000))
    assert kept(redis_server) == {"state", "ended", "reasons"}


def test_nothing_stays_of_a_lease_that_nobody_came_for(
    store: RedisSessionStore, redis_server: RedisServer
) -> None:
    opened(store)
    assert list(store.ended_since(0, now=at(60))[1]) == []
    assert kept(redis_server) == {"state"}


def test_leases_go_by_themselves_when_no_gateway_runs(
    store: RedisSessionStore, redis_server: RedisServer
) -> None:
    opened(store)
    leased(store)
    lives_for = {name: redis_server.ask("TTL", redis_server.key(name)) for name in OF_LEASES}
    assert all(1000 + 60 < seconds <= 1000 + 180 for seconds in lives_for.values()), lives_for


def test_why_sessions_ended_goes_with_the_news_of_it(
    store: RedisSessionStore, redis_server: RedisServer
) -> None:
    for number in range(5):
        key = cookie_hash(store.create(DOCTOR, KEY, now=at(number)))
        store.end(key, EndReason.LOGOUT, now=at(number))
    store.record_ends(lambda end: None, now=at(5))
    last = cookie_hash(store.create(DOCTOR, KEY, now=at(5000)))
    for _ in range(3):
        store.end(last, EndReason.LOGOUT, now=at(5000))
        last = cookie_hash(store.create(DOCTOR, KEY, now=at(5000)))
    told = redis_server.ask("XLEN", redis_server.key("ended"))
    assert redis_server.ask("HLEN", redis_server.key("reasons")) == told < 5


def test_a_server_out_of_memory_still_hears_of_cards() -> None:
    with redis_process() as process:
        server = process.server()
        store = RedisSessionStore(server, SETTINGS)
        lease, key = leased(store)
        server.ask("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(StoreUnavailableError, match="maxmemory"):
            opened(store)
        assert store.renew_lease(lease, 1, now=at(30))
        assert store.get(key, now=at(89)).present_until == at(90)
        assert store.end_lease(lease, 2, EndReason.CARD_REMOVED, now=at(89)) == key
        server.close()


def test_an_emptied_server_knows_no_lease(
    store: RedisSessionStore, redis_server: RedisServer
) -> None:
    lease, key = leased(store)
    cursor, _ = store.ended_since(0, now=MOMENT)
    # As if the server was set back: what a gateway saw is not there any more.
    redis_server.ask("HSET", redis_server.key("state"), "changes", 0)
    with pytest.raises(StoreReplacedError):
        store.ended_since(cursor, now=at(1))
    assert store.lease_key(lease) is None
    assert store.renew_lease(lease, 1, now=at(1)) is False
    assert store.why_ended(key) is None
    with pytest.raises(LoginRejectedError):
        store.create(DOCTOR, KEY, lease=lease, now=at(1))


def test_more_silent_leases_than_fit_one_step_all_end(store: RedisSessionStore) -> None:
    keys = {leased(store)[1] for _ in range(FEED_COUNT + 10)}
    told: set[bytes] = set()
    cursor = 0
    for _ in range(3):
        cursor, ended = store.ended_since(cursor, now=at(60))
        told |= set(ended)
    assert told == keys


@pytest.mark.parametrize("name", OF_LEASES[1:])
def test_a_lease_of_which_a_part_is_missing_lets_nobody_in(
    store: RedisSessionStore, redis_server: RedisServer, name: str
) -> None:
    lease, key = leased(store)
    redis_server.ask("DEL", redis_server.key(name))
    if name == "by-presence":
        with pytest.raises(StoreUnavailableError):
            store.get(key, now=MOMENT)
        assert store.renew_lease(lease, 1, now=MOMENT) is False
    else:
        with pytest.raises(StoreUnavailableError):
            store.renew_lease(lease, 1, now=MOMENT)
        assert store.lease_key(lease) is None
