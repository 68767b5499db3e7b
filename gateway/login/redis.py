"""Login attempts in a Redis server: each step once, whichever machine takes it.

An attempt belongs to the run of the server in which it began. A server that was started again may
hold an old copy, in which a code that was used is good again; so whoever was logging in then has
to begin anew.
"""

import hmac
import secrets
from datetime import datetime, timedelta

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from cps.authtoken.frame import NONCE_BYTES, RID_BYTES
from cps.authtoken.jwk import AgentKey
from gateway.database import from_micros, to_micros
from gateway.errors import LoginRejectedError, StoreUnavailableError
from gateway.identity import VerifiedIdentity
from gateway.login.attempt import (
    KEEP_SECONDS,
    code_hash,
    new_code,
    new_target_id,
    step_refusal,
    unknown_attempt,
    unknown_code,
    wrong_browser,
)
from gateway.login.challenge import Challenge, ChallengeState, CompletedLogin, Nonce
from gateway.login.target import HOME, same_origin_target
from gateway.redis_server import RedisServer, Reply, Script, Value
from gateway.session.limits import CLOCK_STEP
from gateway.session.record import (
    agent_key_from_text,
    agent_key_to_text,
    identity_from_text,
    identity_to_text,
)
from gateway.settings import LoginSettings

_KEYS = ("attempt:", "code:", "browser:", "attempts")
_TARGET_KEYS = ("target:", "targets")
_NO_LEASE = b""
_UNSAID = b""

# Times are microseconds since 1970. The first three of KEYS are beginnings of keys.
_BEGIN = """#!lua
local ATTEMPT, CODE, BROWSER, ATTEMPTS = unpack(KEYS)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

local function read(rid, ...)
    return redis.call('HMGET', ATTEMPT .. rid, ...)
end

-- Move the attempt from one state to the next, or return the answer that says why not.
local function step(rid, from, to, now, latest_beginning)
    local row = read(rid, 'run', 'state', 'expires_at', 'created_at')
    if row[1] ~= run then
        return {0}
    end
    local is_in_time = tonumber(row[3]) > tonumber(now)
        and tonumber(row[4]) <= tonumber(latest_beginning)
    if row[2] ~= from or not is_in_time then
        return {0, row[2]}
    end
    redis.call('HSET', ATTEMPT .. rid, 'state', to)
end

-- Nothing follows this state: forget what only a further step would need.
local function finish(rid, state, failure)
    local row = read(rid, 'pre_hash', 'code_hash')
    redis.call('HSET', ATTEMPT .. rid, 'state', state)
    if failure and failure ~= '' then
        redis.call('HSET', ATTEMPT .. rid, 'failure', failure)
    end
    redis.call('HDEL', ATTEMPT .. rid, 'nonce', 'agent_key', 'identity', 'code_hash', 'lease')
    redis.call('ZREM', BROWSER .. row[1], rid)
    if row[2] then
        redis.call('DEL', CODE .. row[2])
    end
end
"""

_CREATE = Script(f"""{_BEGIN}
local rid, pre_hash, now, expires_at, keep, limit = unpack(ARGV, 1, 6)
redis.call('HSET', ATTEMPT .. rid, 'state', 'new', 'run', run, 'pre_hash', pre_hash,
    'created_at', now, 'expires_at', expires_at, unpack(ARGV, 7))
redis.call('EXPIRE', ATTEMPT .. rid, keep)
redis.call('ZREMRANGEBYSCORE', BROWSER .. pre_hash, '-inf', now)
redis.call('ZADD', BROWSER .. pre_hash, expires_at, rid)
redis.call('EXPIRE', BROWSER .. pre_hash, keep)
redis.call('LPUSH', ATTEMPTS, rid)
redis.call('EXPIRE', ATTEMPTS, keep)
for _ = 1, math.min(redis.call('LLEN', ATTEMPTS) - limit, 100) do
    local oldest = redis.call('RPOP', ATTEMPTS)
    if redis.call('EXISTS', ATTEMPT .. oldest) == 1 then
        finish(oldest, 'failed')
        redis.call('DEL', ATTEMPT .. oldest)
    end
end
""")

_CLAIM = Script(f"""{_BEGIN}
local rid, now, latest_beginning, agent_key = unpack(ARGV)
local refusal = step(rid, 'new', 'claimed', now, latest_beginning)
if refusal then
    return refusal
end
redis.call('HSET', ATTEMPT .. rid, 'agent_key', agent_key)
return {{1, unpack(read(rid, 'nonce', 'target', 'agent_key', 'expires_at'))}}
""")

_TAKE = Script(f"""{_BEGIN}
local rid, now, latest_beginning = unpack(ARGV)
local refusal = step(rid, 'claimed', 'taken', now, latest_beginning)
if refusal then
    return refusal
end
local row = read(rid, 'nonce', 'target', 'agent_key', 'expires_at')
redis.call('HDEL', ATTEMPT .. rid, 'nonce')
return {{1, unpack(row)}}
""")

