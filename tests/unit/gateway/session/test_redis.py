from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cps.authtoken.encoding import b64url_encode
from gateway.errors import SessionRequiredError, StoreReplacedError, StoreUnavailableError
from gateway.redis_server import RedisServer, Reply, Script, Value
from gateway.session.cookie import cookie_hash
from gateway.session.model import EndReason
from gateway.session.redis import FEED_COUNT, RedisSessionStore
from gateway.settings import SessionSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key
from tests.support.redis_servers import RedisProcess, redis_process

KEY = agent_key()
SETTINGS = SessionSettings(idle_seconds=100, absolute_seconds=1000, touch_seconds=10)
NAMES = ("sessions", "by-age", "by-use", "ended")


def at(seconds: float) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


@pytest.fixture
def store(redis_server: RedisServer) -> RedisSessionStore:
    return RedisSessionStore(redis_server, SETTINGS)


def new(store: RedisSessionStore, now: datetime = MOMENT) -> bytes:
    return cookie_hash(store.create(DOCTOR, KEY, now=now))


def lives(store: RedisSessionStore, key: bytes, now: datetime = MOMENT) -> bool:
    try:
        store.get(key, now=now)
    except SessionRequiredError:
        return False
    return True


def logout(store: RedisSessionStore, key: bytes) -> bool:
    return store.end(key, EndReason.LOGOUT, now=MOMENT)


def cursor_now(store: RedisSessionStore) -> int:
    return store.ended_since(0, now=MOMENT)[0]


def replacement(store: RedisSessionStore, cursor: int, now: datetime = MOMENT) -> int:
    """Return the cursor to go on from, where the feed says that everything ended."""
    with pytest.raises(StoreReplacedError) as caught:
        store.ended_since(cursor, now=now)
    return caught.value.cursor


def feed(store: RedisSessionStore, cursor: int, now: datetime = MOMENT) -> Sequence[bytes]:
    return store.ended_since(cursor, now=now)[1]


@contextmanager
def stores(process: RedisProcess, count: int = 1) -> Iterator[list[RedisSessionStore]]:
    """Return the stores of so many gateways."""
    servers = [process.server() for _ in range(count)]
    yield [RedisSessionStore(server, SETTINGS) for server in servers]
    for server in servers:
        server.close()


# What is kept


def test_the_server_never_learns_the_cookie(tmp_path: Path) -> None:
    with redis_process("--appendonly", "yes") as process, stores(process) as (store,):
        cookie = store.create(DOCTOR, KEY, now=MOMENT)
        store.get(cookie_hash(cookie), now=MOMENT)
        store.end(cookie_hash(cookie), EndReason.LOGOUT, now=MOMENT)
        process.server().ask("SAVE")
        process.stop()
        written = b"".join(f.read_bytes() for f in process.folder.rglob("*") if f.is_file())
    assert cookie_hash(cookie) in written
    assert cookie not in written
    assert b64url_encode(cookie).encode() not in written


def test_what_is_kept_goes_by_itself_when_no_gateway_runs(
    store: RedisSessionStore, redis_server: RedisServer
) -> None:
    key = new(store)
    new(store)
    logout(store, key)
    lives_for = {name: redis_server.ask("TTL", redis_server.key(name)) for name in NAMES}
    # The absolute limit, and what clocks may differ by.
    assert all(1000 + 60 < seconds <= 1000 + 180 for seconds in lives_for.values()), lives_for


def test_nothing_of_a_session_stays_but_its_end(
    store: RedisSessionStore, redis_server: RedisServer
) -> None:
    key = new(store)
    store.end(key, EndReason.ADMINISTRATOR, now=at(5))
    for name in NAMES[:3]:
        assert redis_server.ask("EXISTS", redis_server.key(name)) == 0
    ((_, fields),) = redis_server.ask("XRANGE", redis_server.key("ended"), "-", "+")
    assert fields[:4] == [b"key", key, b"reason", b"administrator"]


