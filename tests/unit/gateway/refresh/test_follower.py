import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from pytest_mock import MockerFixture

from cps.issuer.http_faults import HTTPFault
from gateway.refresh import follower as module
from gateway.trust.revocation_list import RevocationList
from gateway.trust.signed_list import MAX_LIST_BYTES
from gateway.trust.table_file import TableFile
from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.refreshing import Refreshing
from tests.support.revocation import HOLD, STOLEN, entry, list_der

HOUR = timedelta(hours=1)
MIRROR = "/mirror.crl"


@cache
def card() -> x509.Certificate:
    return pki.leaf(serial=0x1234)


@pytest.fixture
def cards(authority: PublishedAuthority) -> str:
    """The address of the cards' list."""
    return authority.url(authority.list_path)


def table(refreshing: Refreshing, label: str) -> Path:
    return refreshing.folder.places.table(refreshing.folder.slot(label).name)


def found(refreshing: Refreshing, label: str) -> RevocationList:
    file = TableFile.map(table(refreshing, label))
    return RevocationList.from_file(file, refreshing.folder.store.authorities())


def test_a_list_becomes_a_table_that_logins_use(refreshing: Refreshing, cards: str) -> None:
    assert refreshing.verdict(card()) == "revocation_unavailable"
    refreshing.look()
    assert refreshing.verdict(card()) == "list"
    journal = refreshing.followers[cards].journal
    assert (journal.address, journal.error, journal.failures) == (cards, None, 0)
    assert journal.looked_at == journal.taken_at == pki.NOW


def test_a_new_list_takes_the_place_of_the_old_one(
    refreshing: Refreshing, authority: PublishedAuthority, cards: str
) -> None:
    refreshing.look()
    authority.publish(authority.list_path, list_der(entry(card(), STOLEN), number=2))
    refreshing.look()
    assert refreshing.verdict(card()) == "cert_revoked"
    assert TableFile.map(table(refreshing, cards)).about["generation"] == 2


def test_a_list_that_did_not_change_is_neither_sent_nor_read_again(
    refreshing: Refreshing, authority: PublishedAuthority, cards: str, mocker: MockerFixture
) -> None:
    refreshing.look()
    authority.server.requests.clear()
    parse = mocker.spy(RevocationList, "parse")
    refreshing.now += HOUR
    refreshing.look()
    parse.assert_not_called()
    assert all("if-none-match" in each.headers for each in authority.server.requests)
    journal = refreshing.followers[cards].journal
    assert (journal.looked_at, journal.taken_at) == (refreshing.now, pki.NOW)


def test_the_same_list_under_another_version_is_not_read_again(
    refreshing: Refreshing, authority: PublishedAuthority, mocker: MockerFixture
) -> None:
    refreshing.look()
    for path in (authority.list_path, authority.root_list_path):
        authority.server.faults[path] = HTTPFault.WRONG_TYPE
    for each in refreshing.followers.values():
        each.journal = replace(each.journal, etag=None, last_modified=None)
    parse = mocker.spy(RevocationList, "parse")
    refreshing.look()
    parse.assert_not_called()


def test_after_a_restart_the_version_is_still_known(
    refreshing: Refreshing, authority: PublishedAuthority
) -> None:
    refreshing.look()
    refreshing.restart()
    authority.server.requests.clear()
    refreshing.look()
    assert all("if-none-match" in each.headers for each in authority.server.requests)
    assert refreshing.verdict(card()) == "list"


