from datetime import timedelta
from pathlib import Path

import pytest

from gateway.journal.files import index_of
from gateway.journal.search import find, index_full_files
from tests.support.chains import NAME, ChainPlace


@pytest.fixture
def place(tmp_path: Path) -> ChainPlace:
    """Return a chain of five days, a file each, with two people who saw a record each day."""
    place = ChainPlace(tmp_path / "chain")
    for day in range(5):
        at = place.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        place.chain().append(
            [
                {"at": at, "who": "81", "card": "7", "record": f"h:{day}"},
                {"at": at, "who": 'x","who":"81', "record": "h:common"},
                {"at": at, "who": "82", "record": "h:common"},
            ]
        )
        place.now += timedelta(days=1)
    return place


def records(
    place: ChainPlace, name: str, value: str, since_days: int | None = None
) -> list[object]:
    since = None if since_days is None else place.now - timedelta(days=since_days)
    return [line["record"] for line in find(place.folder, NAME, name, value, since=since)]


def test_lines_are_found_in_full_files_and_in_the_open_one(place: ChainPlace) -> None:
    assert len(place.paths()) == 5
    assert records(place, "who", "81") == ["h:0", "h:1", "h:2", "h:3", "h:4"]
    assert records(place, "card", "7") == ["h:0", "h:1", "h:2", "h:3", "h:4"]
    assert records(place, "record", "h:common") == ["h:common"] * 10
    assert records(place, "who", "83") == []


def test_earlier_lines_are_left_out(place: ChainPlace) -> None:
    assert records(place, "who", "81", since_days=2) == ["h:3", "h:4"]
    assert records(place, "who", "81", since_days=0) == []


def test_files_of_before_are_not_even_opened(place: ChainPlace) -> None:
    place.paths()[0].write_bytes(b"")
    assert records(place, "who", "81", since_days=3) == ["h:2", "h:3", "h:4"]
    assert not index_of(place.paths()[0]).exists()


def test_a_clock_that_was_set_back_hides_no_line(place: ChainPlace) -> None:
    place.now -= timedelta(days=300)
    place.chain().append([{"at": "2026-01-31T09:30:00.000Z", "who": "81", "record": "h:back"}])
    place.now += timedelta(days=300)
    place.chain().append([{"at": "2026-11-28T09:30:00.000Z", "who": "81", "record": "h:right"}])
    assert records(place, "who", "81", since_days=1) == ["h:4", "h:right"]


def test_an_index_that_leads_elsewhere_brings_no_wrong_line(place: ChainPlace) -> None:
    assert index_full_files(place.folder, NAME) == 4
    first, second, *_ = place.paths()
    content = bytearray(index_of(first).read_bytes())
    for start in range(16, len(content), 8):
        content[start] ^= 1
    index_of(first).write_bytes(content)
    assert records(place, "who", "81") == ["h:1", "h:2", "h:3", "h:4"]
    index_of(first).unlink()
    assert len(records(place, "who", "81")) == 5
    assert index_full_files(place.folder, NAME) == 0
    assert second.exists()
