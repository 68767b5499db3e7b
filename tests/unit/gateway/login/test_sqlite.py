import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode
from gateway.database import Database, Value
from gateway.errors import LoginRejectedError, StoreUnavailableError
from gateway.login.attempt import KEEP_SECONDS
from gateway.login.sqlite import SQLiteChallengeStore
from gateway.settings import LoginSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key

KEY = agent_key()
BROWSER = b"b" * 32
SETTINGS = LoginSettings(targets=100, challenges=100, target_seconds=60)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "gateway.db")
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> SQLiteChallengeStore:
    return SQLiteChallengeStore(database, SETTINGS)


def new(store: SQLiteChallengeStore) -> str:
    return store.create(target_id=None, pre_hash=BROWSER, now=MOMENT).rid


def column(database: Database, name: str, rid: str) -> object:
    (row,) = database.execute("SELECT * FROM challenges WHERE rid = ?", (rid,))
    value: object = row[name]
    return value


class NotedDatabase(Database):
    """Notes whether each change waited for the disk."""

    def __init__(self, path: Path) -> None:
        self.waited: list[bool] = []
        super().__init__(path)

    def execute(
        self, statement: str, values: Sequence[Value] = (), *, durable: bool = True
    ) -> list[sqlite3.Row]:
        if not statement.startswith("SELECT"):
            self.waited.append(durable)
        return super().execute(statement, values, durable=durable)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        self.waited.append(durable)
        with super().transaction(durable=durable) as connection:
            yield connection


def test_what_was_used_or_refused_is_on_the_disk_before_it_counts(tmp_path: Path) -> None:
    database = NotedDatabase(tmp_path / "gateway.db")
    store = SQLiteChallengeStore(database, SETTINGS)

    def waited(act: Callable[[], object]) -> bool:
        database.waited.clear()
        act()
        (each,) = database.waited
        return each

    first, second, third = (new(store) for _ in range(3))
    # What is lost of these only asks for another login.
    assert not waited(lambda: new(store))
    assert not waited(lambda: store.keep_target("/a", now=MOMENT))
    assert not waited(lambda: store.claim(first, KEY, now=MOMENT))
    assert not waited(lambda: store.claim(second, KEY, now=MOMENT))
    # What is lost of these could be done again.
    assert waited(lambda: store.take(first, now=MOMENT))
    codes: list[str] = []
    assert not waited(lambda: codes.append(store.complete(first, DOCTOR, now=MOMENT)))
    assert waited(lambda: store.redeem(codes[0], BROWSER, now=MOMENT))
    assert waited(lambda: store.abort(second, KEY, ErrorCode.PIN_CANCELLED, now=MOMENT))
    assert waited(lambda: store.fail(third))
    database.close()


def test_the_nonce_is_wiped_once_the_token_arrived(
    store: SQLiteChallengeStore, database: Database
) -> None:
    rid = new(store)
    nonce = store.claim(rid, KEY, now=MOMENT).nonce
    assert column(database, "nonce", rid) == bytes(nonce)
    assert store.take(rid, now=MOMENT).nonce == nonce
    assert column(database, "nonce", rid) is None


@pytest.mark.parametrize("claim", [False, True], ids=["new", "claimed"])
def test_the_nonce_is_wiped_with_a_failure(
    store: SQLiteChallengeStore, database: Database, claim: bool
) -> None:
    rid = new(store)
    if claim:
        store.claim(rid, KEY, now=MOMENT)
    store.fail(rid)
    assert column(database, "nonce", rid) is None


@pytest.mark.parametrize("browser", [BROWSER, None], ids=["right browser", "no cookie"])
def test_who_logged_in_is_wiped_once_the_code_came_back(
    store: SQLiteChallengeStore, database: Database, browser: bytes | None
) -> None:
    rid = new(store)
    store.claim(rid, KEY, now=MOMENT)
    store.take(rid, now=MOMENT)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    assert column(database, "identity", rid) is not None
    try:
        store.redeem(code, browser, now=MOMENT)
    except LoginRejectedError:
        assert browser is None
    for name in ("identity", "agent_key", "code_hash"):
        assert column(database, name, rid) is None


