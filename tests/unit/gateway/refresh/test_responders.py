from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from pytest_mock import MockerFixture

from cps.issuer.http_faults import HTTPFault
from cps.issuer.ocsp_answer import UNKNOWN, revoked
from cps.issuer.ocsp_faults import FaultyResponder, OCSPFault
from cps.issuer.server import OCSP_PATH
from gateway.refresh import responders as module
from gateway.refresh.responders import FIRST_REST, LONGEST_LIFE, LONGEST_REST, MAX_FAILURES
from gateway.trust.revocation_journal import SourceJournal
from gateway.trust.revocation_places import responder_name
from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.refreshing import Refreshing
from tests.support.responder import delegate, responder, surroundings
from tests.support.revocation import HOLD, STOLEN, entry, list_der
from tests.unit.gateway.refresh.conftest import SetClock

HOUR = timedelta(hours=1)
NOBODY = "http://127.0.0.1:1/"


@cache
def card() -> x509.Certificate:
    return pki.leaf(serial=0x1234)


@pytest.fixture
def without_list(authority: PublishedAuthority, refreshing: Refreshing) -> Refreshing:
    """A gateway whose list of the cards has ended."""
    past = pki.NOW - HOUR
    authority.publish(authority.list_path, list_der(this_update=past - HOUR, next_update=past))
    refreshing.look()
    assert refreshing.verdict(card()) == "revocation_unavailable"
    return refreshing


def requests(authority: PublishedAuthority) -> int:
    return sum(each.path == OCSP_PATH for each in authority.server.requests)


def journal(refreshing: Refreshing, address: str) -> SourceJournal:
    return SourceJournal.load(refreshing.folder.places.journal(responder_name(address)))


def test_a_good_answer_lets_in_for_an_hour(without_list: Refreshing) -> None:
    assert without_list.ask(card())
    assert without_list.verdict(card()) == "ocsp"
    assert timedelta(hours=1) == LONGEST_LIFE
    without_list.now += LONGEST_LIFE
    assert without_list.verdict(card()) == "ocsp"
    without_list.now += timedelta(seconds=1)
    assert without_list.verdict(card()) == "revocation_unavailable"


def test_a_good_answer_outlives_a_restart(without_list: Refreshing) -> None:
    without_list.ask(card())
    without_list.restart()
    assert without_list.verdict(card()) == "ocsp"


