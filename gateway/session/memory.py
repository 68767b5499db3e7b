"""Sessions in the memory of one process: for tests, and the plainest form of the contract."""

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from cps.authtoken.jwk import AgentKey
from gateway.errors import SessionRequiredError
from gateway.identity import VerifiedIdentity
from gateway.session.cookie import COOKIE_BYTES, cookie_hash
from gateway.session.lease import lease_is_over, new_lease_id, stale_counter
from gateway.session.limits import SessionLimits
from gateway.session.model import EndReason, Session, SessionCounts, SessionEnd
from gateway.settings import SessionSettings


@dataclass(slots=True, kw_only=True)
class _Lease:
    agent_key: AgentKey
    grace: timedelta
    present_until: datetime
    counter: int = 0
    session: bytes | None = None
    """Key of the session, once there is one."""


class MemorySessionStore:
    """A :class:`gateway.session.model.SessionStore` that ends with its process."""

    def __init__(self, settings: SessionSettings) -> None:
        self._limits = SessionLimits.of(settings)
        self._lock = threading.Lock()
        self._living: dict[bytes, Session] = {}
        self._leases: dict[str, _Lease] = {}
        self._ended: dict[int, SessionEnd] = {}
        self._unrecorded: list[SessionEnd] = []
        self._numbers = count(1)

    def open_lease(self, agent_key: AgentKey, *, grace: timedelta, now: datetime) -> str:
        lease = new_lease_id()
        with self._lock:
            self._leases = {
                name: other
                for name, other in self._leases.items()
                if other.session is not None or other.present_until > now
            }
            self._leases[lease] = _Lease(
                agent_key=agent_key, grace=grace, present_until=now + grace
            )
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
        key = cookie_hash(cookie)
        with self._lock:
            self._living[key] = Session(
                key=key,
                identity=identity,
                agent_key=agent_key,
                created_at=now,
                seen_at=now,
                present_until=None if lease is None else self._bind(lease, key, now),
            )
        return cookie

    def get(self, key: bytes, *, now: datetime) -> Session:
        with self._lock:
            session = self._living.get(key)
            if session is None:
                raise SessionRequiredError("no such session")
            reason = self._end_reason(session, now)
            if reason is not None:
                self._end(key, reason, now)
                raise SessionRequiredError(reason)
            if self._limits.is_touch_due(seen_at=session.seen_at, now=now):
                session = replace(session, seen_at=now)
                self._living[key] = session
            return session

    def end(
        self, key: bytes, reason: EndReason, *, now: datetime, client: str | None = None
    ) -> bool:
        with self._lock:
            return self._end(key, reason, now, client)

    def why_ended(self, key: bytes) -> EndReason | None:
        with self._lock:
            return next(
                (EndReason(end.reason) for end in self._ended.values() if end.key == key), None
            )

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        with self._lock:
            for session in list(self._living.values()):
                if reason := self._end_reason(session, now):
                    self._end(session.key, reason, now)
            ended = [(number, end.key) for number, end in self._ended.items() if number > cursor]
        return max([cursor, *(number for number, _ in ended)]), [key for _, key in ended]

    def record_ends(self, record: Callable[[SessionEnd], None], *, now: datetime) -> int:
        count = 0
        with self._lock:
            while self._unrecorded:
                record(self._unrecorded[0])
                del self._unrecorded[0]
                count += 1
        return count

    def living(self, *, now: datetime) -> Iterator[Session]:
        with self._lock:
            living = [each for each in self._living.values() if not self._end_reason(each, now)]
        return iter(sorted(living, key=lambda each: each.created_at))

    def counts(self) -> SessionCounts:
        with self._lock:
            return SessionCounts(
                sessions=len(self._living),
                leases=len(self._leases),
                unrecorded_ends=len(self._unrecorded),
            )

    def lease_key(self, lease: str) -> AgentKey | None:
        with self._lock:
            found = self._leases.get(lease)
            return None if found is None else found.agent_key

    def renew_lease(self, lease: str, counter: int, *, now: datetime) -> bool:
        with self._lock:
            found = self._leases.get(lease)
            if found is None or found.present_until <= now:
                return False
            if counter <= found.counter:
                raise stale_counter(counter)
            found.counter = counter
            if found.session is not None:
                found.present_until = max(found.present_until, now + found.grace)
                self._living[found.session] = replace(
                    self._living[found.session], present_until=found.present_until
                )
            return True

    def end_lease(
        self,
        lease: str,
        counter: int,
        reason: EndReason,
        *,
        now: datetime,
        client: str | None = None,
    ) -> bytes | None:
        with self._lock:
            found = self._leases.get(lease)
            if found is None:
                return None
            if counter <= found.counter:
                raise stale_counter(counter)
            del self._leases[lease]
            if found.session is not None:
                self._end(found.session, reason, now, client)
            return found.session

    def _bind(self, lease: str, key: bytes, now: datetime) -> datetime:
        """Give the lease that waits to the session *key*; return until when it runs."""
        waiting = self._leases.get(lease)
        if waiting is None or waiting.session is not None or waiting.present_until <= now:
            raise lease_is_over()
        waiting.session = key
        waiting.present_until = now + waiting.grace
        return waiting.present_until

    def _end_reason(self, session: Session, now: datetime) -> EndReason | None:
        return self._limits.end_reason(
            created_at=session.created_at,
            seen_at=session.seen_at,
            present_until=session.present_until,
            now=now,
        )

    def _end(self, key: bytes, reason: EndReason, now: datetime, client: str | None = None) -> bool:
        session = self._living.pop(key, None)
        if session is None:
            return False
        self._leases = {name: lease for name, lease in self._leases.items() if lease.session != key}
        oldest = self._limits.forget_before(now)
        self._ended = {number: end for number, end in self._ended.items() if end.at >= oldest}
        end = SessionEnd(
            key=key,
            national_id=session.identity.national_id,
            reason=reason,
            at=now,
            client=client,
        )
        self._ended[next(self._numbers)] = end
        self._unrecorded.append(end)
        return True
