import logging
import os
from pathlib import Path

import pytest

from gateway.watched_file import WatchedFile


def read(path: Path, current: str | None) -> str:
    text = path.read_text("ascii")
    if "bad" in text:
        raise ValueError("bad text")
    return text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("first")
    return path


def put(path: Path, text: str) -> None:
    """Replace the file, as every writer should."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


def test_before_the_first_look_there_is_nothing(path: Path) -> None:
    file = WatchedFile(path, read)
    assert (file.current, file.problem, file.label) == (None, None, str(path))


def test_a_look_reads_the_file_and_says_that_it_changed(path: Path) -> None:
    file = WatchedFile(path, read, label="the file")
    assert file.look()
    assert (file.current, file.problem, file.label) == ("first", None, "the file")


def test_a_file_that_did_not_change_is_not_read_again(path: Path) -> None:
    reads = []

    def count(path: Path, current: str | None) -> str:
        reads.append(current)
        return read(path, current)

    file = WatchedFile(path, count)
    assert [file.look() for _ in range(3)] == [True, False, False]
    put(path, "second")
    assert [file.look() for _ in range(2)] == [True, False]
    assert reads == [None, "first"]


def test_a_change_in_place_is_seen(path: Path) -> None:
    file = WatchedFile(path, read)
    file.look()
    status = path.stat()
    path.write_text("other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert file.look()
    assert file.current == "other"


def test_a_bad_file_leaves_what_was_in_use_and_is_told_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = WatchedFile(path, read)
    file.look()
    put(path, "bad")
    with caplog.at_level(logging.ERROR):
        assert [file.look() for _ in range(3)] == [False, False, False]
    assert (file.current, file.problem) == ("first", "bad text")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    put(path, "second")
    assert file.look()
    assert (file.current, file.problem) == ("second", None)


def test_a_file_that_goes_away_leaves_what_was_in_use(path: Path) -> None:
    file = WatchedFile(path, read)
    file.look()
    path.unlink()
    assert not file.look()
    assert (file.current, file.problem) == ("first", "No such file or directory")


def test_a_file_that_never_was_is_a_problem_unless_it_is_optional(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    wanted, optional = WatchedFile(missing, read), WatchedFile(missing, read, optional=True)
    assert not wanted.look()
    assert not optional.look()
    assert wanted.problem == "No such file or directory"
    assert optional.problem is None
    put(missing, "late")
    assert wanted.look()
    assert optional.look()
    missing.unlink()
    optional.look()
    assert optional.problem == "No such file or directory"


def test_a_folder_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    file = WatchedFile(tmp_path, read)
    assert not file.look()
    assert file.problem == "cannot be read: Is a directory"
