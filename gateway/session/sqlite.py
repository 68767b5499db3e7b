"""Sessions in the SQLite database: seen by every process of the gateway at once."""

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from cps.authtoken.jwk import AgentKey
from gateway.database import Database, from_micros, to_micros
from gateway.errors import SessionRequiredError
from gateway.identity import VerifiedIdentity
from gateway.session.cookie import COOKIE_BYTES, cookie_hash
from gateway.session.lease import lease_is_over, new_lease_id, stale_counter
from gateway.session.limits import CLOCK_STEP, RECORD_COUNT, RECORD_TIME, SessionLimits
from gateway.session.model import EndReason, Session, SessionCounts, SessionEnd
from gateway.session.record import (
    agent_key_from_text,
    agent_key_to_text,
    identity_from_text,
    identity_to_text,
    national_id_in,
    reason_from_text,
)
from gateway.settings import SessionSettings

LIST_COUNT = 500
"""Sessions read at a time where all of them are asked for."""

_MICROSECOND = timedelta(microseconds=1)
_WITH_LEASE = "SELECT sessions.*, present_until FROM sessions LEFT JOIN leases ON session = key"
_NEXT_SESSIONS = f"""
{_WITH_LEASE} WHERE (created_at, key) > (?, ?) ORDER BY created_at, key LIMIT ?"""
_BY_KEY = f"{_WITH_LEASE} WHERE key = ?"
# A question for each index, because for one with OR SQLite reads every session instead.
_OVERDUE = f"""
{_WITH_LEASE} WHERE created_at <= ?
UNION {_WITH_LEASE} WHERE seen_at <= ?
UNION {_WITH_LEASE} WHERE created_at > ?
UNION SELECT sessions.*, present_until FROM leases JOIN sessions ON key = session
    WHERE present_until <= ?"""  # noqa: S608 - constants alone