def test_revoked_is_never_unlearned(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.statuses[card().serial_number] = revoked(pki.NOW - HOUR, STOLEN)
    assert without_list.ask(card())
    assert without_list.verdict(card()) == "cert_revoked"
    authority.statuses.clear()
    without_list.now += timedelta(minutes=10)
    without_list.restart()
    without_list.ask(card())
    authority.publish(authority.list_path, list_der(number=2))
    without_list.look()
    assert without_list.verdict(card()) == "cert_revoked"


def test_a_hold_ends_with_a_newer_answer(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.statuses[card().serial_number] = revoked(pki.NOW - HOUR, HOLD)
    assert without_list.ask(card())
    assert without_list.verdict(card()) == "cert_revoked"
    authority.statuses.clear()
    assert without_list.ask(card())
    assert without_list.verdict(card()) == "ocsp"


def test_unknown_lets_nobody_in_and_ends_what_was_good(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    without_list.ask(card())
    authority.statuses[card().serial_number] = UNKNOWN
    assert not without_list.ask(card())
    assert without_list.verdict(card()) == "revocation_unavailable"


def test_who_does_not_know_is_not_asked_again_at_once(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.statuses[card().serial_number] = UNKNOWN
    without_list.ask(card())
    assert requests(authority) == 1


@pytest.fixture
def two(tmp_path: Path, authority: PublishedAuthority) -> Iterator[Refreshing]:
    """A gateway without list, with two responders, the first of which is nowhere."""
    with Refreshing(tmp_path, authority, cards=[], ocsp=[NOBODY, authority.ocsp_url]) as steps:
        steps.look()
        yield steps


def test_the_second_responder_stands_in_for_the_first(
    two: Refreshing, authority: PublishedAuthority
) -> None:
    assert two.ask(card())
    assert two.verdict(card()) == "ocsp"
    assert NOBODY in (journal(two, NOBODY).error or "")
    assert journal(two, authority.ocsp_url).error is None
    assert journal(two, authority.ocsp_url).taken_at == pki.NOW


def test_a_good_answer_of_the_first_needs_no_second(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    ocsp = [authority.ocsp_url, authority.url("/")]
    with Refreshing(tmp_path, authority, cards=[], ocsp=ocsp) as steps:
        steps.ask(card())
        assert len(authority.server.requests) == 1


def test_a_revoked_of_the_first_needs_no_second(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    authority.statuses[card().serial_number] = revoked(pki.NOW - HOUR)
    ocsp = [authority.ocsp_url, authority.url("/")]
    with Refreshing(tmp_path, authority, cards=[], ocsp=ocsp) as steps:
        steps.look()
        authority.server.requests.clear()
        steps.ask(card())
        assert len(authority.server.requests) == 1
        assert steps.verdict(card()) == "cert_revoked"


def test_where_all_fail_a_second_round_is_made_and_no_third(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.server.faults[OCSP_PATH] = HTTPFault.SERVER_ERROR
    assert not without_list.ask(card())
    assert requests(authority) == module.ROUNDS == 2
    assert without_list.verdict(card()) == "revocation_unavailable"


def test_a_responder_that_fails_is_left_in_peace_for_a_while(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.server.faults[OCSP_PATH] = HTTPFault.SERVER_ERROR
    without_list.ask(card())
    without_list.ask(card())
    assert requests(authority) == MAX_FAILURES
    without_list.now += FIRST_REST - timedelta(seconds=1)
    without_list.ask(card())
    assert requests(authority) == MAX_FAILURES
    without_list.now += timedelta(seconds=1)
    without_list.ask(card())
    # One attempt, which fails, and it rests again, for twice as long.
    assert requests(authority) == MAX_FAILURES + 1
    without_list.now += 2 * FIRST_REST
    authority.server.faults.clear()
    assert without_list.ask(card())
    authority.server.faults[OCSP_PATH] = HTTPFault.SERVER_ERROR
    before = requests(authority)
    without_list.ask(card())
    assert requests(authority) == before + module.ROUNDS


def test_a_responder_rests_ten_minutes_at_most(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.server.faults[OCSP_PATH] = HTTPFault.SERVER_ERROR
    for _ in range(30):
        before = requests(authority)
        without_list.ask(card())
        assert requests(authority) > before
        without_list.now += LONGEST_REST


def test_a_rest_outlives_a_restart(
    without_list: Refreshing, authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY", timedelta(0))
    authority.server.faults[OCSP_PATH] = HTTPFault.SERVER_ERROR
    without_list.ask(card())
    without_list.ask(card())
    without_list.restart()
    before = requests(authority)
    without_list.ask(card())
    assert requests(authority) == before


def test_how_a_responder_did_is_not_written_at_every_question(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    path = without_list.folder.places.journal(responder_name(authority.ocsp_url))
    without_list.ask(card())
    first = path.stat().st_ino
    without_list.ask(card())
    assert path.stat().st_ino == first
    without_list.now += module.SAVE_EVERY
    without_list.ask(card())
    assert path.stat().st_ino != first


def test_each_question_has_a_nonce_of_its_own(
    without_list: Refreshing, authority: PublishedAuthority, mocker: MockerFixture
) -> None:
    answer = mocker.spy(authority, "answer")
    without_list.ask(card())
    without_list.ask(card())
    first, second = (call.args for call in answer.call_args_list)
    assert first != second


@pytest.mark.parametrize(
    ("nonce", "fault", "verdict"),
    [
        ("required", OCSPFault.NO_NONCE, "revocation_unavailable"),
        ("required", OCSPFault.WRONG_NONCE, "revocation_unavailable"),
        ("optional", OCSPFault.NO_NONCE, "ocsp"),
        ("optional", OCSPFault.WRONG_NONCE, "revocation_unavailable"),
        ("off", OCSPFault.NO_NONCE, "ocsp"),
        ("off", None, "ocsp"),
    ],
)
def test_the_nonce_is_as_strict_as_the_settings_say(
    tmp_path: Path,
    authority: PublishedAuthority,
    nonce: str,
    fault: OCSPFault | None,
    verdict: str,
) -> None:
    authority.responder.fault = fault
    with Refreshing(tmp_path, authority, cards=[], nonce=nonce) as steps:
        steps.look()
        steps.ask(card())
        assert steps.verdict(card()) == verdict


def test_an_answer_that_is_older_than_the_one_before_is_a_replay(
    tmp_path: Path, authority: PublishedAuthority, authority_clock: SetClock
) -> None:
    with Refreshing(tmp_path, authority, cards=[], nonce="off") as steps:
        steps.look()
        steps.now = authority_clock.now = pki.NOW + timedelta(minutes=2)
        authority.statuses[card().serial_number] = revoked(pki.NOW - HOUR, HOLD)
        steps.ask(card())
        assert steps.verdict(card()) == "cert_revoked"
        authority.statuses.clear()
        authority_clock.now = pki.NOW
        steps.ask(card())
        assert "older than the answer before it" in (journal(steps, authority.ocsp_url).error or "")
        assert steps.verdict(card()) == "cert_revoked"


def test_a_responder_of_the_root_may_answer_where_the_operator_pinned_it(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    signer = delegate(of_root=True)
    authority.responder = FaultyResponder(responder(signer=signer), surroundings())
    for designated, verdict in (([], "revocation_unavailable"), ([signer.certificate], "ocsp")):
        with Refreshing(tmp_path, authority, cards=[], designated=designated) as steps:
            steps.look()
            steps.ask(card())
            assert steps.verdict(card()) == verdict


def test_a_responder_whose_certificate_can_be_revoked_is_looked_up_in_the_lists(
    refreshing: Refreshing, authority: PublishedAuthority
) -> None:
    signer = delegate(no_check=False)
    authority.responder = FaultyResponder(responder(signer=signer), surroundings())
    assert not refreshing.ask(card())
    refreshing.look()
    assert refreshing.ask(card())
    authority.publish(authority.list_path, list_der(entry(signer.certificate), number=2))
    refreshing.look()
    assert not refreshing.ask(card())