_COMPLETE = Script(f"""{_BEGIN}
local rid, now, latest_beginning, identity, code_hash, code_expires_at, keep, lease = unpack(ARGV)
local refusal = step(rid, 'taken', 'verified', now, latest_beginning)
if refusal then
    return refusal
end
redis.call('HSET', ATTEMPT .. rid, 'identity', identity, 'code_hash', code_hash,
    'code_expires_at', code_expires_at, 'lease', lease)
redis.call('SET', CODE .. code_hash, rid, 'EX', keep)
redis.call('ZADD', BROWSER .. read(rid, 'pre_hash')[1], 'XX', 'GT', code_expires_at, rid)
return {{1}}
""")

_FAIL = Script(f"""{_BEGIN}
local rid, failure = unpack(ARGV)
local state = read(rid, 'state')[1]
if state and state ~= 'used' and state ~= 'failed' then
    finish(rid, 'failed', failure)
end
""")

_CLAIMANT = Script(f"""{_BEGIN}
local row = read(ARGV[1], 'run', 'state', 'agent_key')
return row[1] == run and row[2] == 'claimed' and {{row[3]}} or {{}}
""")

_ABORT = Script(f"""{_BEGIN}
local rid, now, latest_beginning, agent_key, failure = unpack(ARGV)
local row = read(rid, 'state', 'agent_key')
if row[1] == 'claimed' and row[2] ~= agent_key then
    return {{0, row[1]}}
end
local refusal = step(rid, 'claimed', 'failed', now, latest_beginning)
if refusal then
    return refusal
end
finish(rid, 'failed', failure)
return {{1}}
""")

_FAILURE = Script(f"""{_BEGIN}
local row = read(ARGV[1], 'run', 'failure')
return row[1] == run and row[2] and {{row[2]}} or {{}}
""")

_REDEEM = Script(f"""{_BEGIN}
local code_hash, pre_hash, now, latest_beginning = unpack(ARGV)
local rid = redis.call('GET', CODE .. code_hash)
if not rid then
    return {{0}}
end
local row = read(rid, 'run', 'state', 'code_expires_at', 'created_at', 'pre_hash',
    'identity', 'agent_key', 'target', 'lease')
if row[1] ~= run or row[2] ~= 'verified' or tonumber(row[3]) <= tonumber(now)
    or tonumber(row[4]) > tonumber(latest_beginning) then
    return {{0}}
end
if row[5] ~= pre_hash then
    finish(rid, 'failed')
    return {{0, rid}}
end
finish(rid, 'used')
return {{1, row[6], row[7], row[8], row[9]}}
""")

_STATE = Script(f"""{_BEGIN}
local row = read(ARGV[1], 'run', 'pre_hash', 'state', 'expires_at', 'code_expires_at')
if row[1] ~= run then
    return {{0}}
end
return {{1, unpack(row, 2)}}
""")

_KEEP_TARGET = Script("""#!lua
local TARGET, TARGETS = unpack(KEYS)
local name, target, keep, limit = unpack(ARGV)
redis.call('SET', TARGET .. name, target, 'EX', keep)
redis.call('LPUSH', TARGETS, name)
redis.call('EXPIRE', TARGETS, keep)
for _ = 1, math.min(redis.call('LLEN', TARGETS) - limit, 100) do
    redis.call('DEL', TARGET .. redis.call('RPOP', TARGETS))
end
""")


