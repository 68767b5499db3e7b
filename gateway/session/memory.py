"""Sessions in the memory of one process: for tests, and the plainest form of the contract."""

import secrets
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count

from cps.authtoken.jwk import AgentKey
from gateway.errors import SessionRequiredError
from gateway.identity import VerifiedIdentity
from gateway.session.cookie import COOKIE_BYTES, cookie_hash
from gateway.session.limits import SessionLimits
from gateway.session.model import EndReason, Session
from gateway.settings import SessionSettings


class MemorySessionStore:
    """A :class:`gateway.session.model.SessionStore` that ends with its process."""

    def __init__(self, settings: SessionSettings) -> None:
        self._limits = SessionLimits.of(settings)
        self._lock = threading.Lock()
        self._living: dict[bytes, Session] = {}
        self._ended: dict[int, tuple[bytes, datetime]] = {}
        self._numbers = count(1)

    def create(self, identity: VerifiedIdentity, agent_key: AgentKey, *, now: datetime) -> bytes:
        cookie = secrets.token_bytes(COOKIE_BYTES)
        session = Session(
            key=cookie_hash(cookie),
            identity=identity,
            agent_key=agent_key,
            created_at=now,
            seen_at=now,
        )
        with self._lock:
            self._living[session.key] = session
        return cookie

    def get(self, key: bytes, *, now: datetime) -> Session:
        with self._lock:
            session = self._living.get(key)
            if session is None:
                raise SessionRequiredError("no such session")
            reason = self._end_reason(session, now)
            if reason is not None:
                self._end(key, now)
                raise SessionRequiredError(reason)
            if self._limits.is_touch_due(seen_at=session.seen_at, now=now):
                session = replace(session, seen_at=now)
                self._living[key] = session
            return session

    def end(self, key: bytes, reason: EndReason, *, now: datetime) -> bool:
        with self._lock:
            return self._end(key, now)

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        with self._lock:
            for session in list(self._living.values()):
                if self._end_reason(session, now) is not None:
                    self._end(session.key, now)
            ended = [(number, key) for number, (key, _) in self._ended.items() if number > cursor]
        return max([cursor, *(number for number, _ in ended)]), [key for _, key in ended]

    def _end_reason(self, session: Session, now: datetime) -> EndReason | None:
        return self._limits.end_reason(
            created_at=session.created_at, seen_at=session.seen_at, now=now
        )

    def _end(self, key: bytes, now: datetime) -> bool:
        if self._living.pop(key, None) is None:
            return False
        oldest = self._limits.forget_before(now)
        self._ended = {n: entry for n, entry in self._ended.items() if entry[1] >= oldest}
        self._ended[next(self._numbers)] = (key, now)
        return True
