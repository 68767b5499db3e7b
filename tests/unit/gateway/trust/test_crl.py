import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509

from cps.authtoken.codes import ErrorCode
from gateway.trust.crl import LOOK_AGAIN, RevocationLists
from gateway.trust.path import ValidChain, require_chain
from gateway.trust.revocation_list import RevocationList
from tests.support import pki
from tests.support.revocation import HOLD, STOLEN, entry, list_der
from tests.support.revocation_folder import RevocationFolder
from tests.support.trust import refuses, trust_store

HOUR = timedelta(hours=1)
LATER = pki.NOW + LOOK_AGAIN


@cache
def good() -> x509.Certificate:
    return pki.leaf(serial=0x1234)


@cache
def revoked() -> x509.Certificate:
    return pki.leaf(serial=0x5678)


class Folder:
    """The lists of a gateway, in files that a test can replace."""

    def __init__(self, path: Path) -> None:
        self.intermediate = path / "intermediate.crl"
        self.root = path / "root.crl"
        self.put(pki.crl(revoked(), number=10))
        self.root.write_bytes(pki.pem(pki.crl(issuer=pki.hierarchy().root)))

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.intermediate, self.root)

    def put(self, crl: x509.CertificateRevocationList | bytes) -> None:
        self.intermediate.write_bytes(crl if isinstance(crl, bytes) else pki.der(crl))

    def load(self) -> RevocationLists:
        return RevocationLists.load(self.files, trust_store(), pki.NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def chain(leaf: x509.Certificate | None = None) -> ValidChain:
    return require_chain(leaf or good(), trust_store(), pki.NOW)


def test_what_is_in_no_list_is_good(folder: Folder) -> None:
    lists = folder.load()
    lists.require_good(chain(), pki.NOW)
    assert lists.problems(pki.NOW) == ()


def test_a_revoked_card_is_refused(folder: Folder) -> None:
    with refuses(ErrorCode.CERT_REVOKED):
        folder.load().require_good(chain(revoked()), pki.NOW)


def test_a_card_on_hold_is_refused(folder: Folder) -> None:
    folder.put(pki.crl(good(), reason=x509.ReasonFlags.certificate_hold))
    with refuses(ErrorCode.CERT_REVOKED):
        folder.load().require_good(chain(), pki.NOW)


def test_cards_of_a_revoked_authority_are_refused(folder: Folder) -> None:
    ours = pki.hierarchy()
    folder.root.write_bytes(pki.der(pki.crl(ours.intermediate.certificate, issuer=ours.root)))
    with refuses(ErrorCode.CERT_REVOKED):
        folder.load().require_good(chain(), pki.NOW)


def test_a_serial_number_in_another_authoritys_list_means_nothing(folder: Folder) -> None:
    folder.root.write_bytes(pki.der(pki.crl(good(), issuer=pki.hierarchy().root)))
    folder.load().require_good(chain(), pki.NOW)


@pytest.mark.parametrize("which", ["intermediate", "root"])
@pytest.mark.parametrize("fault", ["missing", "empty", "stale", "future", "foreign", "garbage"])
def test_without_a_list_in_force_of_each_issuer_nobody_gets_in(
    folder: Folder, which: str, fault: str
) -> None:
    ours, foreign = pki.hierarchy(), pki.foreign_hierarchy()
    issuer = ours.intermediate if which == "intermediate" else ours.root
    stranger = foreign.intermediate if which == "intermediate" else foreign.root
    file = folder.intermediate if which == "intermediate" else folder.root
    past, future = pki.NOW - 9 * HOUR, pki.NOW + 9 * HOUR
    contents = {
        "empty": b"",
        "garbage": b"\x30\x03\x02\x01\x00",
        "stale": pki.der(pki.crl(issuer=issuer, this_update=past, next_update=past + HOUR)),
        "future": pki.der(pki.crl(issuer=issuer, this_update=future, next_update=future + HOUR)),
        "foreign": pki.der(pki.crl(issuer=stranger)),
    }
    if fault == "missing":
        file.unlink()
    else:
        file.write_bytes(contents[fault])
    lists = folder.load()
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), pki.NOW)
    assert any(
        issuer.certificate.subject.rfc4514_string() in each for each in lists.problems(pki.NOW)
    )


