"""The guard's memory in an SQLite file of its own: seen by every process of one machine."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from gateway.database import Database, Schema, from_micros, to_micros
from gateway.guard.store import (
    MAX_NETWORKS,
    MAX_NUMBERS,
    MAX_STEP,
    NETWORK_TIME,
    NUMBER_MODULUS,
    Block,
    Observation,
    Observed,
    Records,
    Requests,
    Run,
)

DATABASE_FILE = "guard.db"
"""Name of the database in ``state_dir``."""
SCHEMA = Schema(
    version=2,
    statements=(
        """CREATE TABLE requests (
            identity TEXT NOT NULL,
            key TEXT NOT NULL,
            span INTEGER NOT NULL,
            number INTEGER NOT NULL,
            count INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            PRIMARY KEY (identity, key, span)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX requests_by_end ON requests (ends_at)",
        """CREATE TABLE records (
            identity TEXT NOT NULL,
            key TEXT NOT NULL,
            member TEXT NOT NULL,
            seen_at INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            PRIMARY KEY (identity, key, member)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX records_by_time ON records (identity, key, seen_at)",
        "CREATE INDEX records_by_end ON records (ends_at)",
        """CREATE TABLE runs (
            identity TEXT NOT NULL,
            key TEXT NOT NULL,
            number INTEGER NOT NULL,
            length INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            PRIMARY KEY (identity, key)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX runs_by_end ON runs (ends_at)",
        """CREATE TABLE numbers (
            identity TEXT NOT NULL,
            key TEXT NOT NULL,
            number INTEGER NOT NULL,
            is_neighbour INTEGER NOT NULL,
            seen_at INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            PRIMARY KEY (identity, key, number)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX numbers_by_time ON numbers (identity, key, seen_at)",
        "CREATE INDEX numbers_by_end ON numbers (ends_at)",
        """CREATE TABLE networks (
            identity TEXT NOT NULL,
            network TEXT NOT NULL,
            ends_at INTEGER NOT NULL,
            PRIMARY KEY (identity, network)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX networks_by_end ON networks (ends_at)",
        """CREATE TABLE said (
            identity TEXT NOT NULL,
            what TEXT NOT NULL,
            said_at INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            PRIMARY KEY (identity, what)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX said_by_end ON said (ends_at)",
        """CREATE TABLE blocks (
            identity TEXT PRIMARY KEY,
            rule TEXT NOT NULL,
            at INTEGER NOT NULL
        ) STRICT""",
    ),
)

_PASSING = ("requests", "records", "runs", "numbers", "networks", "said")
_ASKED = "card asked for"
_MICROSECOND = timedelta(microseconds=1)


class SQLiteGuardStore:
    """A :class:`gateway.guard.store.GuardStore` on tables; a power failure may undo counts."""

    def __init__(self, database: Database) -> None:
        """Take a database with :data:`SCHEMA`."""
        self._database = database

    def observe(self, observation: Observation, *, now: datetime) -> Observed:
        moment, identity = to_micros(now), observation.identity
        with self._database.transaction(durable=False) as connection:
            for table in _PASSING:
                connection.execute(f"DELETE FROM {table} WHERE ends_at <= ?", (moment,))  # noqa: S608
            requests = tuple(
                _count(connection, identity, each, moment) for each in observation.requests
            )
            records = tuple(
                _count_records(connection, identity, each, moment) for each in observation.records
            )
            runs = tuple(
                max(
                    _follow(connection, identity, each, moment),
                    _count_neighbours(connection, identity, each, moment),
                )
                for each in observation.runs
            )
            network = observation.network
            is_new = network is not None and _see(connection, identity, network, moment)
            blocked = connection.execute("SELECT 1 FROM blocks WHERE identity = ?", (identity,))
            is_blocked = blocked.fetchone() is not None
            asked = connection.execute(
                "SELECT said_at FROM said WHERE identity = ? AND what = ?", (identity, _ASKED)
            ).fetchone()
        return Observed(
            requests=requests,
            records=records,
            runs=runs,
            is_new_network=is_new,
            is_blocked=is_blocked,
            asked_at=None if asked is None else from_micros(asked["said_at"]),
        )

    def is_first(self, identity: str, what: str, *, keep: timedelta, now: datetime) -> bool:
        return bool(
            self._database.execute(
                "INSERT INTO said (identity, what, said_at, ends_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET said_at = excluded.said_at, ends_at = excluded.ends_at"
                " WHERE ends_at <= excluded.said_at RETURNING identity",
                (identity, what, to_micros(now), to_micros(now + keep)),
                durable=False,
            )
        )

    def say(self, identity: str, what: str, *, keep: timedelta, now: datetime) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO said (identity, what, said_at, ends_at) VALUES (?, ?, ?, ?)",
            (identity, what, to_micros(now), to_micros(now + keep)),
        )

    def ask_for_card(self, identity: str, *, keep: timedelta, now: datetime) -> None:
        self.say(identity, _ASKED, keep=keep, now=now)

    def block(self, block: Block) -> bool:
        return bool(
            self._database.execute(
                "INSERT INTO blocks (identity, rule, at) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING RETURNING identity",
                (block.identity, block.rule, to_micros(block.at)),
            )
        )

    def is_blocked(self, identity: str) -> bool:
        return bool(self._database.execute("SELECT 1 FROM blocks WHERE identity = ?", (identity,)))

    def blocks(self) -> Sequence[Block]:
        rows = self._database.execute("SELECT * FROM blocks ORDER BY at, identity")
        return [
            Block(identity=row["identity"], rule=row["rule"], at=from_micros(row["at"]))
            for row in rows
        ]

    def clear(self, identity: str) -> bool:
        with self._database.transaction() as connection:
            for table in ("requests", "records", "runs", "numbers", "said"):
                connection.execute(f"DELETE FROM {table} WHERE identity = ?", (identity,))  # noqa: S608
            gone = connection.execute("DELETE FROM blocks WHERE identity = ?", (identity,))
            return gone.rowcount > 0


def _count(connection: sqlite3.Connection, identity: str, what: Requests, now: int) -> int:
    span = what.span // _MICROSECOND
    number = now // span
    (count,) = connection.execute(
        "INSERT INTO requests (identity, key, span, number, count, ends_at)"
        " VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET"
        " count = CASE WHEN number = excluded.number THEN count + 1 ELSE 1 END,"
        " number = excluded.number, ends_at = excluded.ends_at RETURNING count",
        (identity, what.key, span, number, (number + 1) * span),
    ).fetchone()
    return int(count)


def _count_records(connection: sqlite3.Connection, identity: str, what: Records, now: int) -> int:
    whose = (identity, what.key)
    connection.execute(
        "INSERT OR REPLACE INTO records (identity, key, member, seen_at, ends_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (*whose, what.member, now, now + what.span // _MICROSECOND),
    )
    connection.execute(
        "DELETE FROM records WHERE identity = ? AND key = ? AND member IN"
        " (SELECT member FROM records WHERE identity = ? AND key = ?"
        "  ORDER BY seen_at DESC LIMIT -1 OFFSET ?)",
        (*whose, *whose, what.limit),
    )
    (count,) = connection.execute(
        "SELECT count(*) FROM records WHERE identity = ? AND key = ? AND seen_at > ?",
        (*whose, now - what.span // _MICROSECOND),
    ).fetchone()
    return int(count)


def _follow(connection: sqlite3.Connection, identity: str, what: Run, now: int) -> int:
    row = connection.execute(
        "SELECT number, length FROM runs WHERE identity = ? AND key = ?", (identity, what.key)
    ).fetchone()
    length = 1
    if row is not None:
        step = min(
            (what.number - row["number"]) % NUMBER_MODULUS,
            (row["number"] - what.number) % NUMBER_MODULUS,
        )
        # The same record again neither lengthens a run nor ends it.
        length = row["length"] + (step > 0) if step <= MAX_STEP else 1
    connection.execute(
        "INSERT OR REPLACE INTO runs (identity, key, number, length, ends_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (identity, what.key, what.number, length, now + what.keep // _MICROSECOND),
    )
    return length


def _count_neighbours(connection: sqlite3.Connection, identity: str, what: Run, now: int) -> int:
    """Return how many numbers came as neighbours of one seen before, and one; 1 for another.

    Sequences that are asked for in turns are found by it, which no single run is.
    """
    whose = (identity, what.key)
    ends_at = now + what.keep // _MICROSECOND
    (is_neighbour,) = connection.execute(
        "INSERT INTO numbers (identity, key, number, is_neighbour, seen_at, ends_at)"
        " VALUES (?1, ?2, ?3, EXISTS (SELECT 1 FROM numbers WHERE identity = ?1 AND key = ?2"
        "  AND number BETWEEN ?3 - ?4 AND ?3 + ?4), ?5, ?6)"
        " ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at, ends_at = excluded.ends_at"
        " RETURNING is_neighbour",
        (*whose, what.number, what.near, now, ends_at),
    ).fetchone()
    connection.execute(
        "DELETE FROM numbers WHERE identity = ? AND key = ? AND number IN"
        " (SELECT number FROM numbers WHERE identity = ? AND key = ?"
        "  ORDER BY seen_at DESC LIMIT -1 OFFSET ?)",
        (*whose, *whose, MAX_NUMBERS),
    )
    if not is_neighbour:
        return 1
    (count,) = connection.execute(
        "SELECT count(*) FROM numbers WHERE identity = ? AND key = ? AND is_neighbour", whose
    ).fetchone()
    return int(count) + 1


def _see(connection: sqlite3.Connection, identity: str, network: str, now: int) -> bool:
    known = {
        row["network"]
        for row in connection.execute(
            "SELECT network FROM networks WHERE identity = ?", (identity,)
        )
    }
    connection.execute(
        "INSERT OR REPLACE INTO networks (identity, network, ends_at) VALUES (?, ?, ?)",
        (identity, network, now + NETWORK_TIME // _MICROSECOND),
    )
    connection.execute(
        "DELETE FROM networks WHERE identity = ? AND network IN (SELECT network FROM networks"
        " WHERE identity = ? ORDER BY ends_at DESC LIMIT -1 OFFSET ?)",
        (identity, identity, MAX_NETWORKS),
    )
    return bool(known) and network not in known
