import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.database import SCHEMA_VERSION, Database, from_micros, to_micros
from gateway.errors import ConfigurationError, StoreUnavailableError
from tests.support.processes import in_two_processes

KEEP = "INSERT INTO targets (name, target, kept_at) VALUES (?, '/', 0)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path)
    yield database
    database.close()


def count(database: Database) -> int:
    (row,) = database.execute("SELECT count(*) FROM targets")
    number: int = row[0]
    return number


def test_the_files_are_open_to_their_owner_alone(database: Database, path: Path) -> None:
    database.execute(KEEP, ("a",))
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert set(modes) == {"gateway.db", "gateway.db-wal", "gateway.db-shm"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620], ids=oct)
def test_a_file_that_others_can_open_is_refused(path: Path, mode: int) -> None:
    Database(path).close()
    path.chmod(mode)
    with pytest.raises(ConfigurationError) as caught:
        Database(path)
    assert caught.value.file == str(path)


def test_commits_reach_the_disk_before_they_are_reported(database: Database) -> None:
    assert database.execute("PRAGMA journal_mode")[0][0] == "wal"
    assert database.execute("PRAGMA synchronous")[0][0] == 2  # FULL


def test_only_the_statement_asked_for_is_less_durable(database: Database) -> None:
    assert database.execute("PRAGMA synchronous", durable=False)[0][0] == 1  # NORMAL
    with pytest.raises(StoreUnavailableError):
        database.execute("no statement", durable=False)
    assert database.execute("PRAGMA synchronous")[0][0] == 2


def test_a_transaction_may_be_less_durable_and_leaves_no_trace(database: Database) -> None:
    with database.transaction(durable=False) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 1
    with database.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    with pytest.raises(KeyError), database.transaction(durable=False):
        raise KeyError
    assert database.execute("PRAGMA synchronous")[0][0] == 2


def test_a_thread_waits_for_another_one_no_longer_than_for_a_process(path: Path) -> None:
    database = Database(path, busy_seconds=0.05)
    refusals: list[Exception] = []

    def write() -> None:
        for change in (
            lambda: database.execute(KEEP, ("a",), durable=False),
            lambda: database.transaction().__enter__(),
        ):
            try:
                change()
            except StoreUnavailableError as exc:
                refusals.append(exc)

    with database.transaction():
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(5)
    assert [str(refusal) for refusal in refusals] == ["gateway.db: busy"] * 2
    assert count(database) == 0
    database.close()


def test_what_was_written_is_there_after_a_restart(path: Path) -> None:
    first = Database(path)
    first.execute(KEEP, ("a",))
    first.close()
    second = Database(path)
    assert count(second) == 1
    second.close()


def test_a_transaction_is_undone_by_an_exception(database: Database) -> None:
    def fail_half_way() -> None:
        with database.transaction() as connection:
            connection.execute(KEEP, ("a",))
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert count(database) == 0
    with database.transaction() as connection:
        connection.execute(KEEP, ("b",))
    assert count(database) == 1


def test_a_transaction_holds_the_lock_from_its_beginning(path: Path) -> None:
    one, two = (Database(path, busy_seconds=0) for _ in range(2))
    with one.transaction(), pytest.raises(StoreUnavailableError, match="locked"):
        two.execute(KEEP, ("a",))
    two.execute(KEEP, ("a",))
    one.close()
    two.close()


def test_readers_do_not_wait_for_a_writer(path: Path) -> None:
    one, two = (Database(path, busy_seconds=0) for _ in range(2))
    with one.transaction() as connection:
        connection.execute(KEEP, ("a",))
        assert count(two) == 0
    assert count(two) == 1
    one.close()
    two.close()