@pytest.mark.parametrize(
    ("seconds", "reason"), [(100, b"idle"), (-61, b"absolute")], ids=["idle", "future"]
)
def test_the_feed_keeps_the_limit_that_ended_a_session(
    store: RedisSessionStore, redis_server: RedisServer, seconds: int, reason: bytes
) -> None:
    new(store)
    feed(store, 0, at(seconds))
    ((_, fields),) = redis_server.ask("XRANGE", redis_server.key("ended"), "-", "+")
    assert fields[3] == reason


@pytest.mark.parametrize(
    "record",
    [
        pytest.param("", id="empty"),
        pytest.param("{}\n{}", id="no members"),
        pytest.param("\n\n", id="more lines"),
        pytest.param(b"\xff", id="not UTF-8"),
    ],
)
def test_a_damaged_record_lets_nobody_in(
    store: RedisSessionStore, redis_server: RedisServer, record: str | bytes
) -> None:
    key = new(store)
    redis_server.ask("HSET", redis_server.key("sessions"), key, record)
    with pytest.raises(StoreUnavailableError):
        store.get(key, now=MOMENT)


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_session_of_which_a_part_is_missing_lets_nobody_in(
    store: RedisSessionStore, redis_server: RedisServer, name: str
) -> None:
    key = new(store)
    redis_server.ask("DEL", redis_server.key(name))
    assert not lives(store, key)


ASK: list[Callable[[RedisSessionStore], object]] = [
    lambda s: s.create(DOCTOR, KEY, now=MOMENT),
    lambda s: s.get(bytes(32), now=MOMENT),
    lambda s: s.end(bytes(32), EndReason.LOGOUT, now=MOMENT),
    lambda s: s.ended_since(0, now=MOMENT),
]


@pytest.mark.parametrize("ask", ASK, ids=["create", "get", "end", "ended_since"])
def test_a_server_that_is_away_lets_nobody_in(
    store: RedisSessionStore, redis_server: RedisServer, ask: Callable[[RedisSessionStore], object]
) -> None:
    redis_server.close()
    with pytest.raises(StoreUnavailableError):
        ask(store)


