import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode
from gateway.errors import LoginRejectedError, StoreUnavailableError
from gateway.login.attempt import KEEP_SECONDS
from gateway.login.challenge import ChallengeState
from gateway.login.redis import RedisChallengeStore
from gateway.redis_server import RedisServer
from gateway.settings import LoginSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key
from tests.support.redis_servers import redis_process

KEY = agent_key()
BROWSER = b"b" * 32
SETTINGS = LoginSettings(targets=100, challenges=100, target_seconds=60)


@pytest.fixture
def store(redis_server: RedisServer) -> RedisChallengeStore:
    return RedisChallengeStore(redis_server, SETTINGS)


def new(store: RedisChallengeStore) -> str:
    return store.create(target_id=None, pre_hash=BROWSER, now=MOMENT).rid


def claimed(store: RedisChallengeStore) -> str:
    rid = new(store)
    store.claim(rid, KEY, now=MOMENT)
    return rid


def taken(store: RedisChallengeStore) -> str:
    rid = claimed(store)
    store.take(rid, now=MOMENT)
    return rid


def verified(store: RedisChallengeStore) -> str:
    return store.complete(taken(store), DOCTOR, now=MOMENT)


def kept(server: RedisServer, rid: str, name: str) -> object:
    value: object = server.ask("HGET", server.key(f"attempt:{rid}"), name)
    return value


def count(server: RedisServer, beginning: str) -> int:
    return len(server.ask("KEYS", server.key(beginning) + b"*"))


def refusal(ask: Callable[[], object]) -> ErrorCode:
    with pytest.raises(LoginRejectedError) as caught:
        ask()
    return caught.value.reason


def test_the_nonce_is_wiped_once_the_token_arrived(
    store: RedisChallengeStore, redis_server: RedisServer
) -> None:
    rid = new(store)
    nonce = store.claim(rid, KEY, now=MOMENT).nonce
    assert kept(redis_server, rid, "nonce") == bytes(nonce)
    assert store.take(rid, now=MOMENT).nonce == nonce
    assert kept(redis_server, rid, "nonce") is None


@pytest.mark.parametrize("prepare", [new, claimed], ids=["new", "claimed"])
def test_a_failure_wipes_nonce_and_key(
    store: RedisChallengeStore,
    redis_server: RedisServer,
    prepare: Callable[[RedisChallengeStore], str],
) -> None:
    rid = prepare(store)
    store.fail(rid)
    assert kept(redis_server, rid, "nonce") is None
    assert kept(redis_server, rid, "agent_key") is None


@pytest.mark.parametrize("browser", [BROWSER, None], ids=["right browser", "no cookie"])
def test_who_logged_in_is_wiped_once_the_code_came_back(
    store: RedisChallengeStore, redis_server: RedisServer, browser: bytes | None
) -> None:
    rid = taken(store)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    assert kept(redis_server, rid, "identity") is not None
    try:
        store.redeem(code, browser, now=MOMENT)
    except LoginRejectedError:
        assert browser is None
    for name in ("identity", "agent_key", "code_hash"):
        assert kept(redis_server, rid, name) is None
    assert count(redis_server, "code:") == 0


def test_the_code_is_kept_as_a_hash_alone(
    store: RedisChallengeStore, redis_server: RedisServer
) -> None:
    rid = taken(store)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    hashed = hashlib.sha256(b64url_decode(code)).digest()
    assert redis_server.ask("KEYS", redis_server.key("code:*")) == [
        redis_server.key("code:") + hashed
    ]
    values = redis_server.ask("HGETALL", redis_server.key(f"attempt:{rid}"))
    assert hashed in values
    assert not any(code.encode() in value or b64url_decode(code) in value for value in values)


def test_a_flood_of_attempts_takes_only_the_memory_allowed(
    store: RedisChallengeStore, redis_server: RedisServer
) -> None:
    rids = [new(store) for _ in range(105)]
    assert count(redis_server, "attempt:") == 100
    assert redis_server.ask("ZCARD", redis_server.key("browser:") + BROWSER) == 100
    assert refusal(lambda: store.claim(rids[4], KEY, now=MOMENT)) is ErrorCode.RID_UNKNOWN
    assert store.claim(rids[5], KEY, now=MOMENT).rid == rids[5]