def test_a_waiting_writer_gets_its_turn(path: Path) -> None:
    one, two = (Database(path, busy_seconds=5) for _ in range(2))
    started = threading.Event()

    def write() -> None:
        started.set()
        two.execute(KEEP, ("a",))

    with one.transaction():
        writer = threading.Thread(target=write)
        writer.start()
        started.wait(5)
        writer.join(0.05)
        assert writer.is_alive()
    writer.join(5)
    assert count(one) == 1
    one.close()
    two.close()


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda d: d.execute("SELECT * FROM nothing"), id="no table"),
        pytest.param(lambda d: d.execute("SELECT ?", ()), id="values missing"),
        pytest.param(lambda d: d.execute("INSERT INTO targets (id) VALUES (1)"), id="constraint"),
    ],
)
def test_whatever_sqlite_raises_is_one_error(
    database: Database, ask: Callable[[Database], object]
) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        ask(database)
    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_an_error_does_not_show_the_values(database: Database) -> None:
    database.execute(KEEP, ("very-secret",))
    with pytest.raises(StoreUnavailableError) as caught:
        database.execute(KEEP, ("very-secret",))
    assert "very-secret" not in str(caught.value)


def test_each_thread_has_a_connection_that_goes_with_it(database: Database) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = files()
    for number in range(20):
        thread = threading.Thread(target=database.execute, args=(KEEP, (str(number),)))
        thread.start()
        thread.join()
    assert count(database) == 20
    # SQLite itself may keep the last two for the next connection.
    assert files() <= before + 4


def test_a_closed_database_answers_no_thread(database: Database) -> None:
    opened, closed = threading.Event(), threading.Event()
    answers: list[str] = []

    def ask_twice() -> None:
        count(database)
        opened.set()
        closed.wait(5)
        try:
            count(database)
        except StoreUnavailableError as exc:
            answers.append(str(exc))

    thread = threading.Thread(target=ask_twice)
    thread.start()
    opened.wait(5)
    database.close()
    closed.set()
    thread.join(5)
    assert answers == ["gateway.db: closed"]
    database.close()


def test_a_database_does_not_cross_a_fork(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(StoreUnavailableError, match="fork"):
        database.execute("SELECT 1")


def _remove(path: Path) -> None:
    path.unlink()


def _exchange(path: Path) -> None:
    other = path.with_name("other.db")
    Database(other).close()
    other.replace(path)


@pytest.mark.parametrize("change", [_remove, _exchange], ids=["removed", "exchanged"])
def test_a_file_that_is_taken_away_lets_nobody_in(
    database: Database, path: Path, change: Callable[[Path], None]
) -> None:
    database.execute(KEEP, ("a",))
    change(path)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            database.execute("SELECT 1")
        with pytest.raises(StoreUnavailableError), database.transaction():
            pass


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no database at all\n" * 100, id="text"),
        pytest.param(b"SQLite format 3\0" + b"\xff" * 2000, id="damaged"),
    ],
)
def test_a_file_of_another_kind_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreUnavailableError):
        Database(path)


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        Database(tmp_path / "nowhere" / "gateway.db")


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, -1], ids=["newer", "unknown"])
def test_a_database_of_another_version_is_refused(path: Path, version: int) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(ConfigurationError, match=f"version {version}"):
        Database(path)


def _open_all(paths: list[Path], together: Barrier) -> int:
    for path in paths:
        together.wait(30)
        database = Database(path)
        database.execute(
            "INSERT INTO targets (name, target, kept_at) VALUES (?, '/', 0)", (str(os.getpid()),)
        )
        database.close()
    return len(paths)


def test_processes_that_start_together_make_one_database(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.db" for number in range(20)]
    assert in_two_processes(_open_all, paths) == (20, 20)
    for path in paths:
        database = Database(path)
        assert count(database) == 2
        database.close()


@settings(max_examples=100, deadline=None)
@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_a_time_is_read_as_written(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    moment = datetime(2026, 11, 23, 10, tzinfo=timezone(timedelta(hours=1)))
    assert from_micros(to_micros(moment)) == datetime(2026, 11, 23, 9, tzinfo=UTC)
