import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from cps.authtoken.encoding import b64url_encode
from gateway.database import Database, Value
from gateway.errors import SessionRequiredError, StoreUnavailableError
from gateway.session.cookie import cookie_hash
from gateway.session.model import EndReason
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key

KEY = agent_key()


class InterruptedDatabase(Database):
    """Lets something else happen just before a use is noted, as another process might."""

    meanwhile: Callable[[], object] | None = None

    def execute(
        self, statement: str, values: Sequence[Value] = (), *, durable: bool = True
    ) -> list[sqlite3.Row]:
        if statement.startswith("UPDATE sessions") and self.meanwhile is not None:
            happening, self.meanwhile = self.meanwhile, None
            happening()
        return super().execute(statement, values, durable=durable)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "gateway.db")
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> SQLiteSessionStore:
    return SQLiteSessionStore(database, SessionSettings())


def test_no_file_of_the_database_holds_the_cookie(
    store: SQLiteSessionStore, tmp_path: Path
) -> None:
    cookie = store.create(DOCTOR, KEY, now=MOMENT)
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert cookie_hash(cookie) in on_disk
    assert cookie not in on_disk
    assert b64url_encode(cookie).encode() not in on_disk


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda s: s.create(DOCTOR, KEY, now=MOMENT), id="create"),
        pytest.param(lambda s: s.get(bytes(32), now=MOMENT), id="get"),
        pytest.param(lambda s: s.end(bytes(32), EndReason.LOGOUT, now=MOMENT), id="end"),
        pytest.param(lambda s: s.ended_since(0, now=MOMENT), id="ended_since"),
    ],
)
def test_a_database_that_is_away_lets_nobody_in(
    store: SQLiteSessionStore, database: Database, ask: Callable[[SQLiteSessionStore], object]
) -> None:
    database.close()
    with pytest.raises(StoreUnavailableError):
        ask(store)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("UPDATE sessions SET identity = '{}'", id="identity"),
        pytest.param("UPDATE sessions SET agent_key = '{}'", id="agent_key"),
    ],
)
def test_a_damaged_row_lets_nobody_in(
    store: SQLiteSessionStore, database: Database, damage: str
) -> None:
    cookie = store.create(DOCTOR, KEY, now=MOMENT)
    database.execute(damage)
    with pytest.raises(StoreUnavailableError):
        store.get(cookie_hash(cookie), now=MOMENT)


def test_the_reason_of_an_end_is_kept(store: SQLiteSessionStore, database: Database) -> None:
    key = cookie_hash(store.create(DOCTOR, KEY, now=MOMENT))
    store.end(key, EndReason.ADMINISTRATOR, now=MOMENT)
    (row,) = database.execute("SELECT key, reason FROM ended")
    assert tuple(row) == (key, "administrator")
    assert database.execute("SELECT * FROM sessions") == []


@pytest.fixture
def interrupted(tmp_path: Path) -> Iterator[InterruptedDatabase]:
    database = InterruptedDatabase(tmp_path / "interrupted.db")
    yield database
    database.close()


def test_a_request_does_not_bring_back_what_ends_meanwhile(
    interrupted: InterruptedDatabase,
) -> None:
    store = SQLiteSessionStore(interrupted, SessionSettings())
    key = cookie_hash(store.create(DOCTOR, KEY, now=MOMENT))
    interrupted.meanwhile = lambda: store.end(key, EndReason.LOGOUT, now=MOMENT)
    with pytest.raises(SessionRequiredError):
        store.get(key, now=MOMENT + timedelta(seconds=40))
    assert interrupted.execute("SELECT * FROM sessions") == []


def test_a_later_use_noted_meanwhile_stays(interrupted: InterruptedDatabase) -> None:
    store = SQLiteSessionStore(interrupted, SessionSettings())
    key = cookie_hash(store.create(DOCTOR, KEY, now=MOMENT))
    later = MOMENT + timedelta(seconds=50)
    interrupted.meanwhile = lambda: store.get(key, now=later)
    assert store.get(key, now=MOMENT + timedelta(seconds=40)).seen_at == later