class RedisChallengeStore:
    """A :class:`gateway.login.challenge.ChallengeStore` on a Redis server.

    Each step is one script that looks at the state it starts from, so of any number of machines
    that try it at once one gets through. What a later step does not need is wiped in the same
    script. The server's own clock only throws away what is over for long.
    """

    def __init__(self, server: RedisServer, settings: LoginSettings) -> None:
        self._server = server
        self._settings = settings
        self._keys = [server.key(name) for name in _KEYS]
        self._target_keys = [server.key(name) for name in _TARGET_KEYS]
        self._keep_seconds = settings.challenge_seconds + settings.code_seconds + KEEP_SECONDS

    def keep_target(self, target: str, *, now: datetime) -> str:
        name = new_target_id()
        kept = f"{to_micros(now)} {same_origin_target(target)}"
        seconds = self._settings.target_seconds + KEEP_SECONDS
        self._server.run(
            _KEEP_TARGET, self._target_keys, (name, kept, seconds, self._settings.targets)
        )
        return name

    def create(self, *, target_id: str | None, pre_hash: bytes, now: datetime) -> Challenge:
        challenge = Challenge(
            rid=b64url_encode(secrets.token_bytes(RID_BYTES)),
            nonce=Nonce(secrets.token_bytes(NONCE_BYTES)),
            target=self._target(target_id, now),
            agent_key=None,
            expires_at=now + timedelta(seconds=self._settings.challenge_seconds),
        )
        self._run(
            _CREATE,
            challenge.rid,
            pre_hash,
            to_micros(now),
            to_micros(challenge.expires_at),
            self._keep_seconds,
            self._settings.challenges,
            *("nonce", bytes(challenge.nonce)),
            *("target", challenge.target),
        )
        return challenge

    def knows_browser(self, pre_hash: bytes, *, now: datetime) -> bool:
        key = self._server.key("browser:") + pre_hash
        return bool(self._server.ask("ZCOUNT", key, f"({to_micros(now)}", "+inf"))

    def claim(self, rid: str, agent_key: AgentKey, *, now: datetime) -> Challenge:
        found = self._run(_CLAIM, rid, *_times(now), agent_key_to_text(agent_key))
        return _challenge(rid, _done(rid, found, ChallengeState.NEW))

    def take(self, rid: str, *, now: datetime) -> Challenge:
        found = self._run(_TAKE, rid, *_times(now))
        return _challenge(rid, _done(rid, found, ChallengeState.CLAIMED))

    def fail(self, rid: str, code: ErrorCode | None = None) -> None:
        self._run(_FAIL, rid, code or _UNSAID)

    def claimant(self, rid: str) -> AgentKey | None:
        found = self._run(_CLAIMANT, rid)
        return agent_key_from_text(found[0]) if found else None

    def abort(self, rid: str, agent_key: AgentKey, code: ErrorCode, *, now: datetime) -> None:
        found = self._run(_ABORT, rid, *_times(now), agent_key_to_text(agent_key), code)
        _done(rid, found, ChallengeState.CLAIMED)

    def failure(self, rid: str) -> ErrorCode | None:
        found = self._run(_FAILURE, rid)
        return ErrorCode(found[0].decode()) if found else None

    def complete(
        self, rid: str, identity: VerifiedIdentity, *, now: datetime, lease: str | None = None
    ) -> str:
        code, hashed = new_code()
        code_expires_at = now + timedelta(seconds=self._settings.code_seconds)
        found = self._run(
            _COMPLETE,
            rid,
            *_times(now),
            identity_to_text(identity),
            hashed,
            to_micros(code_expires_at),
            self._keep_seconds,
            lease or _NO_LEASE,
        )
        _done(rid, found, ChallengeState.TAKEN)
        return code

    def redeem(self, code: str, pre_hash: bytes | None, *, now: datetime) -> CompletedLogin:
        is_good, *facts = self._run(_REDEEM, code_hash(code), pre_hash or b"", *_times(now))
        if not is_good:
            raise wrong_browser(facts[0].decode(), pre_hash) if facts else unknown_code()
        identity, agent_key, target, lease = facts
        return CompletedLogin(
            identity=identity_from_text(identity),
            agent_key=agent_key_from_text(agent_key),
            target=target.decode(),
            lease=None if lease == _NO_LEASE else lease.decode(),
        )

    def state(self, rid: str, pre_hash: bytes, *, now: datetime) -> ChallengeState:
        is_known, *facts = self._run(_STATE, rid)
        if not is_known:
            raise unknown_attempt()
        beginner, name, expires_at, code_expires_at = facts
        if not hmac.compare_digest(beginner, pre_hash):
            raise LoginRejectedError(ErrorCode.BROWSER_MISMATCH, f"state of {rid} asked")
        state = _state(name)
        if state in (ChallengeState.USED, ChallengeState.FAILED):
            return state
        ends = code_expires_at if state is ChallengeState.VERIFIED else expires_at
        if int(ends) <= to_micros(now):
            raise LoginRejectedError(ErrorCode.RID_EXPIRED, f"{rid} ended {state}")
        return state

    def _run(self, script: Script, *values: Value) -> Reply:
        return self._server.run(script, self._keys, values)

    def _target(self, target_id: str | None, now: datetime) -> str:
        if target_id is None:
            return HOME
        kept = self._server.ask("GET", self._target_keys[0] + target_id.encode())
        if kept is None:
            return HOME
        kept_at, _, target = kept.decode().partition(" ")
        oldest = now - timedelta(seconds=self._settings.target_seconds)
        return target if int(kept_at) > to_micros(oldest) else HOME


def _times(now: datetime) -> tuple[int, int]:
    """Return the present, and the latest beginning that a clock set back a little can explain."""
    return to_micros(now), to_micros(now + CLOCK_STEP)


def _done(rid: str, answer: Reply, wanted: ChallengeState) -> Reply:
    """Return the facts that a step answered with.

    :raises LoginRejectedError: where the step from *wanted* was refused.
    """
    is_done, *facts = answer
    if is_done:
        return facts
    raise step_refusal(rid, _state(facts[0]), wanted) if facts else unknown_attempt()


def _state(name: bytes) -> ChallengeState:
    try:
        return ChallengeState(name.decode())
    except ValueError as exc:
        raise StoreUnavailableError("a login attempt in the store cannot be read") from exc


def _challenge(rid: str, facts: Reply) -> Challenge:
    nonce, target, agent_key, expires_at = facts
    return Challenge(
        rid=rid,
        nonce=Nonce(nonce),
        target=target.decode(),
        agent_key=agent_key_from_text(agent_key),
        expires_at=from_micros(int(expires_at)),
    )