def test_the_code_is_kept_as_a_hash_alone(
    store: SQLiteChallengeStore, database: Database, tmp_path: Path
) -> None:
    rid = new(store)
    store.claim(rid, KEY, now=MOMENT)
    store.take(rid, now=MOMENT)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    assert column(database, "code_hash", rid) == hashlib.sha256(b64url_decode(code)).digest()
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert code.encode() not in on_disk
    assert b64url_decode(code) not in on_disk


def test_a_flood_of_attempts_takes_only_the_rows_allowed(
    store: SQLiteChallengeStore, database: Database
) -> None:
    rids = [new(store) for _ in range(105)]
    assert database.execute("SELECT count(*) FROM challenges")[0][0] == 100
    with pytest.raises(LoginRejectedError) as caught:
        store.claim(rids[4], KEY, now=MOMENT)
    assert caught.value.reason is ErrorCode.RID_UNKNOWN
    assert store.claim(rids[5], KEY, now=MOMENT).rid == rids[5]


def test_a_flood_of_pages_takes_only_the_rows_allowed(
    store: SQLiteChallengeStore, database: Database
) -> None:
    ids = [store.keep_target(f"/{number}", now=MOMENT) for number in range(105)]
    assert database.execute("SELECT count(*) FROM targets")[0][0] == 100

    def target(target_id: str) -> str:
        return store.create(target_id=target_id, pre_hash=BROWSER, now=MOMENT).target

    assert [target(ids[4]), target(ids[5]), target(ids[104])] == ["/", "/5", "/104"]


def test_old_rows_go_with_the_next_attempt(store: SQLiteChallengeStore, database: Database) -> None:
    rid = new(store)
    store.keep_target("/a", now=MOMENT)
    gone = MOMENT + timedelta(seconds=SETTINGS.challenge_seconds + KEEP_SECONDS)
    store.create(target_id=None, pre_hash=BROWSER, now=gone - timedelta(seconds=1))
    assert column(database, "state", rid) == "new"
    store.create(target_id=None, pre_hash=BROWSER, now=gone)
    assert database.execute("SELECT 1 FROM challenges WHERE rid = ?", (rid,)) == []
    assert database.execute("SELECT 1 FROM targets") == []


def test_a_refusal_names_no_secret(store: SQLiteChallengeStore) -> None:
    rid = new(store)
    nonce = store.claim(rid, KEY, now=MOMENT).nonce
    store.take(rid, now=MOMENT)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    with pytest.raises(LoginRejectedError) as caught:
        store.redeem(code, None, now=MOMENT)
    assert code not in str(caught.value)
    assert nonce.hex() not in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda s: s.keep_target("/", now=MOMENT), id="keep_target"),
        pytest.param(new, id="create"),
        pytest.param(lambda s: s.knows_browser(BROWSER, now=MOMENT), id="knows_browser"),
        pytest.param(lambda s: s.claim("A" * 22, KEY, now=MOMENT), id="claim"),
        pytest.param(lambda s: s.take("A" * 22, now=MOMENT), id="take"),
        pytest.param(lambda s: s.fail("A" * 22), id="fail"),
        pytest.param(lambda s: s.complete("A" * 22, DOCTOR, now=MOMENT), id="complete"),
        pytest.param(lambda s: s.redeem("A" * 43, BROWSER, now=MOMENT), id="redeem"),
        pytest.param(lambda s: s.state("A" * 22, BROWSER, now=MOMENT), id="state"),
    ],
)
def test_a_database_that_is_away_lets_nobody_in(
    store: SQLiteChallengeStore,
    database: Database,
    ask: Callable[[SQLiteChallengeStore], object],
) -> None:
    database.close()
    with pytest.raises(StoreUnavailableError):
        ask(store)
