"""Sessions in the SQLite database: seen by every process of the gateway at once."""

import secrets
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from cps.authtoken.jwk import AgentKey
from gateway.database import Database, from_micros, to_micros
from gateway.errors import SessionRequiredError
from gateway.identity import VerifiedIdentity
from gateway.session.cookie import COOKIE_BYTES, cookie_hash
from gateway.session.limits import CLOCK_STEP, SessionLimits
from gateway.session.model import EndReason, Session
from gateway.session.record import (
    agent_key_from_text,
    agent_key_to_text,
    identity_from_text,
    identity_to_text,
)
from gateway.settings import SessionSettings

# Three questions, because for one with OR SQLite reads every session instead of an index.
_OVERDUE = """
SELECT key, created_at, seen_at FROM sessions WHERE created_at <= ?
UNION SELECT key, created_at, seen_at FROM sessions WHERE seen_at <= ?
UNION SELECT key, created_at, seen_at FROM sessions WHERE created_at > ?"""


class SQLiteSessionStore:
    """A :class:`gateway.session.model.SessionStore` on the tables ``sessions`` and ``ended``.

    A session lives while it has a row in ``sessions``. Ending moves it to ``ended`` in one
    transaction, so whoever reads ``ended`` in the order of its ids misses nothing.
    """

    def __init__(self, database: Database, settings: SessionSettings) -> None:
        self._database = database
        self._limits = SessionLimits.of(settings)

    def create(self, identity: VerifiedIdentity, agent_key: AgentKey, *, now: datetime) -> bytes:
        cookie = secrets.token_bytes(COOKIE_BYTES)
        self._database.execute(
            "INSERT INTO sessions (key, identity, agent_key, created_at, seen_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                cookie_hash(cookie),
                identity_to_text(identity),
                agent_key_to_text(agent_key),
                to_micros(now),
                to_micros(now),
            ),
        )
        return cookie

    def get(self, key: bytes, *, now: datetime) -> Session:
        rows = self._database.execute("SELECT * FROM sessions WHERE key = ?", (key,))
        if not rows:
            raise SessionRequiredError("no such session")
        session = _session(rows[0])
        reason = self._limits.end_reason(
            created_at=session.created_at, seen_at=session.seen_at, now=now
        )
        if reason is not None:
            self.end(key, reason, now=now)
            raise SessionRequiredError(reason)
        if self._limits.is_touch_due(seen_at=session.seen_at, now=now):
            return self._touch(key, now)
        return session

    def end(self, key: bytes, reason: EndReason, *, now: datetime) -> bool:
        with self._database.transaction() as connection:
            return self._end(connection, key, reason, now)

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        self._end_overdue(now)
        rows = self._database.execute(
            "SELECT id, key FROM ended WHERE id > ? ORDER BY id", (cursor,)
        )
        return (rows[-1]["id"] if rows else cursor), [row["key"] for row in rows]

    def _touch(self, key: bytes, now: datetime) -> Session:
        # One statement: it cannot bring back a session that another process ended meanwhile, nor
        # set the time back. Losing it in a power failure only ends the session earlier.
        rows = self._database.execute(
            "UPDATE sessions SET seen_at = max(seen_at, ?) WHERE key = ? RETURNING *",
            (to_micros(now), key),
            durable=False,
        )
        if not rows:
            raise SessionRequiredError("ended at this moment")
        return _session(rows[0])

    def _end_overdue(self, now: datetime) -> None:
        # Read first: asked several times a second, this takes the write lock only when needed.
        overdue = [
            (row["key"], reason)
            for row in self._database.execute(
                _OVERDUE,
                (
                    to_micros(now - self._limits.absolute),
                    to_micros(now - self._limits.idle),
                    to_micros(now + CLOCK_STEP),
                ),
            )
            if (
                reason := self._limits.end_reason(
                    created_at=from_micros(row["created_at"]),
                    seen_at=from_micros(row["seen_at"]),
                    now=now,
                )
            )
        ]
        if overdue:
            with self._database.transaction() as connection:
                for key, reason in overdue:
                    self._end(connection, key, reason, now)

    def _end(
        self, connection: sqlite3.Connection, key: bytes, reason: EndReason, now: datetime
    ) -> bool:
        if connection.execute("DELETE FROM sessions WHERE key = ?", (key,)).rowcount == 0:
            return False
        connection.execute(
            "INSERT INTO ended (key, reason, ended_at) VALUES (?, ?, ?)",
            (key, reason, to_micros(now)),
        )
        connection.execute(
            "DELETE FROM ended WHERE ended_at < ?", (to_micros(self._limits.forget_before(now)),)
        )
        return True


def _session(row: sqlite3.Row) -> Session:
    return Session(
        key=row["key"],
        identity=identity_from_text(row["identity"]),
        agent_key=agent_key_from_text(row["agent_key"]),
        created_at=from_micros(row["created_at"]),
        seen_at=from_micros(row["seen_at"]),
    )
