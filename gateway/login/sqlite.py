"""Login attempts in the SQLite database: each step once, whichever process takes it."""

import hmac
import sqlite3
from datetime import datetime, timedelta

from cps.authtoken.codes import ErrorCode
from cps.authtoken.jwk import AgentKey
from gateway.database import Database, from_micros, to_micros
from gateway.errors import LoginRejectedError
from gateway.identity import VerifiedIdentity
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
from gateway.session.limits import CLOCK_STEP
from gateway.session.record import (
    agent_key_from_text,
    agent_key_to_text,
    identity_from_text,
    identity_to_text,
)
from gateway.settings import LoginSettings

_UNFINISHED = "('new', 'claimed', 'taken', 'verified', 'offered')"
_WIPE = (
    "UPDATE challenges SET nonce = NULL, agent_key = NULL, identity = NULL, code_hash = NULL,"
    " lease = NULL WHERE rid = ?"
)


class SQLiteChallengeStore:
    """A :class:`gateway.login.challenge.ChallengeStore` on the tables ``challenges``, ``targets``.

    Each step is one UPDATE that names the state it starts from, so of any number of processes that
    try it at once one sees a row come back. What a later step does not need is wiped in the same
    transaction.

    Taking, redeeming, offering and failing are on the disk before they count: what was used or
    refused stays so after a power failure. The other steps only lose a login that must then begin
    again.
    """

    def __init__(self, database: Database, settings: LoginSettings) -> None:
        self._database = database
        self._settings = settings

    def keep_target(self, target: str, *, now: datetime) -> str:
        name = new_target_id()
        with self._database.transaction(durable=False) as connection:
            added = connection.execute(
                "INSERT INTO targets (name, target, kept_at) VALUES (?, ?, ?)",
                (name, same_origin_target(target), to_micros(now)),
            )
            connection.execute(
                "DELETE FROM targets WHERE id <= ?", (_last_id(added) - self._settings.targets,)
            )
        return name

    def create(self, *, target_id: str | None, pre_hash: bytes, now: datetime) -> Challenge:
        challenge = new_challenge(self._target(target_id, now), None, self._settings, now=now)
        self._add(challenge, ChallengeState.NEW, pre_hash, now)
        return challenge

    def begin(self, agent_key: AgentKey, *, now: datetime) -> Challenge:
        challenge = new_challenge(HOME, agent_key, self._settings, now=now)
        self._add(challenge, ChallengeState.CLAIMED, None, now)
        return challenge

    def knows_browser(self, pre_hash: bytes, *, now: datetime) -> bool:
        return bool(
            self._database.execute(
                "SELECT 1 FROM challenges WHERE pre_hash = ?"  # noqa: S608 - a constant
                f" AND state IN {_UNFINISHED} AND max(expires_at, ifnull(code_expires_at, 0)) > ?"
                " LIMIT 1",
                (pre_hash, to_micros(now)),
            )
        )

    def claim(self, rid: str, agent_key: AgentKey, *, now: datetime) -> Challenge:
        rows = self._database.execute(
            "UPDATE challenges SET state = 'claimed', agent_key = ?"
            " WHERE rid = ? AND state = 'new' AND expires_at > ? AND created_at <= ? RETURNING *",
            (agent_key_to_text(agent_key), rid, *_times(now)),
            durable=False,
        )
        if not rows:
            raise self._refusal(rid, ChallengeState.NEW)
        return _challenge(rows[0])

    def take(self, rid: str, *, now: datetime) -> Challenge:
        with self._database.transaction() as connection:
            rows: list[sqlite3.Row] = connection.execute(
                "UPDATE challenges SET state = 'taken'"
                " WHERE rid = ? AND state = 'claimed' AND expires_at > ? AND created_at <= ?"
                " RETURNING *",
                (rid, *_times(now)),
            ).fetchall()
            connection.execute(
                "UPDATE challenges SET nonce = NULL WHERE rid = ? AND state = 'taken'", (rid,)
            )
        if not rows:
            raise self._refusal(rid, ChallengeState.CLAIMED)
        return _challenge(rows[0])

    def fail(self, rid: str, code: ErrorCode | None = None) -> None:
        with self._database.transaction() as connection:
            failed = connection.execute(
                "UPDATE challenges SET state = 'failed', failure = ?"  # noqa: S608 - a constant
                f" WHERE rid = ? AND state IN {_UNFINISHED}",
                (code, rid),
            )
            if failed.rowcount:
                connection.execute(_WIPE, (rid,))

    def claimant(self, rid: str) -> AgentKey | None:
        rows = self._database.execute(
            "SELECT agent_key FROM challenges WHERE rid = ? AND state = 'claimed'", (rid,)
        )
        return agent_key_from_text(rows[0]["agent_key"]) if rows else None

    def abort(self, rid: str, agent_key: AgentKey, code: ErrorCode, *, now: datetime) -> None:
        with self._database.transaction() as connection:
            failed = connection.execute(
                "UPDATE challenges SET state = 'failed', failure = ? WHERE rid = ?"
                " AND state = 'claimed' AND agent_key = ? AND expires_at > ? AND created_at <= ?",
                (code, rid, agent_key_to_text(agent_key), *_times(now)),
            )
            if failed.rowcount:
                connection.execute(_WIPE, (rid,))
        if not failed.rowcount:
            raise self._refusal(rid, ChallengeState.CLAIMED)

    def failure(self, rid: str) -> ErrorCode | None:
        code = self._row(rid)["failure"]
        return None if code is None else ErrorCode(code)

    def complete(
        self, rid: str, identity: VerifiedIdentity, *, now: datetime, lease: str | None = None
    ) -> str:
        code, hashed = new_code()
        rows = self._database.execute(
            "UPDATE challenges SET state = 'verified', identity = ?, code_hash = ?,"
            " code_expires_at = CASE WHEN pre_hash IS NULL THEN ? ELSE ? END, lease = ?"
            " WHERE rid = ? AND state = 'taken' AND expires_at > ? AND created_at <= ?"
            " RETURNING rid",
            (
                identity_to_text(identity),
                hashed,
                *(to_micros(end) for end in code_ends(self._settings, now=now)),
                lease,
                rid,
                *_times(now),
            ),
            durable=False,
        )
        if not rows:
            raise self._refusal(rid, ChallengeState.TAKEN)
        return code

    def redeem(self, code: str, pre_hash: bytes | None, *, now: datetime) -> CompletedLogin:
        return self._use(code, ChallengeState.VERIFIED, pre_hash, now)

    def offer(self, code: str, pre_hash: bytes, *, now: datetime) -> Offer:
        answer_code, hashed = new_code()
        with self._database.transaction() as connection:
            rows: list[sqlite3.Row] = connection.execute(
                "UPDATE challenges"
                " SET state = CASE WHEN pre_hash IS NULL THEN 'offered' ELSE 'failed' END,"
                " pre_hash = ifnull(pre_hash, ?), code_hash = ?, code_expires_at = ?"
                " WHERE code_hash = ? AND state = 'verified' AND code_expires_at > ?"
                " AND created_at <= ? RETURNING *",
                (
                    pre_hash,
                    hashed,
                    to_micros(now + timedelta(seconds=ANSWER_SECONDS)),
                    code_hash(code),
                    *_times(now),
                ),
            ).fetchall()
            for row in rows:
                if row["state"] == ChallengeState.FAILED:
                    connection.execute(_WIPE, (row["rid"],))
        # Refused only here, after the commit: raising inside would undo the step.
        if not rows:
            raise unknown_code()
        login = rows[0]
        if login["state"] != ChallengeState.OFFERED:
            raise code_of_a_browser(login["rid"])
        return Offer(
            rid=login["rid"],
            identity=identity_from_text(login["identity"]),
            answer_code=answer_code,
        )

    def settle(self, answer_code: str, pre_hash: bytes | None, *, now: datetime) -> CompletedLogin:
        return self._use(answer_code, ChallengeState.OFFERED, pre_hash, now)

    def state(self, rid: str, pre_hash: bytes, *, now: datetime) -> ChallengeState:
        row = self._row(rid)
        bound = row["pre_hash"]
        if bound is None or not hmac.compare_digest(bound, pre_hash):
            raise LoginRejectedError(ErrorCode.BROWSER_MISMATCH, f"state of {rid} asked")
        state = ChallengeState(row["state"])
        if state in (ChallengeState.USED, ChallengeState.FAILED):
            return state
        has_code = state in (ChallengeState.VERIFIED, ChallengeState.OFFERED)
        ends = row["code_expires_at"] if has_code else row["expires_at"]
        if ends <= to_micros(now):
            raise LoginRejectedError(ErrorCode.RID_EXPIRED, f"{rid} ended {state}")
        return state

    def _add(
        self, challenge: Challenge, state: ChallengeState, pre_hash: bytes | None, now: datetime
    ) -> None:
        key = challenge.agent_key
        with self._database.transaction(durable=False) as connection:
            added = connection.execute(
                "INSERT INTO challenges"
                " (rid, state, nonce, agent_key, pre_hash, target, created_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    challenge.rid,
                    state,
                    bytes(challenge.nonce),
                    None if key is None else agent_key_to_text(key),
                    pre_hash,
                    challenge.target,
                    to_micros(now),
                    to_micros(challenge.expires_at),
                ),
            )
            connection.execute(
                "DELETE FROM challenges WHERE id <= ? OR expires_at <= ?",
                (
                    _last_id(added) - self._settings.challenges,
                    to_micros(now - timedelta(seconds=KEEP_SECONDS)),
                ),
            )
            connection.execute(
                "DELETE FROM targets WHERE kept_at <= ?", (to_micros(self._oldest_target(now)),)
            )

    def _use(
        self, code: str, held: ChallengeState, pre_hash: bytes | None, now: datetime
    ) -> CompletedLogin:
        """Move *held* to ``used`` in the right browser and to ``failed`` in any other, once."""
        hashed = code_hash(code)
        with self._database.transaction() as connection:
            rows: list[sqlite3.Row] = connection.execute(
                "UPDATE challenges"
                " SET state = CASE WHEN pre_hash = ? THEN 'used' ELSE 'failed' END"
                " WHERE code_hash = ? AND state = ? AND code_expires_at > ?"
                " AND created_at <= ? RETURNING *",
                (pre_hash, hashed, held, *_times(now)),
            ).fetchall()
            for row in rows:
                connection.execute(_WIPE, (row["rid"],))
        # Refused only here, after the commit: raising inside would undo the step.
        if not rows:
            raise unknown_code()
        login = rows[0]
        if login["state"] != ChallengeState.USED:
            raise wrong_browser(login["rid"], pre_hash)
        return CompletedLogin(
            identity=identity_from_text(login["identity"]),
            agent_key=agent_key_from_text(login["agent_key"]),
            target=login["target"],
            lease=login["lease"],
        )

    def _target(self, target_id: str | None, now: datetime) -> str:
        if target_id is None:
            return HOME
        rows = self._database.execute(
            "SELECT target FROM targets WHERE name = ? AND kept_at > ?",
            (target_id, to_micros(self._oldest_target(now))),
        )
        return rows[0]["target"] if rows else HOME

    def _oldest_target(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self._settings.target_seconds)

    def _row(self, rid: str) -> sqlite3.Row:
        rows = self._database.execute("SELECT * FROM challenges WHERE rid = ?", (rid,))
        if not rows:
            raise unknown_attempt()
        return rows[0]

    def _refusal(self, rid: str, wanted: ChallengeState) -> LoginRejectedError:
        """Say why the step from *wanted* found no row; what is read here decides nothing."""
        return step_refusal(rid, ChallengeState(self._row(rid)["state"]), wanted)


def _times(now: datetime) -> tuple[int, int]:
    """Return the present, and the latest beginning that a clock set back a little can explain."""
    return to_micros(now), to_micros(now + CLOCK_STEP)


def _last_id(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise TypeError("no row was added")
    return cursor.lastrowid


def _challenge(row: sqlite3.Row) -> Challenge:
    return Challenge(
        rid=row["rid"],
        nonce=Nonce(row["nonce"]),
        target=row["target"],
        agent_key=agent_key_from_text(row["agent_key"]),
        expires_at=from_micros(row["expires_at"]),
    )
