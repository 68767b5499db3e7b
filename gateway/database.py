"""The SQLite database of sessions and login attempts, shared by every process of one gateway."""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.errors import ConfigurationError, StoreUnavailableError

BUSY_SECONDS = 5
"""How long a statement waits for the lock of another process before it fails."""
SCHEMA_VERSION = 5
"""Rises with every change of :data:`_SCHEMA`; a database of another version is refused."""

_RETRY_SECONDS = 0.01
_TURN_SECONDS = 0.0003
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Times are microseconds since 1970, so that what is read equals what was written. An id that only
# rises (AUTOINCREMENT) is both the age of a row and a cursor over the rows. A lease has no session
# until the browser is back. A login without pre_hash was begun by an agent and is in no browser.
_SCHEMA = (
    """CREATE TABLE targets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        target TEXT NOT NULL,
        kept_at INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE challenges (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        rid TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        nonce BLOB,
        pre_hash BLOB,
        target TEXT NOT NULL,
        agent_key TEXT,
        identity TEXT,
        code_hash BLOB UNIQUE,
        lease TEXT,
        failure TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        code_expires_at INTEGER
    ) STRICT""",
    "CREATE INDEX challenges_of_a_browser ON challenges (pre_hash)",
    "CREATE INDEX challenges_by_age ON challenges (expires_at)",
    """CREATE TABLE sessions (
        key BLOB PRIMARY KEY,
        identity TEXT NOT NULL,
        agent_key TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX sessions_by_use ON sessions (seen_at)",
    "CREATE INDEX sessions_by_age ON sessions (created_at)",
    """CREATE TABLE leases (
        id TEXT PRIMARY KEY,
        session BLOB UNIQUE,
        agent_key TEXT NOT NULL,
        counter INTEGER NOT NULL,
        grace INTEGER NOT NULL,
        present_until INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX leases_by_end ON leases (present_until)",
    """CREATE TABLE ended (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key BLOB NOT NULL,
        national_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        ended_at INTEGER NOT NULL,
        client TEXT,
        recorded INTEGER NOT NULL,
        taken_until INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    "CREATE INDEX ended_unrecorded ON ended (id) WHERE recorded = 0",
    "CREATE INDEX ended_by_age ON ended (ended_at)",
    "CREATE INDEX ended_by_key ON ended (key)",
)

Value = bytes | str | int | None
"""What a column holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables of one kind of database."""

    version: int
    """Rises with every change; a database of another version is refused."""
    statements: Sequence[str]
    """What makes the tables."""


GATEWAY_SCHEMA = Schema(version=SCHEMA_VERSION, statements=_SCHEMA)
"""Sessions and login attempts."""


class _ThreadConnection:
    """One thread's connection, closed as soon as the thread is gone.

    A connection refers to itself through its cache of statements and would only be closed when the
    garbage collector comes by, its files staying open until then.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class Database:
    """One SQLite file in WAL mode, with a connection for each thread.

    A commit is on the disk before it is reported (``synchronous=FULL``), but for those that say
    otherwise: after a power failure no session that was ended lives again and no code that was
    used is good again. What is on the disk is always all up to some commit, never a choice of
    them. A file that is removed or exchanged while it is open lets nobody in until the gateway is
    started again.

    :param path: made with mode 0600 where it is missing.
    :param busy_seconds: longest wait for the lock of another process, seconds.
    :param schema: the tables it has, made where the file is new.
    :raises ConfigurationError: for a file that other users can open, or of another version.
    :raises StoreUnavailableError: for a file that SQLite cannot use.
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_seconds: float = BUSY_SECONDS,
        schema: Schema = GATEWAY_SCHEMA,
    ) -> None:
        self._path = path
        self._schema = schema
        self._busy_seconds = busy_seconds
        self._process = os.getpid()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._connections: weakref.WeakSet[_ThreadConnection] = weakref.WeakSet()
        self._closed = False
        self._make_file()
        self._file = self._file_at_path()
        with self._mapped_errors():
            self._enter_wal_mode(self._connection())
        with self.transaction() as connection:
            self._require_schema(connection)

    def execute(
        self, statement: str, values: Sequence[Value] = (), *, durable: bool = True
    ) -> list[sqlite3.Row]:
        """Run one statement, which is atomic by itself, and return all its rows.

        :param durable: false where a power failure may undo the change without opening anything.
        :raises StoreUnavailableError: where the database does not answer.
        """
        with self._mapped_errors():
            connection = self._connection()
            if durable:
                return self._patiently(connection, statement, values).fetchall()
            with self._own_turn(), _less_durable(connection):
                return self._patiently(connection, statement, values).fetchall()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Hold the one write lock over several statements; an exception undoes them all.

        :param durable: false where a power failure may undo them without opening anything; then
            nobody waits for the disk.
        :raises StoreUnavailableError: where the database does not answer.
        """
        with self._mapped_errors(), self._own_turn():
            connection = self._connection()
            with nullcontext() if durable else _less_durable(connection):
                self._patiently(connection, "BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connections of all threads; nothing can be asked afterwards."""
        with self._lock:
            self._closed = True
            connections = list(self._connections)
        with self._mapped_errors():
            for held in connections:
                held.connection.close()

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Let the threads of this process write one after another.

        SQLite alone would have all but one look again after pauses of up to 0.1 s.
        """
        if not self._write_lock.acquire(timeout=self._busy_seconds):
            raise StoreUnavailableError(f"{self._path.name}: busy")
        try:
            yield
        finally:
            self._write_lock.release()

    def _patiently(
        self, connection: sqlite3.Connection, statement: str, values: Sequence[Value] = ()
    ) -> sqlite3.Cursor:
        """Run a statement that may have to wait for another process.

        SQLite alone would look again after pauses that grow to 0.1 s, where others hold the lock
        for some 0.1 ms.
        """
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                return connection.execute(statement, values)
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(_TURN_SECONDS)

    def _connection(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreUnavailableError(f"{self._path.name}: closed")
        if os.getpid() != self._process:
            # SQLite's locks do not survive a fork; going on could corrupt the file.
            raise StoreUnavailableError(f"{self._path.name}: opened before a fork")
        if self._file_at_path() != self._file:
            # Processes that started since use the new one: what ends there would live on here.
            raise StoreUnavailableError(f"{self._path.name}: removed or exchanged; start again")
        held: _ThreadConnection | None = getattr(self._local, "held", None)
        if held is None:
            held = _ThreadConnection(self._connect())
            self._local.held = held
            with self._lock:
                self._connections.add(held)
        return held.connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path.absolute().as_uri() + "?mode=rw",
            uri=True,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,  # Only close() comes from another thread.
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        # Names of people and nonces do not stay behind in pages that are free again.
        connection.execute("PRAGMA secure_delete = ON")
        # From here on this class waits itself.
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    def _make_file(self) -> None:
        try:
            # Only a new file is opened here: closing any descriptor of a database in use would
            # drop the locks that SQLite holds on it for this process.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        except OSError as exc:
            raise StoreUnavailableError(f"{self._path.name}: {exc.strerror}") from exc
        if self._path.stat().st_mode & 0o077:
            reason = "other users can open it; take that away with chmod go="
            raise ConfigurationError(str(self._path), "(file)", reason)

    def _file_at_path(self) -> tuple[int, int]:
        """Return which file stands at the path; another has another number while ours is open."""
        try:
            status = self._path.stat()
        except OSError as exc:
            raise StoreUnavailableError(f"{self._path.name}: {exc.strerror}") from exc
        return status.st_dev, status.st_ino

    def _enter_wal_mode(self, connection: sqlite3.Connection) -> None:
        # SQLite answers "locked" at once, without waiting, where two processes do this together.
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
        if mode != "wal":
            raise StoreUnavailableError(f"{self._path.name}: no WAL mode here: {mode}")

    def _require_schema(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in self._schema.statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {self._schema.version}")
        elif version != self._schema.version:
            reason = f"is of version {version}, this gateway wants {self._schema.version}"
            raise ConfigurationError(str(self._path), "(file)", reason)

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        """Turn what SQLite raises into the gateway's error; the only place that does."""
        try:
            yield
        except sqlite3.Error as exc:
            raise StoreUnavailableError(f"{self._path.name}: {exc}") from exc


@contextmanager
def _less_durable(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous = FULL")


def to_micros(moment: datetime) -> int:
    """Return an aware time as the whole microseconds since 1970 that the tables hold."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC time of :func:`to_micros`."""
    return _EPOCH + micros * _MICROSECOND
