from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cps.authtoken.encoding import b64url_encode
from gateway.database import Database
from gateway.errors import StoreUnavailableError
from gateway.session.cookie import cookie_hash
from gateway.session.model import EndReason
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key

KEY = agent_key()


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
