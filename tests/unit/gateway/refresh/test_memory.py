import logging
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from gateway.refresh import memory as module
from gateway.refresh.memory import (
    KEPT_HOLDS,
    KEPT_REVOCATIONS,
    AnswerTable,
    RevokedTable,
)
from gateway.trust.list_entries import Reason
from gateway.trust.revocation_memory import KeptAnswer, kept_answer, kept_revocation
from gateway.trust.table_file import TableFile
from tests.support import pki

OWNER, OTHER = "ab" * 32, "cd" * 32
HOUR = timedelta(hours=1)
STOLEN = Reason.KEY_COMPROMISE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.table"


def answer(*, held: bool = False, age: timedelta = HOUR / 2) -> KeptAnswer:
    this_update = pki.NOW - age
    return KeptAnswer(held=held, this_update=this_update, expires=this_update + HOUR)


def revoked(path: Path, owner: str, serial: int) -> Reason | None:
    found = kept_revocation(TableFile.map(path), owner, serial)
    return None if found is None else found.reason


def test_a_revocation_is_on_disk_at_once_and_after_a_restart(path: Path) -> None:
    RevokedTable(path).keep(OWNER, [(5, STOLEN), (6, Reason.UNSPECIFIED)], now=pki.NOW)
    assert revoked(path, OWNER, 5) is STOLEN
    assert revoked(path, OTHER, 5) is None
    RevokedTable(path).keep(OTHER, [(7, STOLEN)], now=pki.NOW)
    assert [revoked(path, OWNER, 6), revoked(path, OTHER, 7)] == [Reason.UNSPECIFIED, STOLEN]


def test_what_is_kept_stays_as_it_is(path: Path, mocker: MockerFixture) -> None:
    table = RevokedTable(path)
    table.keep(OWNER, [(5, STOLEN)], now=pki.NOW)
    written = mocker.spy(TableFile, "write")
    table.keep(OWNER, [(5, Reason.SUPERSEDED)], now=pki.NOW + HOUR)
    assert revoked(path, OWNER, 5) is STOLEN
    written.assert_not_called()


def test_a_revocation_is_kept_longer_than_any_card_is_valid(path: Path) -> None:
    assert timedelta(days=4 * 365) < KEPT_REVOCATIONS
    table = RevokedTable(path)
    table.keep(OWNER, [(5, STOLEN)], now=pki.NOW)
    table.keep(OWNER, [(6, STOLEN)], now=pki.NOW + KEPT_REVOCATIONS - timedelta(days=1))
    assert revoked(path, OWNER, 5) is STOLEN
    table.keep(OWNER, [(7, STOLEN)], now=pki.NOW + KEPT_REVOCATIONS + timedelta(days=1))
    assert revoked(path, OWNER, 5) is None
    assert revoked(path, OWNER, 6) is STOLEN


def test_an_answer_is_on_disk_after_it_was_written(path: Path) -> None:
    table = AnswerTable(path)
    table.keep(OWNER, 5, answer())
    assert not path.exists()
    assert table.get(OWNER, 5) == answer()
    table.write(pki.NOW)
    assert kept_answer(TableFile.map(path), OWNER, 5) == answer()
    again = AnswerTable(path)
    assert again.get(OWNER, 5) == answer()
    assert again.known() == ((OWNER, 5),)


def test_nothing_is_written_where_nothing_changed(path: Path) -> None:
    table = AnswerTable(path)
    table.write(pki.NOW)
    assert not path.exists()
    table.keep(OWNER, 5, answer())
    table.write(pki.NOW)
    before = path.stat().st_ino
    table.write(pki.NOW)
    assert path.stat().st_ino == before


def test_a_newer_answer_takes_the_place_of_an_older_one_and_never_the_other_way(
    path: Path,
) -> None:
    table = AnswerTable(path)
    table.keep(OWNER, 5, answer(held=True))
    with pytest.raises(ValueError, match="older than the answer before it"):
        table.keep(OWNER, 5, answer(age=HOUR))
    assert table.get(OWNER, 5) == answer(held=True)
    table.keep(OWNER, 5, answer(age=HOUR / 4))
    assert table.get(OWNER, 5) == answer(age=HOUR / 4)


def test_good_ends_where_the_responder_knows_the_certificate_no_more(path: Path) -> None:
    table = AnswerTable(path)
    for serial, held in ((5, False), (6, True)):
        table.keep(OWNER, serial, answer(held=held))
        table.forget(OWNER, serial)
    table.forget(OWNER, 7)
    assert table.get(OWNER, 5) is None
    assert table.get(OWNER, 6) == answer(held=True)


def test_what_expired_is_not_written(path: Path) -> None:
    table = AnswerTable(path)
    table.keep(OWNER, 5, answer(age=2 * HOUR))
    table.keep(OWNER, 6, answer(held=True, age=2 * HOUR))
    table.keep(OWNER, 7, answer(held=True, age=KEPT_HOLDS + HOUR))
    table.write(pki.NOW)
    assert AnswerTable(path).known() == ((OWNER, 6),)


def test_of_too_many_answers_the_newest_are_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWERS", 2)
    table = AnswerTable(path)
    for serial, minutes in ((5, 1), (6, 3), (7, 2)):
        table.keep(OWNER, serial, answer(age=timedelta(minutes=minutes)))
    table.write(pki.NOW)
    assert set(AnswerTable(path).known()) == {(OWNER, 5), (OWNER, 7)}


@pytest.mark.parametrize("kind", [RevokedTable, AnswerTable])
@pytest.mark.parametrize("contents", [b"", b"x" * 200, "other"], ids=["empty", "junk", "other"])
def test_a_damaged_file_is_put_aside_and_told(
    path: Path,
    kind: type[RevokedTable | AnswerTable],
    contents: bytes | str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if isinstance(contents, bytes):
        path.write_bytes(contents)
    elif kind is RevokedTable:
        table = AnswerTable(path)
        table.keep(OWNER, 5, answer())
        table.write(pki.NOW)
    else:
        RevokedTable(path).keep(OWNER, [(5, STOLEN)], now=pki.NOW)
    with caplog.at_level(logging.ERROR):
        kind(path)
    assert "is damaged" in caplog.text
    assert not path.exists()
    assert path.with_name("a.table.damaged").exists()
