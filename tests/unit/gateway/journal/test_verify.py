from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.chains import ChainPlace

Lines = list[bytes]


@pytest.fixture
def place(tmp_path: Path) -> ChainPlace:
    """Return a chain of a checkpoint and the lines 2 to 6."""
    place = ChainPlace(tmp_path / "chain")
    for number in range(5):
        place.chain().append([{"event": "seen", "number": number}])
    return place


def swapped(lines: Lines) -> Lines:
    return [*lines[:2], lines[3], lines[2], *lines[4:]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(
            lambda x: [line.replace(b'"number":1', b'"number":7') for line in x],
            "line 3 is not as it was when line 4 was written",
            id="edited",
        ),
        pytest.param(
            lambda x: [*x[:5], x[5].replace(b'"number":4', b'"number":7')],
            "line 6 is not as it was when the end was signed",
            id="last one edited",
        ),
        pytest.param(lambda x: [*x[:2], *x[3:]], "lines 3 to 3 are missing", id="removed"),
        pytest.param(swapped, "line 3 where 5 is wanted: out of order, or repeated", id="moved"),
        pytest.param(
            lambda x: [*x[:3], x[2], *x[3:]],
            "line 3 where 4 is wanted: out of order, or repeated",
            id="repeated",
        ),
        pytest.param(lambda x: x[:4], "lines 5 to 6 are missing", id="cut off the end"),
        pytest.param(lambda _: [], "lines 1 to 6 are missing", id="emptied"),
        pytest.param(
            lambda x: x[1:], "the file does not begin with a checkpoint", id="beginning removed"
        ),
        pytest.param(
            lambda x: [*x[:3], b"\xff\x00", *x[3:]], "not a line of a chain", id="other content"
        ),
        pytest.param(
            lambda x: [x[0].replace(b'"sig":"', b'"sig":"00'), *x[1:]],
            "a checkpoint that this journal's key did not sign",
            id="checkpoint edited",
        ),
    ],
)
def test_every_change_shows(place: ChainPlace, change: Callable[[Lines], Lines], told: str) -> None:
    assert place.faults() == []
    place.rewrite(change(place.paths()[0].read_bytes().splitlines()))
    assert any(fault.startswith(told) for fault in place.faults()), place.faults()


def test_who_writes_the_whole_chain_anew_lacks_the_key(place: ChainPlace, tmp_path: Path) -> None:
    forged = ChainPlace(tmp_path / "forged")
    forged.chain().append([{"event": "harmless"}])
    for path in place.folder.iterdir():
        path.unlink()
    for path in forged.folder.iterdir():
        path.rename(place.folder / path.name)
    assert place.faults() == [
        "the chain's end is not signed by this journal's key",
        "a checkpoint that this journal's key did not sign",
    ]


def test_an_end_taken_from_another_chain_shows(place: ChainPlace, tmp_path: Path) -> None:
    other = ChainPlace(tmp_path / "other", ring=place.ring)
    other.chain().append([{"event": "a"}])
    (place.folder / "head").write_bytes((other.folder / "head").read_bytes())
    assert place.faults() == ["line 2 is not as it was when the end was signed"]


def test_a_head_that_is_missing_shows(place: ChainPlace) -> None:
    (place.folder / "head").unlink()
    assert place.faults() == ["the signed end of the chain is missing"]


def test_a_file_that_is_missing_shows(tmp_path: Path) -> None:
    place = ChainPlace(tmp_path / "chain", file_bytes=1)
    for _ in range(4):
        place.chain().append([{"event": "a"}])
    for number, told in ((2, "lines 5 to 6 are missing"), (0, "lines 1 to 2 are missing")):
        place.paths()[number].unlink()
        assert told in place.faults()


def test_lines_cut_off_stay_missing_when_the_chain_goes_on(place: ChainPlace) -> None:
    place.rewrite(place.paths()[0].read_bytes().splitlines()[:4])
    place.chain().append([{"event": "later"}])
    place.chain().append([{"event": "later"}])
    assert place.faults() == ["lines 5 to 6 are missing"]
    assert "damaged" in place.values("event")


def test_what_was_found_is_counted(place: ChainPlace) -> None:
    found = place.verify()
    assert (found.files, found.lines, found.first, found.checkpoints) == (1, 6, 1, 1)
    assert found.last is not None
    assert found.last.n == 6
    assert found.unsigned == 0