def test_an_attempt_that_gives_way_takes_its_code_with_it(
    store: RedisChallengeStore, redis_server: RedisServer
) -> None:
    code = verified(store)
    for _ in range(100):
        new(store)
    assert count(redis_server, "code:") == 0
    assert refusal(lambda: store.redeem(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID


def test_a_lower_limit_holds_after_some_attempts(
    store: RedisChallengeStore, redis_server: RedisServer
) -> None:
    generous = RedisChallengeStore(redis_server, LoginSettings(challenges=1000, targets=1000))
    for _ in range(250):
        new(generous)
        generous.keep_target("/a", now=MOMENT)
    for _ in range(3):
        new(store)
        store.keep_target("/a", now=MOMENT)
    assert count(redis_server, "attempt:") == 100
    assert count(redis_server, "target:") == 100


def test_a_flood_of_pages_takes_only_the_memory_allowed(
    store: RedisChallengeStore, redis_server: RedisServer
) -> None:
    ids = [store.keep_target(f"/{number}", now=MOMENT) for number in range(105)]
    assert count(redis_server, "target:") == 100

    def target(target_id: str) -> str:
        return store.create(target_id=target_id, pre_hash=BROWSER, now=MOMENT).target

    assert [target(ids[4]), target(ids[5]), target(ids[104])] == ["/", "/5", "/104"]


def test_old_attempts_and_pages_go_by_themselves(
    store: RedisChallengeStore, redis_server: RedisServer
) -> None:
    verified(store)
    store.keep_target("/a", now=MOMENT)
    keys = redis_server.ask("KEYS", redis_server.key("*"))
    assert len(keys) == 6
    for key in keys:
        target = b":target" in key
        seconds = SETTINGS.target_seconds if target else SETTINGS.challenge_seconds + 30
        assert seconds + KEEP_SECONDS - 5 < redis_server.ask("TTL", key) <= seconds + KEEP_SECONDS


def test_a_browser_keeps_no_attempts_that_are_over(
    store: RedisChallengeStore, redis_server: RedisServer
) -> None:
    new(store)
    later = MOMENT + timedelta(seconds=SETTINGS.challenge_seconds)
    store.create(target_id=None, pre_hash=BROWSER, now=later)
    assert redis_server.ask("ZCARD", redis_server.key("browser:") + BROWSER) == 1


@pytest.mark.parametrize("lost", [True, False], ids=["older copy", "complete data"])
def test_no_step_is_taken_twice_across_a_start_of_the_server(lost: bool) -> None:
    with redis_process() as process:
        server = process.server()
        store = RedisChallengeStore(server, SETTINGS)
        steps: dict[str, Callable[[], object]] = {}
        fresh, waiting, busy = new(store), claimed(store), taken(store)
        code = verified(store)
        steps = {
            "claim": lambda: store.claim(fresh, KEY, now=MOMENT),
            "take": lambda: store.take(waiting, now=MOMENT),
            "complete": lambda: store.complete(busy, DOCTOR, now=MOMENT),
            "state": lambda: store.state(waiting, BROWSER, now=MOMENT),
            "redeem": lambda: store.redeem(code, BROWSER, now=MOMENT),
        }
        server.ask("SAVE")
        for step in steps.values():
            step()
        if not lost:
            server.ask("SAVE")
        process.kill()
        process.start()
        refused = {name: refusal(step) for name, step in steps.items()}
        assert refused.pop("redeem") is ErrorCode.CODE_INVALID
        assert set(refused.values()) == {ErrorCode.RID_UNKNOWN}
        store.fail(waiting)
        # The next attempt is as good as any.
        rid = taken(store)
        code = store.complete(rid, DOCTOR, now=MOMENT)
        assert store.redeem(code, BROWSER, now=MOMENT).identity == DOCTOR
        assert store.state(rid, BROWSER, now=MOMENT) is ChallengeState.USED
        server.close()


def test_a_refusal_names_no_secret(store: RedisChallengeStore) -> None:
    rid = new(store)
    nonce = store.claim(rid, KEY, now=MOMENT).nonce
    store.take(rid, now=MOMENT)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    with pytest.raises(LoginRejectedError) as caught:
        store.redeem(code, None, now=MOMENT)
    assert code not in str(caught.value)
    assert nonce.hex() not in str(caught.value)
    assert rid in caught.value.detail


@pytest.mark.parametrize("name", ["state", "identity", "agent_key"])
def test_a_damaged_attempt_lets_nobody_in(
    store: RedisChallengeStore, redis_server: RedisServer, name: str
) -> None:
    rid = taken(store)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    redis_server.ask("HSET", redis_server.key(f"attempt:{rid}"), name, "{}")
    with pytest.raises((StoreUnavailableError, LoginRejectedError)):
        store.redeem(code, BROWSER, now=MOMENT)
    if name == "state":
        with pytest.raises(StoreUnavailableError):
            store.state(rid, BROWSER, now=MOMENT)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda s: s.keep_target("/", now=MOMENT), id="keep_target"),
        pytest.param(new, id="create"),
        pytest.param(lambda s: s.knows_browser(BROWSER, now=MOMENT), id="knows_browser"),
        pytest.param(lambda s: s.claim("A" * 22, KEY, now=MOMENT), id="claim"),
        pytest.param(lambda s: s.take("A" * 22, now=MOMENT), id="take"),
        pytest.param(lambda s: s.fail("A" * 22), id="fail"),
        pytest.param(lambda s: s.complete("A" * 22, DOCTOR, now=MOMENT), id="complete"),
        pytest.param(lambda s: s.redeem("A" * 43, BROWSER, now=MOMENT), id="redeem"),
        pytest.param(lambda s: s.state("A" * 22, BROWSER, now=MOMENT), id="state"),
    ],
)
def test_a_server_that_is_away_lets_nobody_in(
    store: RedisChallengeStore,
    redis_server: RedisServer,
    ask: Callable[[RedisChallengeStore], object],
) -> None:
    redis_server.close()
    with pytest.raises(StoreUnavailableError):
        ask(store)
