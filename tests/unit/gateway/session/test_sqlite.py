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
from gateway.session.sqlite import _BY_KEY, _OVERDUE, SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key

KEY = agent_key()
GRACE = timedelta(seconds=60)
LEASE = "AAECAwQFBgcICQoLDA0ODw"


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
        pytest.param(lambda s: s.why_ended(bytes(32)), id="why_ended"),
        pytest.param(lambda s: s.open_lease(KEY, grace=GRACE, now=MOMENT), id="open_lease"),
        pytest.param(lambda s: s.lease_key(LEASE), id="lease_key"),
        pytest.param(lambda s: s.renew_lease(LEASE, 1, now=MOMENT), id="renew_lease"),
        pytest.param(
            lambda s: s.end_lease(LEASE, 1, EndReason.CARD_REMOVED, now=MOMENT), id="end_lease"
        ),
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


def test_a_session_is_found_by_its_key_and_by_the_end_of_its_lease(database: Database) -> None:
    # Asked at each request, and ten times a second.
    for question, places in ((_BY_KEY, 1), (_OVERDUE, 4)):
        plan = database.execute(f"EXPLAIN QUERY PLAN {question}", (0,) * places)
        steps = [row["detail"] for row in plan]
        assert not [step for step in steps if step.startswith("SCAN")], steps


def test_a_heartbeat_does_not_wait_for_the_disk(
    store: SQLiteSessionStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = store.open_lease(KEY, grace=GRACE, now=MOMENT)
    execute, asked = database.execute, []

    def noted(
        statement: str, values: Sequence[Value] = (), *, durable: bool = True
    ) -> list[sqlite3.Row]:
        asked.append(durable)
        return execute(statement, values, durable=durable)

    monkeypatch.setattr(database, "execute", noted)
    assert store.renew_lease(lease, 1, now=MOMENT)
    assert asked == [False]
