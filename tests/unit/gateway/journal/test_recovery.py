from pathlib import Path

import pytest

from gateway.errors import StoreUnavailableError
from gateway.journal.files import ChainFile
from gateway.journal.line import encode
from tests.support.chains import NAME, ChainPlace


@pytest.fixture
def place(tmp_path: Path) -> ChainPlace:
    place = ChainPlace(tmp_path / "chain")
    for number in range(3):
        place.chain().append([{"number": number}])
    return place


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def further_line(place: ChainPlace) -> bytes:
    line, _ = encode({"number": 99}, place.lines()[-1].link)
    return line


def test_a_line_that_was_written_but_not_signed_counts(place: ChainPlace) -> None:
    append(place.paths()[0], further_line(place))
    assert place.verify().unsigned == 1
    place.chain().append([{"number": 3}])
    assert place.values("number") == [0, 1, 2, 99, 3]
    assert place.values("cut_bytes") == [0]
    assert place.faults() == []


@pytest.mark.parametrize(
    "tail",
    [b'{"at":"2026', b"\0" * 300, b"\xff\xff\n", b'{"n":5,"prev":"00"}\n', b"[" * 70_000],
    ids=["half a line", "zeros", "not JSON", "not the next", "deep"],
)
def test_what_a_crash_left_is_cut_and_the_chain_says_so(place: ChainPlace, tail: bytes) -> None:
    append(place.paths()[0], further_line(place) + tail)
    place.chain().append([{"number": 3}])
    assert place.values("number") == [0, 1, 2, 99, 3]
    assert place.values("cut_bytes") == [len(tail)]
    assert place.faults() == []


def test_a_new_file_that_was_begun_but_not_signed_counts(place: ChainPlace) -> None:
    last = place.lines()[-1].link
    new = ChainFile.new(place.folder, NAME, first=last.n + 1, day=place.now.date())
    new.path.write_bytes(further_line(place) + b"half")
    place.chain().append([{"number": 3}])
    assert place.values("number") == [0, 1, 2, 99, 3]


def test_an_empty_file_that_was_begun_goes(place: ChainPlace) -> None:
    last = place.lines()[-1].link
    new = ChainFile.new(place.folder, NAME, first=last.n + 1, day=place.now.date())
    new.path.touch()
    place.chain().append([{"number": 3}])
    assert place.values("number") == [0, 1, 2, 3]
    assert place.faults() == []


@pytest.mark.parametrize("head", [None, b"nonsense", b" " * 512], ids=["gone", "other", "blank"])
def test_without_a_head_the_chain_goes_on_in_a_new_file(
    place: ChainPlace, head: bytes | None
) -> None:
    path = place.folder / "head"
    if head is None:
        path.unlink()
    else:
        path.write_bytes(head)
    append(place.paths()[0], b"half a line")
    place.chain().append([{"number": 3}])
    assert len(place.paths()) == 2
    assert "damaged" in place.values("event")
    assert place.faults() == ["not a line of a chain: has no end"]


def test_a_chain_whose_files_are_gone_goes_on_where_it_was(place: ChainPlace) -> None:
    place.paths()[0].unlink()
    place.chain().append([{"number": 3}])
    assert place.faults() == ["lines 1 to 4 are missing"]


def test_without_files_a_strange_head_begins_a_new_chain_that_says_so(place: ChainPlace) -> None:
    place.paths()[0].unlink()
    (place.folder / "head").write_bytes(b"nonsense")
    place.chain().append([{"number": 3}])
    assert place.values("head") == ["missing"]


def test_a_file_that_holds_no_line_is_not_written_over(place: ChainPlace) -> None:
    place.rewrite([b"nonsense"])
    (place.folder / "head").unlink()
    with pytest.raises(StoreUnavailableError, match="holds no line"):
        place.chain().append([{"number": 3}])