def test_a_server_out_of_memory_still_ends_sessions() -> None:
    with redis_process() as process, stores(process) as (store,):
        key = new(store)
        process.server().ask("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(StoreUnavailableError, match="maxmemory"):
            new(store)
        assert lives(store, key, at(20))
        assert logout(store, key)
        assert list(feed(store, 0)) == [key]


def test_more_ends_than_fit_one_step_are_told_in_one_call(store: RedisSessionStore) -> None:
    keys = {new(store) for _ in range(FEED_COUNT + 10)}
    cursor = cursor_now(store)
    for end_of_all in (at(100), at(100)):
        told = feed(store, cursor, end_of_all)
        assert len(told) == len(keys)
        assert set(told) == keys


# What happens meanwhile, elsewhere


class InterruptedServer:
    """Lets something else happen between a session's reading and the note of its use."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.meanwhile: Callable[[], object] | None = None

    def key(self, name: str) -> bytes:
        return self._server.key(name)

    def run(self, script: Script, keys: Sequence[bytes], values: Sequence[Value]) -> Reply:
        reply = self._server.run(script, keys, values)
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            happening()
        return reply


def test_a_request_does_not_bring_back_what_ends_meanwhile(
    store: RedisSessionStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new(store)
    interrupted = InterruptedServer(redis_server)
    interrupted.meanwhile = lambda: logout(store, key)
    slow = RedisSessionStore(redis_server, SETTINGS)
    monkeypatch.setattr(slow, "_server", interrupted)
    assert not lives(slow, key, at(40))
    assert redis_server.ask("EXISTS", redis_server.key("by-use")) == 0


def test_a_later_use_noted_meanwhile_stays(
    store: RedisSessionStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new(store)
    interrupted = InterruptedServer(redis_server)
    interrupted.meanwhile = lambda: store.get(key, now=at(50))
    slow = RedisSessionStore(redis_server, SETTINGS)
    monkeypatch.setattr(slow, "_server", interrupted)
    assert slow.get(key, now=at(40)).seen_at == at(50)


def test_gateways_whose_clocks_differ_agree(shared_redis: RedisProcess) -> None:
    with stores(shared_redis, 2) as (one, two):
        ahead, behind = at(30), MOMENT
        key = new(one, ahead)
        assert lives(two, key, behind)
        assert feed(two, 0, behind) == []
        # Each notes its own time; the later one counts.
        assert two.get(key, now=behind + timedelta(seconds=50)).seen_at == at(50)
        assert one.get(key, now=ahead + timedelta(seconds=50)).seen_at == at(80)
        assert two.get(key, now=behind + timedelta(seconds=60)).seen_at == at(80)
        assert logout(two, key)
        assert not lives(one, key, ahead)
        assert key in feed(one, 0, ahead)


# A server that lost something


def test_an_emptied_server_ends_everything_for_each_gateway_once(
    shared_redis: RedisProcess,
) -> None:
    with redis_process() as process, stores(process, 2) as (one, two):
        key = new(one)
        cursors = [cursor_now(one), cursor_now(two)]
        process.server().ask("FLUSHALL")
        assert not lives(one, key)
        first = replacement(one, cursors[0], at(1))
        assert feed(one, first, at(1)) == []
        # Who logged in since stays in, also when the other gateway learns of it.
        young = new(one, at(1))
        second = replacement(two, cursors[1], at(2))
        assert lives(two, young, at(2))
        two.end(young, EndReason.LOGOUT, now=at(2))
        assert feed(one, first, at(2)) == [young]
        assert feed(two, second, at(2)) == [young]


def test_a_server_started_again_empty_ends_everything() -> None:
    with redis_process() as process, stores(process, 2) as (one, two):
        keys = [new(one) for _ in range(3)]
        cursor = cursor_now(two)
        process.kill()
        with pytest.raises(StoreUnavailableError):
            two.ended_since(cursor, now=MOMENT)
        process.start()
        assert not any(lives(one, key) for key in keys)
        # As many changes as before: a number alone would not tell.
        young = [new(one, at(1)) for _ in range(3)]
        replacement(two, cursor, at(1))
        assert all(lives(two, key, at(1)) for key in young)


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
def test_a_server_started_again_with_all_its_data_goes_on(clean: bool) -> None:
    with redis_process("--appendonly", "yes") as process, stores(process, 2) as (one, two):
        ended, living = new(one), new(one)
        cursor = cursor_now(two)
        logout(one, ended)
        for _ in range(2):
            process.stop() if clean else process.kill()
            process.start()
        assert lives(two, living)
        assert not lives(two, ended)
        assert feed(two, cursor) == [ended]
        later = cursor_now(two)
        logout(one, living)
        assert feed(two, later) == [living]


def lose_logout(process: RedisProcess, store: RedisSessionStore, key: bytes) -> int:
    """Log out, and start the server again with a copy from before; return what was seen."""
    process.server().ask("SAVE")
    assert logout(store, key)
    cursor = cursor_now(store)
    process.kill()
    process.start()
    return cursor


def test_a_logout_is_not_undone_by_an_older_copy() -> None:
    with redis_process() as process, stores(process, 3) as (one, two, three):
        before = cursor_now(three)
        ended, living = new(one), new(one)
        cursor = lose_logout(process, one, ended)
        assert lives(two, ended)  # Nobody who knows better has asked yet.
        after = replacement(one, cursor)
        assert not any(lives(store, key) for store in (one, two) for key in (ended, living))
        # It is over for every gateway, whatever it had seen, and a new login stays.
        young = new(two)
        replacement(three, before)
        assert lives(three, young)
        assert feed(one, after) == []


def test_an_older_copy_is_told_though_others_changed_as_much_since() -> None:
    with redis_process() as process, stores(process, 2) as (one, two):
        ended = new(one)
        cursor = lose_logout(process, one, ended)
        # More changes than were lost, by a gateway that had not seen the logout.
        for _ in range(5):
            logout(two, new(two))
        replacement(one, cursor)
        assert not lives(two, ended)


def test_a_session_lost_with_an_older_copy_is_told() -> None:
    with redis_process() as process, stores(process, 2) as (one, two):
        old = new(one)
        process.server().ask("SAVE")
        lost = new(one)
        cursor = cursor_now(two)
        process.kill()
        process.start()
        assert not lives(two, lost)
        replacement(two, cursor)
        assert not lives(two, old)


def test_two_restarts_with_an_older_copy_are_told() -> None:
    with redis_process() as process, stores(process, 2) as (one, two):
        ended = new(one)
        process.server().ask("SAVE")
        process.kill()
        process.start()
        assert logout(one, ended)
        cursor = cursor_now(one)
        # The copy is older than the run in which the logout was seen.
        process.kill()
        process.start()
        cursor_now(two)
        assert lives(two, ended)
        replacement(one, cursor)
        assert not lives(two, ended)


def test_a_copy_from_before_everything_ended_does_not_come_back() -> None:
    with redis_process() as process, stores(process, 2) as (one, two):
        old = new(one)
        process.server().ask("SAVE")
        copy_on_disk = process.folder / "dump.rdb"
        kept = copy_on_disk.read_bytes()
        cursor = cursor_now(one)
        process.server().ask("FLUSHALL")
        cursor = replacement(one, cursor, at(1))
        process.kill()
        copy_on_disk.write_bytes(kept)
        process.start()
        assert lives(two, old)
        replacement(one, cursor, at(2))
        assert not lives(two, old)


def test_another_server_that_is_older_ends_everything_in_it() -> None:
    with (
        redis_process() as first,
        redis_process() as second,
        stores(first) as (one,),
        stores(second) as (other,),
    ):
        old = new(other, at(-10))
        new(one)
        replacement(other, cursor_now(one))
        assert not lives(other, old)


def test_another_server_that_is_younger_keeps_who_logged_in_there() -> None:
    with (
        redis_process() as first,
        redis_process() as second,
        stores(first) as (one,),
        stores(second) as (other,),
    ):
        new(one)
        young = new(other, at(10))
        replacement(other, cursor_now(one), at(10))
        assert lives(other, young, at(10))


def test_a_server_and_its_replica_that_take_turns_go_on() -> None:
    with (
        redis_process() as first,
        redis_process() as second,
        stores(first) as (one,),
        stores(second) as (two,),
    ):
        key = new(one)
        cursor = cursor_now(one)
        copy(first, second)
        assert lives(two, key)
        assert feed(two, cursor) == []
        logout(two, key)
        cursor, _ = two.ended_since(cursor, now=MOMENT)
        copy(second, first)
        assert feed(one, cursor) == []
        assert not lives(one, key)


def test_a_replica_that_lagged_ends_everything() -> None:
    with (
        redis_process() as first,
        redis_process() as second,
        stores(first) as (one,),
        stores(second) as (two,),
    ):
        key = new(one)
        copy(first, second)
        logout(one, key)
        replacement(two, cursor_now(one))
        assert not lives(two, key)


def copy(source: RedisProcess, target: RedisProcess) -> None:
    """Give *target* the keys of *source*, as the end of a replication does."""
    one, two = source.server(), target.server()
    two.ask("FLUSHALL")
    for key in one.ask("KEYS", "*"):
        two.ask("RESTORE", key, 0, one.ask("DUMP", key), "REPLACE")
    one.close()
    two.close()