class SQLiteSessionStore:
    """A :class:`gateway.session.model.SessionStore` on the database's tables.

    A session lives while it has a row in ``sessions``. Ending moves it to ``ended`` in one
    transaction, so whoever reads ``ended`` in the order of its ids misses nothing. Its lease, a
    row in ``leases``, goes with it: no message can bring back a session that has ended.
    """

    def __init__(self, database: Database, settings: SessionSettings) -> None:
        self._database = database
        self._limits = SessionLimits.of(settings)

    def open_lease(self, agent_key: AgentKey, *, grace: timedelta, now: datetime) -> str:
        lease = new_lease_id()
        # A lease or a session that is lost in a power failure only asks for another login.
        with self._database.transaction(durable=False) as connection:
            connection.execute(
                "DELETE FROM leases WHERE present_until <= ? AND session IS NULL",
                (to_micros(now),),
            )
            connection.execute(
                "INSERT INTO leases (id, agent_key, counter, grace, present_until)"
                " VALUES (?, ?, 0, ?, ?)",
                (
                    lease,
                    agent_key_to_text(agent_key),
                    grace // _MICROSECOND,
                    to_micros(now + grace),
                ),
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
        key, moment = cookie_hash(cookie), to_micros(now)
        with self._database.transaction(durable=False) as connection:
            if lease is not None:
                bound = connection.execute(
                    "UPDATE leases SET session = ?, present_until = ? + grace"
                    " WHERE id = ? AND session IS NULL AND present_until > ?",
                    (key, moment, lease, moment),
                )
                if bound.rowcount == 0:
                    raise lease_is_over()
            connection.execute(
                "INSERT INTO sessions (key, identity, agent_key, created_at, seen_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (key, identity_to_text(identity), agent_key_to_text(agent_key), moment, moment),
            )
        return cookie

    def get(self, key: bytes, *, now: datetime) -> Session:
        rows = self._database.execute(_BY_KEY, (key,))
        if not rows:
            raise SessionRequiredError("no such session")
        reason = self._end_reason(rows[0], now)
        if reason is not None:
            self.end(key, reason, now=now)
            raise SessionRequiredError(reason)
        session = _session(rows[0])
        if self._limits.is_touch_due(seen_at=session.seen_at, now=now):
            return self._touch(session, now)
        return session

    def end(
        self, key: bytes, reason: EndReason, *, now: datetime, client: str | None = None
    ) -> bool:
        with self._database.transaction() as connection:
            return self._end(connection, key, reason, now, client)

    def why_ended(self, key: bytes) -> EndReason | None:
        rows = self._database.execute("SELECT reason FROM ended WHERE key = ?", (key,))
        return reason_from_text(rows[0]["reason"]) if rows else None

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        self._end_overdue(now)
        rows = self._database.execute(
            "SELECT id, key FROM ended WHERE id > ? ORDER BY id", (cursor,)
        )
        return (rows[-1]["id"] if rows else cursor), [row["key"] for row in rows]

    def record_ends(self, record: Callable[[SessionEnd], None], *, now: datetime) -> int:
        count = 0
        # The log may be slow. Taking comes first, so that nobody waits for it with the write lock.
        while taken := self._take_ends(now):
            for row in taken:
                record(_session_end(row))
                self._database.execute(
                    "UPDATE ended SET recorded = 1 WHERE id = ?", (row["id"],), durable=False
                )
                count += 1
        return count

    def living(self, *, now: datetime) -> Iterator[Session]:
        created_at, key = -1, b""
        while rows := self._database.execute(_NEXT_SESSIONS, (created_at, key, LIST_COUNT)):
            created_at, key = rows[-1]["created_at"], rows[-1]["key"]
            yield from (_session(row) for row in rows if self._end_reason(row, now) is None)

    def counts(self) -> SessionCounts:
        (row,) = self._database.execute(
            "SELECT (SELECT count(*) FROM sessions) AS sessions,"
            " (SELECT count(*) FROM leases) AS leases,"
            " (SELECT count(*) FROM ended WHERE recorded = 0) AS unrecorded"
        )
        return SessionCounts(
            sessions=row["sessions"], leases=row["leases"], unrecorded_ends=row["unrecorded"]
        )

    def lease_key(self, lease: str) -> AgentKey | None:
        rows = self._database.execute("SELECT agent_key FROM leases WHERE id = ?", (lease,))
        return agent_key_from_text(rows[0]["agent_key"]) if rows else None

    def renew_lease(self, lease: str, counter: int, *, now: datetime) -> bool:
        # Losing it in a power failure only ends the session earlier.
        rows = self._database.execute(
            "UPDATE leases SET counter = ?, present_until ="
            " CASE WHEN session IS NULL THEN present_until ELSE max(present_until, ? + grace) END"
            " WHERE id = ? AND counter < ? AND present_until > ? RETURNING id",
            (counter, to_micros(now), lease, counter, to_micros(now)),
            durable=False,
        )
        if not rows:
            self._require_new(lease, counter)
        return bool(rows)

    def end_lease(
        self,
        lease: str,
        counter: int,
        reason: EndReason,
        *,
        now: datetime,
        client: str | None = None,
    ) -> bytes | None:
        with self._database.transaction() as connection:
            rows: list[sqlite3.Row] = connection.execute(
                "DELETE FROM leases WHERE id = ? AND counter < ? RETURNING session",
                (lease, counter),
            ).fetchall()
            key: bytes | None = rows[0]["session"] if rows else None
            if key is not None:
                self._end(connection, key, reason, now, client)
        if not rows:
            self._require_new(lease, counter)
        return key

    def _require_new(self, lease: str, counter: int) -> None:
        """Say why a message found no lease; what is read here decides nothing."""
        if self._database.execute(
            "SELECT 1 FROM leases WHERE id = ? AND counter >= ?", (lease, counter)
        ):
            raise stale_counter(counter)

    def _touch(self, session: Session, now: datetime) -> Session:
        # One statement: it cannot bring back a session that another process ended meanwhile, nor
        # set the time back. Losing it in a power failure only ends the session earlier.
        rows = self._database.execute(
            "UPDATE sessions SET seen_at = max(seen_at, ?) WHERE key = ? RETURNING seen_at",
            (to_micros(now), session.key),
            durable=False,
        )
        if not rows:
            raise SessionRequiredError("ended at this moment")
        return replace(session, seen_at=from_micros(rows[0]["seen_at"]))

    def _end_overdue(self, now: datetime) -> None:
        # Read first: asked several times a second, this takes the write lock only when needed.
        times = (
            to_micros(now - self._limits.absolute),
            to_micros(now - self._limits.idle),
            to_micros(now + CLOCK_STEP),
            to_micros(now),
        )
        overdue = [
            (row["key"], reason)
            for row in self._database.execute(_OVERDUE, times)
            if (reason := self._end_reason(row, now))
        ]
        if overdue:
            with self._database.transaction() as connection:
                for key, reason in overdue:
                    self._end(connection, key, reason, now)

    def _end_reason(self, row: sqlite3.Row, now: datetime) -> EndReason | None:
        return self._limits.end_reason(
            created_at=from_micros(row["created_at"]),
            seen_at=from_micros(row["seen_at"]),
            present_until=_present_until(row),
            now=now,
        )

    def _end(
        self,
        connection: sqlite3.Connection,
        key: bytes,
        reason: EndReason,
        now: datetime,
        client: str | None = None,
    ) -> bool:
        rows = connection.execute(
            "DELETE FROM sessions WHERE key = ? RETURNING identity", (key,)
        ).fetchall()
        if not rows:
            return False
        connection.execute("DELETE FROM leases WHERE session = ?", (key,))
        connection.execute(
            "INSERT INTO ended (key, national_id, reason, ended_at, client, recorded)"
            " VALUES (?, ?, ?, ?, ?, 0)",
            (key, national_id_in(rows[0]["identity"]), reason, to_micros(now), client),
        )
        connection.execute(
            "DELETE FROM ended WHERE ended_at < ? AND recorded = 1",
            (to_micros(self._limits.forget_before(now)),),
        )
        return True

    def _take_ends(self, now: datetime) -> list[sqlite3.Row]:
        """Return ends that no other process records now, oldest first."""
        # Read first: asked several times a second, this takes the write lock only when needed.
        if not self._database.execute(
            "SELECT 1 FROM ended WHERE recorded = 0 AND taken_until <= ? LIMIT 1", (to_micros(now),)
        ):
            return []
        taken = self._database.execute(
            "UPDATE ended SET taken_until = ? WHERE id IN (SELECT id FROM ended"
            " WHERE recorded = 0 AND taken_until <= ? ORDER BY id LIMIT ?) RETURNING *",
            (to_micros(now + RECORD_TIME), to_micros(now), RECORD_COUNT),
            durable=False,
        )
        return sorted(taken, key=lambda row: row["id"])


def _session(row: sqlite3.Row) -> Session:
    return Session(
        key=row["key"],
        identity=identity_from_text(row["identity"]),
        agent_key=agent_key_from_text(row["agent_key"]),
        created_at=from_micros(row["created_at"]),
        seen_at=from_micros(row["seen_at"]),
        present_until=_present_until(row),
    )


def _session_end(row: sqlite3.Row) -> SessionEnd:
    return SessionEnd(
        key=row["key"],
        national_id=row["national_id"],
        reason=row["reason"],
        at=from_micros(row["ended_at"]),
        client=row["client"],
    )


def _present_until(row: sqlite3.Row) -> datetime | None:
    until = row["present_until"]
    return None if until is None else from_micros(until)