BAD = {
    "lower number": list_der(number=1),
    "earlier date": list_der(number=9, this_update=pki.NOW - timedelta(days=2)),
    "no number": list_der(number=None),
    "delta": list_der(number=9, base_number=5),
    "of the root": list_der(number=9, issuer=pki.hierarchy().root),
    "of a stranger": list_der(number=9, issuer=pki.foreign_hierarchy().intermediate),
    "truncated": list_der(number=9)[:-20],
    "web page": b"<html></html>",
    "empty": b"",
}


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_list_changes_nothing_and_is_told(
    refreshing: Refreshing,
    authority: PublishedAuthority,
    cards: str,
    case: str,
    restart: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    authority.publish(authority.list_path, list_der(entry(card(), STOLEN), number=5))
    refreshing.look()
    authority.publish(authority.list_path, BAD[case])
    if restart:
        refreshing.restart()
    with caplog.at_level(logging.ERROR):
        refreshing.look()
        refreshing.look()
    assert refreshing.verdict(card()) == "cert_revoked"
    assert cards in refreshing.error(cards)
    assert refreshing.followers[cards].journal.failures == 2
    assert len(caplog.records) == 1
    authority.publish(authority.list_path, list_der(number=6))
    refreshing.look()
    assert refreshing.error(cards) == ""


def test_an_old_list_is_refused_even_where_all_but_the_journal_is_lost(
    refreshing: Refreshing, authority: PublishedAuthority, cards: str
) -> None:
    authority.publish(authority.list_path, list_der(number=5))
    refreshing.look()
    name = refreshing.folder.slot(cards).name
    refreshing.folder.places.table(name).unlink()
    refreshing.folder.places.original(name).unlink()
    refreshing.restart()
    authority.publish(authority.list_path, list_der(number=4))
    refreshing.look()
    assert "older than the list before it" in refreshing.error(cards)
    assert refreshing.verdict(card()) == "revocation_unavailable"
    authority.publish(authority.list_path, list_der(number=5))
    refreshing.look()
    assert refreshing.verdict(card()) == "list"


DAMAGE = {
    "missing": None,
    "empty": b"",
    "half": b"CPSGWTB1\x00\x00\x00\x10",
    "junk": b"x" * 5000,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_table_is_made_anew_from_the_list_as_it_came(
    refreshing: Refreshing,
    authority: PublishedAuthority,
    cards: str,
    damage: str,
) -> None:
    authority.publish(authority.list_path, list_der(entry(card(), STOLEN), number=5))
    refreshing.look()
    contents = DAMAGE[damage]
    path = table(refreshing, cards)
    path.unlink()
    if contents is not None:
        path.write_bytes(contents)
    authority.server.requests.clear()
    refreshing.restart()
    assert refreshing.verdict(card()) == "cert_revoked"
    assert not authority.server.requests


def test_a_table_with_one_wrong_byte_is_made_anew(
    refreshing: Refreshing, authority: PublishedAuthority, cards: str
) -> None:
    authority.publish(authority.list_path, list_der(entry(card(), STOLEN), number=5))
    refreshing.look()
    path = table(refreshing, cards)
    raw = bytearray(path.read_bytes())
    raw[-40] ^= 1
    path.unlink()
    path.write_bytes(raw)
    assert refreshing.verdict(card()) == "revocation_unavailable"
    refreshing.restart()
    assert refreshing.verdict(card()) == "cert_revoked"


def test_where_the_list_as_it_came_is_damaged_too_it_is_fetched_whole(
    refreshing: Refreshing, authority: PublishedAuthority, cards: str
) -> None:
    refreshing.look()
    name = refreshing.folder.slot(cards).name
    refreshing.folder.places.table(name).write_bytes(b"")
    refreshing.folder.places.original(name).write_bytes(b"")
    refreshing.restart()
    assert refreshing.verdict(card()) == "revocation_unavailable"
    refreshing.look()
    assert refreshing.verdict(card()) == "list"


def test_nothing_new_says_nothing_to_somebody_who_has_nothing(
    refreshing: Refreshing, authority: PublishedAuthority, cards: str
) -> None:
    authority.server.faults[authority.list_path] = HTTPFault.NOT_MODIFIED
    refreshing.look()
    assert "nothing is new" in refreshing.error(cards)


def test_the_second_address_stands_in_for_the_first(
    tmp_path: Path, authority: PublishedAuthority, cards: str
) -> None:
    mirror = authority.url(MIRROR)
    authority.publish(MIRROR, list_der(entry(card(), STOLEN), number=2))
    authority.server.faults[authority.list_path] = HTTPFault.UNAVAILABLE
    with Refreshing(tmp_path, authority, cards=[cards, mirror]) as refreshing:
        refreshing.look()
        assert refreshing.verdict(card()) == "cert_revoked"
        assert refreshing.followers[cards].journal.address == mirror
        authority.server.faults.clear()
        authority.publish(authority.list_path, list_der(entry(card(), STOLEN), number=3))
        refreshing.look()
        assert refreshing.followers[cards].journal.address == cards


def test_what_a_mirror_is_called_is_not_told_to_the_first_address(
    tmp_path: Path, authority: PublishedAuthority, cards: str
) -> None:
    authority.publish(MIRROR, list_der(number=2))
    authority.server.faults[authority.list_path] = HTTPFault.UNAVAILABLE
    with Refreshing(tmp_path, authority, cards=[cards, authority.url(MIRROR)]) as refreshing:
        refreshing.look()
        authority.server.requests.clear()
        refreshing.look()
        first, second = (
            next(each for each in authority.server.requests if each.path == path)
            for path in (authority.list_path, MIRROR)
        )
        assert "if-none-match" not in first.headers
        assert "if-none-match" in second.headers


def test_an_address_of_another_kind_is_told_and_not_fetched(
    tmp_path: Path, authority: PublishedAuthority, cards: str
) -> None:
    ldap = "ldap://127.0.0.1:1/cn=a"
    with Refreshing(tmp_path, authority, cards=[ldap]) as refreshing:
        refreshing.look()
        assert "only http and https" in refreshing.error(ldap)
    with Refreshing(tmp_path, authority, cards=[ldap, cards]) as refreshing:
        refreshing.look()
        assert refreshing.verdict(card()) == "list"


def test_what_vanishes_from_a_list_stays_revoked(
    refreshing: Refreshing, authority: PublishedAuthority
) -> None:
    held = pki.leaf(serial=0x5678)
    authority.publish(
        authority.list_path, list_der(entry(card(), STOLEN), entry(held, HOLD), number=5)
    )
    refreshing.look()
    authority.publish(authority.list_path, list_der(number=6))
    refreshing.look()
    assert refreshing.verdict(card()) == "cert_revoked"
    assert refreshing.verdict(held) == "list"
    refreshing.restart()
    assert refreshing.verdict(card()) == "cert_revoked"


def test_a_table_that_cannot_be_written_leaves_the_old_one(
    refreshing: Refreshing, authority: PublishedAuthority, cards: str, mocker: MockerFixture
) -> None:
    refreshing.look()
    authority.publish(authority.list_path, list_der(entry(card(), STOLEN), number=2))
    broken = mocker.patch.object(TableFile, "write", side_effect=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        refreshing.look()
    assert refreshing.verdict(card()) == "list"
    mocker.stop(broken)
    refreshing.look()
    assert refreshing.verdict(card()) == "cert_revoked"


def test_a_list_over_the_limit_is_refused(
    refreshing: Refreshing, authority: PublishedAuthority, cards: str
) -> None:
    authority.server.faults[authority.list_path] = HTTPFault.OVERSIZE_LENGTH
    refreshing.look()
    assert f"larger than {MAX_LIST_BYTES} bytes" in refreshing.error(cards)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "cards.crl"
    file.write_bytes(list_der(number=5))
    return file


@pytest.fixture
def from_file(tmp_path: Path, authority: PublishedAuthority, file: Path) -> Iterator[Refreshing]:
    with Refreshing(tmp_path, authority, cards=[], ocsp=[authority.ocsp_url], files=[file]) as it:
        yield it


def test_a_list_in_a_file_becomes_a_table_too(from_file: Refreshing, file: Path) -> None:
    from_file.look()
    assert from_file.verdict(card()) == "list"
    file.write_bytes(list_der(entry(card()), number=6))
    from_file.look()
    assert from_file.verdict(card()) == "cert_revoked"


def test_a_file_that_did_not_change_is_not_read_again(
    from_file: Refreshing, mocker: MockerFixture
) -> None:
    from_file.look()
    read = mocker.spy(module, "read_bounded")
    from_file.look()
    read.assert_not_called()
    from_file.restart()
    parse = mocker.spy(RevocationList, "parse")
    from_file.look()
    parse.assert_not_called()


@pytest.mark.parametrize("contents", [b"", list_der(number=4), None], ids=["empty", "old", "gone"])
def test_a_bad_file_changes_nothing_and_is_told_once(
    from_file: Refreshing, file: Path, contents: bytes | None
) -> None:
    from_file.look()
    if contents is None:
        file.unlink()
    else:
        file.write_bytes(contents)
    from_file.look()
    first = from_file.error(str(file))
    assert first
    from_file.look()
    assert from_file.followers[str(file)].journal.failures == 1
    from_file.restart()
    from_file.look()
    assert from_file.error(str(file)) == first
    assert from_file.verdict(card()) == "list"


def test_a_table_of_a_file_is_made_anew_from_it(from_file: Refreshing, file: Path) -> None:
    from_file.look()
    table(from_file, str(file)).write_bytes(b"")
    from_file.restart()
    assert from_file.verdict(card()) == "list"


def test_a_file_over_the_limit_is_refused(
    from_file: Refreshing, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.trust.signed_list.MAX_LIST_BYTES", file.stat().st_size - 1)
    from_file.look()
    assert "larger than" in from_file.error(str(file))
