"""Login attempts in a Redis server: each step once, whichever machine takes it.

An attempt belongs to the run of the server in which it began. A server that was started again may
hold an old copy, in which a code that was used is good again; so whoever was logging in then has
to begin anew.
"""

import hmac
from datetime import datetime, timedelta

from cps.authtoken.codes import ErrorCode
from cps.authtoken.jwk import AgentKey
from gateway.database import from_micros, to_micros
from gateway.errors import LoginRejectedError, StoreUnavailableError
from gateway.identity import VerifiedIdentity
from gateway.login import redis_steps
from gateway.login.attempt import (
    ANSWER_SECONDS,
    KEEP_SECONDS,
    code_ends,
    code_hash,
    code_of_a_browser,
    new_challenge,
    new_code,
    new_target_id,
    step_refusal,
    unknown_attempt,
    unknown_code,
    wrong_browser,
)
from gateway.login.challenge import Challenge, ChallengeState, CompletedLogin, Nonce, Offer
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

_NO_LEASE = b""
_NO_BROWSER = b""
"""For an attempt that an agent began; the attempt then has no such field."""
_UNSAID = b""


class RedisChallengeStore:
    """A :class:`gateway.login.challenge.ChallengeStore` on a Redis server.

    Each step is one script that looks at the state it starts from, so of any number of machines
    that try it at once one gets through. What a later step does not need is wiped in the same
    script. The server's own clock only throws away what is over for long. What the scripts do is
    :mod:`gateway.login.redis_steps`.
    """

    def __init__(self, server: RedisServer, settings: LoginSettings) -> None:
        self._server = server
        self._settings = settings
        self._keys = [server.key(name) for name in redis_steps.KEYS]
        self._target_keys = [server.key(name) for name in redis_steps.TARGET_KEYS]
        self._keep_seconds = settings.challenge_seconds + settings.code_seconds + KEEP_SECONDS

    def keep_target(self, target: str, *, now: datetime) -> str:
        name = new_target_id()
        kept = f"{to_micros(now)} {same_origin_target(target)}"
        seconds = self._settings.target_seconds + KEEP_SECONDS
        self._server.run(
            redis_steps.KEEP_TARGET,
            self._target_keys,
            (name, kept, seconds, self._settings.targets),
        )
        return name

    def create(self, *, target_id: str | None, pre_hash: bytes, now: datetime) -> Challenge:
        challenge = new_challenge(self._target(target_id, now), None, self._settings, now=now)
        self._add(challenge, ChallengeState.NEW, pre_hash, now)
        return challenge

    def begin(self, agent_key: AgentKey, *, now: datetime) -> Challenge:
        challenge = new_challenge(HOME, agent_key, self._settings, now=now)
        text = agent_key_to_text(agent_key)
        self._add(challenge, ChallengeState.CLAIMED, _NO_BROWSER, now, "agent_key", text)
        return challenge

    def knows_browser(self, pre_hash: bytes, *, now: datetime) -> bool:
        key = self._server.key("browser:") + pre_hash
        return bool(self._server.ask("ZCOUNT", key, f"({to_micros(now)}", "+inf"))

    def claim(self, rid: str, agent_key: AgentKey, *, now: datetime) -> Challenge:
        found = self._run(redis_steps.CLAIM, rid, *_times(now), agent_key_to_text(agent_key))
        return _challenge(rid, _done(rid, found, ChallengeState.NEW))

    def take(self, rid: str, *, now: datetime) -> Challenge:
        found = self._run(redis_steps.TAKE, rid, *_times(now))
        return _challenge(rid, _done(rid, found, ChallengeState.CLAIMED))

    def fail(self, rid: str, code: ErrorCode | None = None) -> None:
        self._run(redis_steps.FAIL, rid, code or _UNSAID)

    def claimant(self, rid: str) -> AgentKey | None:
        found = self._run(redis_steps.CLAIMANT, rid)
        return agent_key_from_text(found[0]) if found else None

    def abort(self, rid: str, agent_key: AgentKey, code: ErrorCode, *, now: datetime) -> None:
        found = self._run(redis_steps.ABORT, rid, *_times(now), agent_key_to_text(agent_key), code)
        _done(rid, found, ChallengeState.CLAIMED)

    def failure(self, rid: str) -> ErrorCode | None:
        found = self._run(redis_steps.FAILURE, rid)
        return ErrorCode(found[0].decode()) if found else None

    def complete(
        self, rid: str, identity: VerifiedIdentity, *, now: datetime, lease: str | None = None
    ) -> str:
        code, hashed = new_code()
        found = self._run(
            redis_steps.COMPLETE,
            rid,
            *_times(now),
            identity_to_text(identity),
            hashed,
            *(to_micros(end) for end in code_ends(self._settings, now=now)),
            self._keep_seconds,
            lease or _NO_LEASE,
        )
        _done(rid, found, ChallengeState.TAKEN)
        return code

    def redeem(self, code: str, pre_hash: bytes | None, *, now: datetime) -> CompletedLogin:
        return self._use(code, ChallengeState.VERIFIED, pre_hash, now)

    def offer(self, code: str, pre_hash: bytes, *, now: datetime) -> Offer:
        answer_code, hashed = new_code()
        is_good, *facts = self._run(
            redis_steps.OFFER,
            code_hash(code),
            pre_hash,
            *_times(now),
            hashed,
            to_micros(now + timedelta(seconds=ANSWER_SECONDS)),
            self._keep_seconds,
        )
        if not is_good:
            raise code_of_a_browser(facts[0].decode()) if facts else unknown_code()
        rid, identity = facts
        return Offer(
            rid=rid.decode(), identity=identity_from_text(identity), answer_code=answer_code
        )

    def settle(self, answer_code: str, pre_hash: bytes | None, *, now: datetime) -> CompletedLogin:
        return self._use(answer_code, ChallengeState.OFFERED, pre_hash, now)

    def state(self, rid: str, pre_hash: bytes, *, now: datetime) -> ChallengeState:
        is_known, *facts = self._run(redis_steps.STATE, rid)
        if not is_known:
            raise unknown_attempt()
        beginner, name, expires_at, code_expires_at = facts
        if beginner is None or not hmac.compare_digest(beginner, pre_hash):
            raise LoginRejectedError(ErrorCode.BROWSER_MISMATCH, f"state of {rid} asked")
        state = _state(name)
        if state in (ChallengeState.USED, ChallengeState.FAILED):
            return state
        has_code = state in (ChallengeState.VERIFIED, ChallengeState.OFFERED)
        ends = code_expires_at if has_code else expires_at
        if int(ends) <= to_micros(now):
            raise LoginRejectedError(ErrorCode.RID_EXPIRED, f"{rid} ended {state}")
        return state

    def _add(
        self,
        challenge: Challenge,
        state: ChallengeState,
        pre_hash: bytes,
        now: datetime,
        *more: Value,
    ) -> None:
        self._run(
            redis_steps.CREATE,
            challenge.rid,
            pre_hash,
            to_micros(now),
            to_micros(challenge.expires_at),
            self._keep_seconds,
            self._settings.challenges,
            *("state", state),
            *("nonce", bytes(challenge.nonce)),
            *("target", challenge.target),
            *more,
        )

    def _use(
        self, code: str, held: ChallengeState, pre_hash: bytes | None, now: datetime
    ) -> CompletedLogin:
        """Move *held* to ``used`` in the right browser and to ``failed`` in any other, once."""
        is_good, *facts = self._run(
            redis_steps.USE, code_hash(code), pre_hash or b"", *_times(now), held
        )
        if not is_good:
            raise wrong_browser(facts[0].decode(), pre_hash) if facts else unknown_code()
        identity, agent_key, target, lease = facts
        return CompletedLogin(
            identity=identity_from_text(identity),
            agent_key=agent_key_from_text(agent_key),
            target=target.decode(),
            lease=None if lease == _NO_LEASE else lease.decode(),
        )

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
