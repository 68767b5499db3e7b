"""Sessions in a Redis server: seen by every process on every machine of the gateway at once.

A session lives while the index by age has it. What each step does stands in
:mod:`gateway.session.redis_steps`.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from cps.authtoken.jwk import AgentKey
from gateway.database import from_micros, to_micros
from gateway.errors import SessionRequiredError, StoreReplacedError, StoreUnavailableError
from gateway.identity import VerifiedIdentity
from gateway.redis_server import RedisServer, Reply, Script
from gateway.session import redis_steps
from gateway.session.cookie import COOKIE_BYTES, cookie_hash
from gateway.session.lease import lease_is_over, new_lease_id, stale_counter
from gateway.session.limits import CLOCK_STEP, RECORD_COUNT, RECORD_TIME, SessionLimits
from gateway.session.model import EndReason, Session, SessionCounts, SessionEnd
from gateway.session.record import (
    agent_key_from_text,
    agent_key_to_text,
    identity_from_text,
    identity_to_text,
    reason_from_text,
)
from gateway.settings import SessionSettings

FEED_COUNT = 1000
"""Sessions ended or told in one step of the server, which answers nobody else meanwhile."""

LIST_COUNT = 200
"""Sessions read in one step where all of them are asked for."""

_TERM_BYTES = 8
_BITS = 64
_MASK = 2**_BITS - 1
_MICROSECOND = timedelta(microseconds=1)


class RedisSessionStore:
    """A :class:`gateway.session.model.SessionStore` on a Redis server."""

    def __init__(self, server: RedisServer, settings: SessionSettings) -> None:
        self._server = server
        self._limits = SessionLimits.of(settings)
        self._keys = _keys(server, redis_steps.KEYS)
        self._read_keys = _keys(server, redis_steps.READ_KEYS)
        self._renew_keys = _keys(server, redis_steps.RENEW_KEYS)
        self._take_keys = _keys(server, redis_steps.TAKE_KEYS)
        self._list_keys = _keys(server, redis_steps.LIST_KEYS)
        # Past it nobody can hold a session any more, however the machines' clocks stand.
        self._keep_seconds = settings.absolute_seconds + 3 * int(CLOCK_STEP.total_seconds())

    def open_lease(self, agent_key: AgentKey, *, grace: timedelta, now: datetime) -> str:
        lease = new_lease_id()
        text = agent_key_to_text(agent_key)
        self._change(redis_steps.OPEN_LEASE, now, lease, text, grace // _MICROSECOND)
        return lease

    def create(
        self,
        identity: VerifiedIdentity,
        agent_key: AgentKey,
        *,
        now: datetime,
        lease: str | None = None,
    ) -> bytes:
        cookie = secrets.token_bytes(COOKIE_BYTES)
        record = f"{identity_to_text(identity)}\n{agent_key_to_text(agent_key)}"
        leases = () if lease is None else (lease,)
        if not self._change(redis_steps.CREATE, now, cookie_hash(cookie), record, *leases):
            raise lease_is_over()
        return cookie

    def get(self, key: bytes, *, now: datetime) -> Session:
        session = self._read(key)
        reason = self._end_reason(session, now)
        if reason is not None:
            self.end(key, reason, now=now)
            raise SessionRequiredError(reason)
        if self._limits.is_touch_due(seen_at=session.seen_at, now=now):
            return self._read(key, to_micros(now))
        return session

    def end(
        self, key: bytes, reason: EndReason, *, now: datetime, client: str | None = None
    ) -> bool:
        return bool(self._change(redis_steps.END, now, key, reason, client or ""))

    def why_ended(self, key: bytes) -> EndReason | None:
        reason = self._server.ask("HGET", self._server.key("reasons"), key)
        return None if reason is None else reason_from_text(reason.decode())

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        ended: list[bytes] = []
        more = True
        while more:
            is_replaced, era, term, number, *rest = self._change(
                redis_steps.FEED,
                now,
                *_from_cursor(cursor),
                to_micros(now - self._limits.absolute),
                to_micros(now - self._limits.idle),
                to_micros(now + CLOCK_STEP),
                FEED_COUNT,
            )
            cursor = _to_cursor(era, term, number)
            if is_replaced:
                raise StoreReplacedError(cursor)
            more, keys = rest
            ended += keys
        return cursor, ended

    def record_ends(self, record: Callable[[SessionEnd], None], *, now: datetime) -> int:
        count = 0
        while taken := self._server.run(
            redis_steps.TAKE_ENDS,
            self._take_keys,
            (to_micros(now), to_micros(now + RECORD_TIME), RECORD_COUNT),
        ):
            for number, *fields in taken:
                record(_session_end(fields))
                self._server.ask("ZREM", self._server.key("unrecorded"), number)
                count += 1
        return count

    def living(self, *, now: datetime) -> Iterator[Session]:
        first = 0
        while page := self._server.run(redis_steps.LIST, self._list_keys, (first, LIST_COUNT)):
            first += len(page)
            for key, record, created, seen, lease, ends in page:
                if not record or not seen:
                    continue
                session = _session(key, record, created, seen, lease or None, ends)
                if not self._end_reason(session, now):
                    yield session

    def counts(self) -> SessionCounts:
        sessions, leases, unrecorded = (
            int(self._server.ask("ZCARD", self._server.key(name)))
            for name in ("by-age", "by-presence", "unrecorded")
        )
        return SessionCounts(sessions=sessions, leases=leases, unrecorded_ends=unrecorded)

    def lease_key(self, lease: str) -> AgentKey | None:
        text = self._server.ask("HGET", self._server.key("leases"), f"{lease} key")
        return None if text is None else agent_key_from_text(text)

    def renew_lease(self, lease: str, counter: int, *, now: datetime) -> bool:
        done = self._server.run(
            redis_steps.RENEW_LEASE, self._renew_keys, (lease, counter, to_micros(now))
        )
        if done < 0:
            raise stale_counter(counter)
        return bool(done)

    def end_lease(
        self,
        lease: str,
        counter: int,
        reason: EndReason,
        *,
        now: datetime,
        client: str | None = None,
    ) -> bytes | None:
        done, *owner = self._change(
            redis_steps.END_LEASE, now, lease, counter, reason, client or ""
        )
        if done < 0:
            raise stale_counter(counter)
        return owner[0] if owner else None

    def _change(self, script: Script, now: datetime, *values: bytes | str | int) -> Reply:
        return self._server.run(
            script,
            self._keys,
            (
                to_micros(now),
                secrets.token_hex(_TERM_BYTES),
                self._keep_seconds,
                to_micros(self._limits.forget_before(now)),
                *values,
            ),
        )

    def _read(self, key: bytes, *seen_at: int) -> Session:
        """Return the session, its use having been noted where the time of it is given."""
        record, created, seen, lease, ends = self._server.run(
            redis_steps.READ, self._read_keys, (key, *seen_at)
        )
        if record is None or created is None or seen is None:
            raise SessionRequiredError("no such session")
        return _session(key, record, created, seen, lease, ends)

    def _end_reason(self, session: Session, now: datetime) -> EndReason | None:
        return self._limits.end_reason(
            created_at=session.created_at,
            seen_at=session.seen_at,
            present_until=session.present_until,
            now=now,
        )


def _session(
    key: bytes,
    record: bytes,
    created: bytes,
    seen: bytes,
    lease: bytes | None,
    ends: bytes | None,
) -> Session:
    """Return the session of which the server has these facts.

    :param lease: its lease, ``None`` where it does without.
    :param ends: when the lease does; one that lacks that is a fault, not a session without lease.
    """
    try:
        identity, agent_key = record.decode().split("\n")
        return Session(
            key=key,
            identity=identity_from_text(identity),
            agent_key=agent_key_from_text(agent_key),
            created_at=from_micros(int(created)),
            seen_at=from_micros(int(seen)),
            present_until=None if lease is None else from_micros(int(ends or b"")),
        )
    except (TypeError, ValueError) as exc:
        raise StoreUnavailableError("a session in the store cannot be read") from exc


def _session_end(fields: Sequence[bytes]) -> SessionEnd:
    """Return the end that an entry of the server's stream tells of, names and values in turn."""
    facts = dict(zip(fields[::2], fields[1::2], strict=True))
    return SessionEnd(
        key=facts[b"key"],
        national_id=facts[b"national_id"].decode(),
        reason=facts[b"reason"].decode(),
        at=from_micros(int(facts[b"at"])),
        client=facts[b"client"].decode() or None,
    )


def _keys(server: RedisServer, names: Sequence[str]) -> list[bytes]:
    return [server.key(name) for name in names]


def _to_cursor(era: int, term: bytes, number: int) -> int:
    return (era << 2 * _BITS) | (int(term, 16) << _BITS) | number


def _from_cursor(cursor: int) -> tuple[int, str, int]:
    """Return era, term and number; era 0 where nothing was seen yet."""
    term = (cursor >> _BITS) & _MASK
    return cursor >> 2 * _BITS, f"{term:0{2 * _TERM_BYTES}x}", cursor & _MASK
