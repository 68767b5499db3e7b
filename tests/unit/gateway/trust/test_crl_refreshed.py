"""Revocation as logins see it where a refresher brings lists and answers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509

from cps.authtoken.codes import ErrorCode
from gateway.trust.ask import Ask
from gateway.trust.crl import LOOK_AGAIN, MAX_GRACE, RevocationLists
from gateway.trust.path import PathVerifier, ValidChain
from gateway.trust.revocation_memory import KeptAnswer, owner_of
from tests.support import pki
from tests.support.revocation import HOLD, REMOVED, STOLEN, ListOptions, entry, make_list
from tests.support.revocation_folder import AUTHORITIES, CARDS, CARDS_DELTA, RevocationFolder
from tests.support.trust import refuses, trust_store

HOUR = timedelta(hours=1)
PAST = pki.NOW - 9 * HOUR
STALE = ListOptions(this_update=PAST, next_update=pki.NOW - HOUR)
LATER = pki.NOW + LOOK_AGAIN


@cache
def leaf() -> x509.Certificate:
    return pki.leaf(serial=0x1234)


@cache
def chain() -> ValidChain:
    return PathVerifier(trust_store()).require_chain(leaf(), pki.NOW)


def answer(*, held: bool = False, age: timedelta = HOUR / 2) -> KeptAnswer:
    this_update = pki.NOW - age
    return KeptAnswer(held=held, this_update=this_update, expires=this_update + HOUR)


@pytest.fixture
def folder(tmp_path: Path) -> RevocationFolder:
    folder = RevocationFolder(tmp_path)
    folder.put(AUTHORITIES, make_list(issuer=pki.hierarchy().root))
    folder.put(CARDS, make_list(number=10))
    folder.put(CARDS_DELTA, make_list(number=11, base_number=10))
    folder.beat()
    return folder


def test_with_lists_in_force_a_card_is_good(folder: RevocationFolder) -> None:
    lists = folder.follow()
    assert lists.require_good(chain(), pki.NOW) == "list"
    assert lists.problems(pki.NOW) == ()


@pytest.mark.parametrize("label", [CARDS, CARDS_DELTA])
def test_a_card_in_either_list_is_refused(folder: RevocationFolder, label: str) -> None:
    base = ListOptions(number=11, base_number=10) if label == CARDS_DELTA else ListOptions()
    folder.put(label, make_list(entry(leaf(), STOLEN), **base))
    with refuses(ErrorCode.CERT_REVOKED):
        folder.follow().require_good(chain(), pki.NOW)


def test_a_hold_that_the_delta_list_lifts_is_over(folder: RevocationFolder) -> None:
    folder.put(CARDS, make_list(entry(leaf(), HOLD), number=10))
    with refuses(ErrorCode.CERT_REVOKED):
        folder.follow().require_good(chain(), pki.NOW)
    folder.put(CARDS_DELTA, make_list(entry(leaf(), REMOVED), number=11, base_number=10))
    assert folder.follow().require_good(chain(), pki.NOW) == "list"


def test_a_new_table_counts_after_five_seconds(folder: RevocationFolder) -> None:
    lists = folder.follow()
    folder.put(CARDS, make_list(entry(leaf()), number=11))
    lists.require_good(chain(), LATER - timedelta(seconds=1))
    with refuses(ErrorCode.CERT_REVOKED):
        lists.require_good(chain(), LATER)


@pytest.mark.parametrize("label", [CARDS, AUTHORITIES])
@pytest.mark.parametrize("fault", ["missing", "damaged", "half", "stale", "of a stranger"])
def test_without_a_table_of_a_list_in_force_nobody_gets_in(
    folder: RevocationFolder, label: str, fault: str
) -> None:
    ours, foreign = pki.hierarchy(), pki.foreign_hierarchy()
    issuer, stranger = (
        (ours.intermediate, foreign.intermediate) if label == CARDS else (ours.root, foreign.root)
    )
    path = folder.places.table(folder.slot(label).name)
    whole = path.read_bytes()
    match fault:
        case "missing":
            path.unlink()
        case "damaged":
            folder.put(label, whole.replace(b"authority", b"Authority"))
        case "half":
            folder.put(label, whole[: len(whole) // 2])
        case "stale":
            folder.put(label, make_list(**(STALE | ListOptions(issuer=issuer))))
        case _:
            folder.put(label, make_list(issuer=stranger))
    lists = folder.follow()
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), pki.NOW)
    assert lists.problems(pki.NOW)


def test_a_table_that_is_damaged_later_leaves_the_one_in_use(folder: RevocationFolder) -> None:
    folder.put(CARDS, make_list(entry(leaf()), number=10))
    lists = folder.follow()
    path = folder.places.table(folder.slot(CARDS).name)
    path.with_name("new").write_bytes(path.read_bytes()[:-1])
    path.with_name("new").replace(path)
    with refuses(ErrorCode.CERT_REVOKED):
        lists.require_good(chain(), LATER)
    assert any("checksum" in problem for problem in lists.problems(LATER))


def test_what_was_once_revoked_stays_so(folder: RevocationFolder) -> None:
    folder.put_revoked(leaf().serial_number)
    with refuses(ErrorCode.CERT_REVOKED):
        folder.follow().require_good(chain(), pki.NOW)


def test_a_memory_that_is_damaged_is_a_problem(folder: RevocationFolder) -> None:
    folder.places.revoked.write_bytes(b"x" * 100)
    assert any(str(folder.places.revoked) in each for each in folder.follow().problems(pki.NOW))


def test_a_good_answer_stands_in_for_a_list_that_ended(folder: RevocationFolder) -> None:
    folder.put(CARDS, make_list(**STALE))
    folder.put_answers({leaf().serial_number: answer()})
    assert folder.follow().require_good(chain(), pki.NOW) == "ocsp"


def test_a_good_answer_stands_in_for_a_list_that_never_came(folder: RevocationFolder) -> None:
    folder.places.table(folder.slot(CARDS).name).unlink()
    folder.put_answers({leaf().serial_number: answer()})
    assert folder.follow().require_good(chain(), pki.NOW) == "ocsp"


def test_an_answer_that_expired_stands_in_for_nothing(folder: RevocationFolder) -> None:
    folder.put(CARDS, make_list(**STALE))
    folder.put_answers({leaf().serial_number: answer()})
    lists = folder.follow()
    assert lists.require_good(chain(), pki.NOW + HOUR / 2) == "ocsp"
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), pki.NOW + HOUR / 2 + timedelta(seconds=1))


def test_an_answer_about_another_card_stands_in_for_nothing(folder: RevocationFolder) -> None:
    folder.put(CARDS, make_list(**STALE))
    folder.put_answers({leaf().serial_number + 1: answer()})
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        folder.follow().require_good(chain(), pki.NOW)


def test_a_list_that_ended_still_revokes_whatever_the_answer_says(
    folder: RevocationFolder,
) -> None:
    folder.put(CARDS, make_list(entry(leaf(), STOLEN), **STALE))
    folder.put_answers({leaf().serial_number: answer()})
    with refuses(ErrorCode.CERT_REVOKED):
        folder.follow().require_good(chain(), pki.NOW)


def test_a_hold_told_by_the_responder_counts_until_a_newer_list(folder: RevocationFolder) -> None:
    folder.put_answers({leaf().serial_number: answer(held=True)})
    with refuses(ErrorCode.CERT_REVOKED):
        folder.follow().require_good(chain(), pki.NOW)
    with refuses(ErrorCode.CERT_REVOKED):
        folder.follow().require_good(chain(), pki.NOW + 20 * HOUR)
    folder.put(CARDS, make_list(number=11, this_update=pki.NOW - HOUR / 4))
    assert folder.follow().require_good(chain(), pki.NOW) == "list"


def is_revoked(folder: RevocationFolder) -> bool:
    owner = owner_of(pki.hierarchy().intermediate.certificate)
    return folder.follow().is_revoked(owner, leaf().serial_number, pki.NOW)


def test_somebody_who_is_in_is_not_revoked_for_want_of_data(folder: RevocationFolder) -> None:
    assert not is_revoked(folder)
    folder.put(CARDS, make_list(**STALE))
    assert not is_revoked(folder)
    folder.put(CARDS, b"junk")
    assert not is_revoked(folder)
    assert not folder.follow().is_revoked("00" * 32, leaf().serial_number, pki.NOW)


@pytest.mark.parametrize("label", [CARDS, CARDS_DELTA])
def test_somebody_who_is_in_is_revoked_by_any_list(folder: RevocationFolder, label: str) -> None:
    kind = ListOptions(base_number=10) if label == CARDS_DELTA else ListOptions()
    kind["number"] = 12
    folder.put(label, make_list(entry(leaf(), STOLEN), **kind))
    assert is_revoked(folder)


def test_somebody_who_is_in_is_revoked_with_the_authority(folder: RevocationFolder) -> None:
    middle, root = pki.hierarchy().intermediate.certificate, pki.hierarchy().root
    folder.put(AUTHORITIES, make_list(entry(middle, STOLEN), issuer=root))
    assert is_revoked(folder)


def test_somebody_who_is_in_is_revoked_by_what_is_kept(folder: RevocationFolder) -> None:
    folder.put_revoked(leaf().serial_number)
    assert is_revoked(folder)


def test_somebody_who_is_in_is_on_hold_until_a_newer_list(folder: RevocationFolder) -> None:
    folder.put_answers({leaf().serial_number: answer()})
    assert not is_revoked(folder)
    folder.put_answers({leaf().serial_number: answer(held=True)})
    assert is_revoked(folder)
    newer = ListOptions(number=11, this_update=pki.NOW - HOUR / 4)
    over = ListOptions(next_update=pki.NOW - HOUR / 8)
    folder.put(CARDS, make_list(**(newer | over)))
    assert is_revoked(folder), "a list that is over says nothing"
    folder.put(CARDS, make_list(**newer))
    assert not is_revoked(folder)


def test_a_list_of_the_same_moment_does_not_end_a_hold(folder: RevocationFolder) -> None:
    folder.put_answers({leaf().serial_number: answer(held=True)})
    folder.put(CARDS, make_list(number=11, this_update=pki.NOW - HOUR / 2))
    with refuses(ErrorCode.CERT_REVOKED):
        folder.follow().require_good(chain(), pki.NOW)


def test_problems_are_those_of_the_moment(folder: RevocationFolder) -> None:
    lists = folder.follow()
    folder.put(CARDS, b"junk")
    folder.beat(LATER)
    assert any(CARDS in each for each in lists.problems(LATER))


def test_a_newer_list_of_other_certificates_does_not_end_a_hold(folder: RevocationFolder) -> None:
    folder.put_answers({leaf().serial_number: answer(held=True)})
    root = pki.hierarchy().root
    folder.put(AUTHORITIES, make_list(issuer=root, this_update=pki.NOW - HOUR / 4))
    with refuses(ErrorCode.CERT_REVOKED):
        folder.follow().require_good(chain(), pki.NOW)


def overdue(folder: Path, late: timedelta, grace: timedelta) -> RevocationLists:
    """Return lists of which that of the cards ended, with a grace from now on."""
    gateway = RevocationFolder(folder, more={"grace_until": pki.NOW + grace})
    end = pki.NOW - late
    gateway.put(AUTHORITIES, make_list(issuer=pki.hierarchy().root))
    gateway.put(CARDS, make_list(this_update=end - HOUR, next_update=end))
    gateway.beat()
    return gateway.follow()


def test_until_its_date_a_grace_lets_in_and_says_so(tmp_path: Path) -> None:
    lists = overdue(tmp_path, late=HOUR, grace=2 * HOUR)
    assert lists.require_good(chain(), pki.NOW + 2 * HOUR) == "grace"
    assert any("trust.grace_until" in each for each in lists.problems(pki.NOW))
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        lists.require_good(chain(), pki.NOW + 2 * HOUR + timedelta(seconds=1))
    assert any("is over" in each for each in lists.problems(pki.NOW + 3 * HOUR))


def test_a_grace_ends_a_week_after_the_list(tmp_path: Path) -> None:
    assert overdue(tmp_path, late=MAX_GRACE, grace=HOUR).require_good(chain(), pki.NOW) == "grace"
    late = overdue(tmp_path, late=MAX_GRACE + HOUR, grace=HOUR)
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        late.require_good(chain(), pki.NOW)


def test_a_grace_needs_a_list(folder: RevocationFolder, tmp_path: Path) -> None:
    gateway = RevocationFolder(tmp_path, more={"grace_until": pki.NOW + HOUR})
    gateway.places.table(gateway.slot(CARDS).name).unlink()
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        gateway.follow().require_good(chain(), pki.NOW)


def test_a_grace_does_not_let_in_what_is_revoked(folder: RevocationFolder, tmp_path: Path) -> None:
    gateway = RevocationFolder(tmp_path, more={"grace_until": pki.NOW + HOUR})
    gateway.put(CARDS, make_list(entry(leaf()), **STALE))
    with refuses(ErrorCode.CERT_REVOKED):
        gateway.follow().require_good(chain(), pki.NOW)


def test_a_fresh_answer_comes_before_a_grace(folder: RevocationFolder, tmp_path: Path) -> None:
    gateway = RevocationFolder(tmp_path, more={"grace_until": pki.NOW + HOUR})
    gateway.put(CARDS, make_list(**STALE))
    gateway.put_answers({leaf().serial_number: answer()})
    assert gateway.follow().require_good(chain(), pki.NOW) == "ocsp"


@contextmanager
def refresher(folder: RevocationFolder) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(folder.places.socket))
        receiver.setblocking(False)
        yield receiver


def asked(receiver: socket.socket) -> list[Ask]:
    found = []
    while True:
        try:
            found.append(Ask.decode(receiver.recv(1000)))
        except BlockingIOError:
            return found


@pytest.mark.parametrize(
    ("list_in_force", "answered", "urgent"),
    [
        pytest.param(True, False, False, id="list in force"),
        pytest.param(False, True, False, id="answered"),
        pytest.param(False, False, True, id="nothing known"),
    ],
)
def test_the_refresher_learns_of_the_card_and_how_urgent_it_is(
    folder: RevocationFolder, list_in_force: bool, answered: bool, urgent: bool
) -> None:
    if not list_in_force:
        folder.put(CARDS, make_list(**STALE))
    if answered:
        folder.put_answers({leaf().serial_number: answer()})
    lists = folder.follow()
    with refresher(folder) as receiver:
        if urgent:
            with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
                lists.require_good(chain(), pki.NOW)
        else:
            lists.require_good(chain(), pki.NOW)
        owner = owner_of(pki.hierarchy().intermediate.certificate)
        assert asked(receiver) == [Ask(owner=owner, serial=0x1234, urgent=urgent)]


def test_of_a_revoked_card_nothing_is_asked(folder: RevocationFolder) -> None:
    folder.put(CARDS, make_list(entry(leaf())))
    with refresher(folder) as receiver:
        with refuses(ErrorCode.CERT_REVOKED):
            folder.follow().require_good(chain(), pki.NOW)
        assert asked(receiver) == []


def test_an_authority_without_responder_is_not_asked_about(tmp_path: Path) -> None:
    folder = RevocationFolder(tmp_path, ocsp=())
    folder.put(AUTHORITIES, make_list(issuer=pki.hierarchy().root))
    with refresher(folder) as receiver:
        with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
            folder.follow().require_good(chain(), pki.NOW)
        assert asked(receiver) == []


def test_an_authority_that_is_not_pinned_has_no_good_certificates(
    folder: RevocationFolder,
) -> None:
    foreign = pki.foreign_hierarchy()
    strange = ValidChain(
        leaf=leaf(),
        intermediate=foreign.intermediate.certificate,
        anchor=foreign.root.certificate,
    )
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        folder.follow().require_good(strange, pki.NOW)


def test_a_refresher_that_does_not_run_is_a_problem(folder: RevocationFolder) -> None:
    lists = folder.follow()
    assert lists.problems(pki.NOW + timedelta(minutes=5)) == ()
    (problem,) = lists.problems(pki.NOW + timedelta(minutes=6))
    assert "does not run" in problem
