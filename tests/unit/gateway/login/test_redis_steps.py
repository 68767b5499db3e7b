"""What the steps leave in a Redis server; the contracts test what they do."""

from collections.abc import Callable

import pytest

from gateway.login import redis_steps
from gateway.login.redis import RedisChallengeStore
from gateway.redis_server import RedisServer
from gateway.settings import LoginSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key

BROWSER = b"b" * 32
SECRETS = ("nonce", "agent_key", "identity", "code_hash", "lease")


@pytest.fixture
def store(redis_server: RedisServer) -> RedisChallengeStore:
    return RedisChallengeStore(redis_server, LoginSettings())


def settled(store: RedisChallengeStore) -> str:
    rid, code = offered(store)
    store.settle(code, BROWSER, now=MOMENT)
    return rid


def failed(store: RedisChallengeStore) -> str:
    rid, _ = offered(store)
    store.fail(rid)
    return rid


def offered(store: RedisChallengeStore) -> tuple[str, str]:
    rid = store.begin(agent_key(), now=MOMENT).rid
    store.take(rid, now=MOMENT)
    offer = store.offer(store.complete(rid, DOCTOR, now=MOMENT), BROWSER, now=MOMENT)
    return rid, offer.answer_code


def keys(server: RedisServer, beginning: str) -> int:
    return len(server.ask("KEYS", server.key(beginning) + b"*"))


def test_a_login_in_no_browser_leaves_no_trace_of_one(
    redis_server: RedisServer, store: RedisChallengeStore
) -> None:
    rid = store.begin(agent_key(), now=MOMENT).rid
    assert redis_server.ask("HEXISTS", redis_server.key(f"attempt:{rid}"), "pre_hash") == 0
    assert keys(redis_server, "browser:") == 0
    store.fail(rid)


def test_an_offer_exchanges_the_code(redis_server: RedisServer, store: RedisChallengeStore) -> None:
    offered(store)
    assert keys(redis_server, "code:") == 1


@pytest.mark.parametrize("end", [settled, failed], ids=["settled", "failed"])
def test_an_end_leaves_no_code_and_no_secret(
    redis_server: RedisServer,
    store: RedisChallengeStore,
    end: Callable[[RedisChallengeStore], str],
) -> None:
    rid = end(store)
    kept = redis_server.ask("HMGET", redis_server.key(f"attempt:{rid}"), *SECRETS)
    assert kept == [None] * len(SECRETS)
    assert keys(redis_server, "code:") == 0
    assert not store.knows_browser(BROWSER, now=MOMENT)


def test_every_key_goes_by_itself(redis_server: RedisServer, store: RedisChallengeStore) -> None:
    offered(store)
    store.keep_target("/a", now=MOMENT)
    beginnings = (*redis_steps.KEYS, *redis_steps.TARGET_KEYS)
    found = [
        key
        for name in beginnings
        for key in redis_server.ask("KEYS", redis_server.key(name) + b"*")
    ]
    assert len(found) >= len(beginnings)
    assert all(redis_server.ask("TTL", key) > 0 for key in found)
