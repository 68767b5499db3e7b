from datetime import date
from pathlib import Path

import pytest

from gateway.journal.files import (
    ChainFile,
    append_durably,
    chain_files,
    cut,
    index_of,
    lines_of,
    remove,
)
from gateway.journal.line import MAX_LINE_BYTES

DAY = date(2026, 11, 23)


def test_files_are_found_in_the_order_of_their_lines(tmp_path: Path) -> None:
    files = [
        ChainFile.new(tmp_path, "access", first=n, day=date(2026, 1, 30 - i))
        for i, n in enumerate([1, 9, 10, 200])
    ]
    for file in reversed(files):
        file.path.touch()
    for name in ("head", "audit-000000000001-20261123.jsonl", "access-1-2.jsonl", "x.jsonl"):
        (tmp_path / name).touch()
    assert chain_files(tmp_path, "access") == files


def test_lines_come_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\ntwo\nthr")
    assert list(lines_of(path)) == [(0, b"one\n"), (4, b"two\n"), (8, b"thr")]
    assert list(lines_of(path, start=4, end=8)) == [(4, b"two\n")]


def test_no_line_takes_more_memory_than_one_may(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (3 * MAX_LINE_BYTES))
    assert max(len(line) for _, line in lines_of(path)) <= MAX_LINE_BYTES + 1


def test_a_file_that_is_there_is_not_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    append_durably(path, b"one\n", size=0)
    with pytest.raises(FileExistsError):
        append_durably(path, b"other\n", size=0)
    append_durably(path, b"two\n", size=4)
    assert path.read_bytes() == b"one\ntwo\n"


def test_what_is_cut_to_nothing_goes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\ntwo\n")
    assert cut(path, 8) == 0
    assert cut(path, 4) == 4
    assert path.read_bytes() == b"one\n"
    assert cut(path, 0) == 4
    assert not path.exists()


def test_a_file_goes_with_its_index(tmp_path: Path) -> None:
    file = ChainFile.new(tmp_path, "access", first=1, day=DAY)
    file.path.touch()
    index_of(file.path).touch()
    remove(file)
    assert list(tmp_path.iterdir()) == []