def test_a_list_serves_until_its_end_and_five_minutes(folder: Folder) -> None:
    end = pki.NOW + HOUR
    folder.put(pki.crl(next_update=end))
    lists = folder.load()
    lists.require_good(chain(), end + timedelta(minutes=5))
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), end + timedelta(minutes=5, seconds=1))


def test_of_two_lists_of_one_authority_both_count(folder: Folder, tmp_path: Path) -> None:
    second = tmp_path / "second.crl"
    second.write_bytes(pki.der(pki.crl(good())))
    lists = RevocationLists.load((*folder.files, second), trust_store(), pki.NOW)
    for leaf in (good(), revoked()):
        with refuses(ErrorCode.CERT_REVOKED):
            lists.require_good(chain(leaf), pki.NOW)


def test_a_new_list_counts_after_five_seconds(folder: Folder) -> None:
    lists = folder.load()
    folder.put(pki.crl(good(), number=11))
    lists.require_good(chain(), LATER - timedelta(seconds=1))
    with refuses(ErrorCode.CERT_REVOKED):
        lists.require_good(chain(), LATER)


def test_until_its_date_a_grace_lets_in_and_says_so(folder: Folder) -> None:
    folder.put(pki.crl(this_update=pki.NOW - 9 * HOUR, next_update=pki.NOW - HOUR))
    until = pki.NOW + HOUR
    lists = RevocationLists.load(folder.files, trust_store(), pki.NOW, grace_until=until)
    assert lists.require_good(chain(), until) == "grace"
    assert any("trust.grace_until" in each for each in lists.problems(until))
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), until + timedelta(seconds=1))


def test_settings_with_addresses_follow_the_refresher_and_others_read_files(
    folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    fetched = RevocationFolder(tmp_path / "with", files=folder.files)
    read = RevocationFolder(
        tmp_path / "without",
        cards=(),
        delta=(),
        authorities=(),
        ocsp=(),
        files=folder.files,
        more={"grace_until": pki.NOW + 99 * HOUR},
    )
    lists = RevocationLists.of(read.settings, read.store, pki.NOW)
    assert lists.require_good(chain(), pki.NOW) == "list"
    assert lists.require_good(chain(), pki.NOW + 72 * HOUR) == "grace"
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        RevocationLists.of(fetched.settings, fetched.store, pki.NOW).require_good(chain(), pki.NOW)


def test_what_vanishes_from_a_list_stays_revoked_unless_it_was_a_hold(folder: Folder) -> None:
    held = pki.leaf(serial=0x9ABC)
    first = list_der(entry(revoked(), STOLEN), entry(held, HOLD), number=10)
    folder.put(first)
    lists = folder.load()
    for leaf in (revoked(), held):
        with refuses(ErrorCode.CERT_REVOKED):
            lists.require_good(chain(leaf), pki.NOW)
    folder.put(list_der(number=11))
    with refuses(ErrorCode.CERT_REVOKED):
        lists.require_good(chain(revoked()), LATER)
    assert lists.require_good(chain(held), LATER) == "list"


def test_a_new_list_counts_also_when_the_clock_was_set_back(folder: Folder) -> None:
    lists = folder.load()
    folder.put(pki.crl(good(), number=11))
    with refuses(ErrorCode.CERT_REVOKED):
        lists.require_good(chain(), pki.NOW - HOUR)


def test_a_file_that_did_not_change_is_not_read_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = folder.load()

    def fail(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(RevocationList, "parse", fail)
    lists.require_good(chain(), LATER)


BAD_SUCCESSORS: Mapping[str, Callable[[], bytes]] = {
    "truncated": lambda: pki.der(pki.crl(number=11))[:-10],
    "empty": lambda: b"",
    "signed by a stranger": lambda: pki.der(
        pki.crl(number=11, issuer=pki.foreign_hierarchy().intermediate)
    ),
    "lower number": lambda: pki.der(pki.crl(number=9)),
    "earlier date": lambda: pki.der(pki.crl(number=11, this_update=pki.NOW - 6 * HOUR)),
    "of the root": lambda: pki.der(pki.crl(number=11, issuer=pki.hierarchy().root)),
}


@pytest.mark.parametrize("case", BAD_SUCCESSORS)
def test_a_bad_new_file_leaves_the_old_list_in_use_until_its_end(
    folder: Folder, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    lists = folder.load()
    with caplog.at_level(logging.ERROR, logger="gateway.trust.crl"):
        folder.put(BAD_SUCCESSORS[case]())
        lists.require_good(chain(), LATER)
        with refuses(ErrorCode.CERT_REVOKED):
            lists.require_good(chain(revoked()), LATER + LOOK_AGAIN)
    assert len(caplog.records) == 1
    assert str(folder.intermediate) in caplog.text
    assert any(str(folder.intermediate) in each for each in lists.problems(LATER + LOOK_AGAIN))
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), pki.NOW + timedelta(days=2, minutes=6))


def test_a_file_that_goes_away_leaves_the_old_list_in_use_and_is_told_once(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    lists = folder.load()
    content = folder.intermediate.read_bytes()
    folder.intermediate.unlink()
    for count in range(1, 4):
        lists.require_good(chain(), pki.NOW + count * LOOK_AGAIN)
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert lists.problems(LATER)
    folder.put(content)
    lists.require_good(chain(), pki.NOW + 4 * LOOK_AGAIN)
    assert lists.problems(pki.NOW + 4 * LOOK_AGAIN) == ()


def test_a_file_that_comes_later_opens_the_door(folder: Folder) -> None:
    content = folder.intermediate.read_bytes()
    folder.intermediate.unlink()
    lists = folder.load()
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), pki.NOW)
    folder.put(content)
    lists.require_good(chain(), LATER)


