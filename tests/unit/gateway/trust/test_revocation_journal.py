from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.trust.revocation_journal import MAX_TEXT_CHARS, SourceJournal
from gateway.trust.revocation_list import Mark
from tests.support import pki
from tests.support.revocation import make_list

EMPTY = SourceJournal()
LATER = pki.NOW + timedelta(minutes=1)


def test_it_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    fresh = make_list(number=1 << 150)
    journal = EMPTY.failed("no", now=pki.NOW).taken(
        fresh, now=LATER, address="http://a.example", etag='"x"', last_modified="Mon"
    )
    journal.save(tmp_path / "j")
    assert SourceJournal.load(tmp_path / "j") == journal
    assert journal.looked_at == journal.taken_at == LATER
    assert (journal.error, journal.failures) == (None, 0)
    assert journal.mark == fresh.mark == Mark(number=1 << 150, this_update=fresh.this_update)


def test_failures_are_counted_until_one_goes_well() -> None:
    journal = EMPTY.failed("one", now=pki.NOW).failed("two", now=LATER)
    assert (journal.failures, journal.error, journal.looked_at) == (2, "two", LATER)
    journal = journal.unchanged(now=LATER)
    assert (journal.failures, journal.error, journal.taken_at) == (0, None, None)


def test_a_long_error_is_cut() -> None:
    assert EMPTY.failed("x" * 1000, now=pki.NOW).error == "x" * MAX_TEXT_CHARS


def test_without_a_list_there_is_no_mark() -> None:
    assert EMPTY.mark is None


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="nothing"),
        pytest.param(b'{"looked_at": 3, "taken_at": null, "this_update": null}', id="number"),
        pytest.param(b'{"x": 1}', id="unknown"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
def test_a_damaged_journal_is_as_good_as_none(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "j").write_bytes(raw)
    assert SourceJournal.load(tmp_path / "j") == EMPTY


def test_a_missing_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert SourceJournal.load(tmp_path / "j") == EMPTY


def test_a_journal_with_an_unknown_member_is_as_good_as_none(tmp_path: Path) -> None:
    replace(EMPTY, etag="x").save(tmp_path / "j")
    text = (tmp_path / "j").read_text().replace('"etag"', '"tage"')
    (tmp_path / "j").write_text(text)
    assert SourceJournal.load(tmp_path / "j") == EMPTY
