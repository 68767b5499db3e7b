from pathlib import Path

import pytest

from gateway.journal.files import index_of
from gateway.journal.index import build_index, has_index, index_in_background, places_of
from tests.support.chains import ChainPlace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = ChainPlace(tmp_path / "chain")
    place.chain().append(
        [{"who": f"8{number % 3}", "record": f"h:{number}", "other": "x"} for number in range(30)]
    )
    return place.paths()[0]


def test_an_index_leads_to_every_line_and_to_no_other(path: Path) -> None:
    build_index(path)
    content = path.read_bytes()
    places = list(places_of(path, "who", "81"))
    assert len(places) == 10
    assert places == sorted(places)
    assert all(b'"who":"81"' in content[place:].split(b"\n")[0] for place in places)
    assert len(list(places_of(path, "record", "h:7"))) == 1
    assert list(places_of(path, "who", "h:7")) == []
    assert list(places_of(path, "other", "x")) == []


def test_an_index_is_of_one_state_of_its_file(path: Path) -> None:
    assert not has_index(path)
    build_index(path)
    assert has_index(path)
    with path.open("ab") as file:
        file.write(b"x")
    assert not has_index(path)


@pytest.mark.parametrize("size", [0, 8, 16, 30], ids=["empty", "cut head", "no entries", "odd"])
def test_an_index_that_was_cut_is_none(path: Path, size: int) -> None:
    build_index(path)
    content = index_of(path).read_bytes()
    index_of(path).write_bytes(content[:size])
    assert has_index(path) is (size == 16)
    if size == 16:
        assert list(places_of(path, "who", "81")) == []


def test_what_is_no_line_is_passed_over(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"nonsense\nhalf")
    build_index(path)
    assert len(list(places_of(path, "who", "81"))) == 10


def test_only_the_owner_reads_an_index(path: Path) -> None:
    build_index(path)
    assert index_of(path).stat().st_mode & 0o777 == 0o600


def test_an_index_is_made_by_a_process_of_its_own(path: Path) -> None:
    index_in_background(path).join(20)
    assert has_index(path)


def test_an_index_that_cannot_be_made_stops_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    index_in_background(path).join(20)
    assert "no index was made" in caplog.text