def test_a_file_that_is_too_large_is_not_taken(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gateway.trust.signed_list.MAX_LIST_BYTES", folder.intermediate.stat().st_size - 1
    )
    lists = folder.load()
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), pki.NOW)
    assert f"{folder.intermediate}: larger than" in lists.problems(pki.NOW)[0]


def test_a_list_of_exactly_the_limit_is_taken(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.trust.signed_list.MAX_LIST_BYTES", folder.root.stat().st_size)
    folder.load().require_good(chain(), pki.NOW)


def test_a_folder_in_place_of_a_file_is_a_problem_and_no_crash(
    folder: Folder, tmp_path: Path
) -> None:
    lists = RevocationLists.load((*folder.files, tmp_path), trust_store(), pki.NOW)
    lists.require_good(chain(), pki.NOW)
    assert lists.problems(pki.NOW)


def test_while_one_thread_reads_a_new_list_the_others_use_the_old_one(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = folder.load()
    fresh = RevocationList.parse(pki.der(pki.crl(good(), number=11)), trust_store().authorities())
    reading, go_on = Event(), Event()

    def slow(*_: object) -> RevocationList:
        reading.set()
        assert go_on.wait(10)
        return fresh

    monkeypatch.setattr(RevocationList, "parse", slow)
    folder.put(pki.crl(good(), number=11))
    with ThreadPoolExecutor(1) as other:
        verdict = other.submit(lists.require_good, chain(), LATER)
        assert reading.wait(10)
        lists.require_good(chain(), LATER + LOOK_AGAIN)
        go_on.set()
        with refuses(ErrorCode.CERT_REVOKED):
            verdict.result(10)


def test_an_authority_whose_list_is_over_is_not_covered(folder: Folder) -> None:
    lists = folder.load()
    assert lists.uncovered(pki.NOW) == ()
    late = pki.NOW + timedelta(days=3)
    assert set(lists.uncovered(late)) == set(trust_store().authorities())
    folder.put(b"broken")
    assert lists.uncovered(pki.NOW + HOUR) == (), "what was read goes on"


def test_an_authority_is_covered_as_long_as_the_grace_lets_its_list_count(folder: Folder) -> None:
    late = pki.NOW + timedelta(days=3)
    lists = RevocationLists.load(folder.files, trust_store(), pki.NOW, grace_until=late)
    assert lists.uncovered(late) == ()
    assert set(lists.uncovered(late + HOUR)) == set(trust_store().authorities())


def test_what_is_in_use_is_told_by_authority(folder: Folder) -> None:
    told = folder.load().in_use(pki.NOW)
    assert {authority for authority, _ in told} == set(trust_store().authorities())
    assert all(len(lists) == 1 for _, lists in told)
