"""Everything that can be wrong with revocation data, over real sockets, and what a login says then.

The numbers are those of the list of tests that this project began with: 87 to 122 are about one
responder, 123 to 125 about who is asked at all, 126 to 139 about what stands in for what.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.codes import ErrorCode
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken, CardDescription
from cps.issuer.crl import ListRequest
from cps.issuer.http_faults import HTTPFault
from cps.issuer.list_faults import ListFault, faulty_list
from cps.issuer.ocsp_answer import UNKNOWN, revoked
from cps.issuer.ocsp_faults import FaultyResponder, OCSPFault
from cps.issuer.server import OCSP_PATH, PublicationError
from gateway.identity import CardKind
from gateway.login.challenge import Challenge, Nonce
from gateway.login.rules import AccessRules
from gateway.login.verify import LoginVerifier
from gateway.refresh import responders as responders_module
from gateway.refresh.fetch import TimeLimits
from gateway.refresh.responders import MAX_FAILURES
from gateway.trust.certificate import load_certificate
from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.refreshing import Refreshing
from tests.support.responder import delegate, responder, surroundings
from tests.support.revocation import HOLD, REMOVED, STOLEN, entry, list_der, scope
from tests.support.trust import refuses

HOUR = timedelta(hours=1)
DENIED = ErrorCode.REVOCATION_UNAVAILABLE.value
REVOKED = ErrorCode.CERT_REVOKED.value
BY_LIST, BY_ANSWER, BY_GRACE = "list", "ocsp", "grace"
NOBODY = "http://127.0.0.1:1/ocsp"


@cache
def card() -> x509.Certificate:
    return pki.leaf(serial=0x1234)


@pytest.fixture
def authority() -> Iterator[PublishedAuthority]:
    with PublishedAuthority() as running:
        yield running


@pytest.fixture
def without_list(tmp_path: Path, authority: PublishedAuthority) -> Iterator[Refreshing]:
    """A gateway that has no list of the cards, so that the responder decides."""
    with Refreshing(tmp_path, authority, cards=[]) as steps:
        steps.look()
        assert steps.verdict(card()) == DENIED
        yield steps


@pytest.fixture
def with_list(tmp_path: Path, authority: PublishedAuthority) -> Iterator[Refreshing]:
    """A gateway that follows the list of the cards; its number is 10 at first."""
    authority.publish(authority.list_path, list_der(number=10))
    delta = authority.url(authority.delta_path)
    authority.publish(authority.delta_path, list_der(number=11, base_number=10))
    with Refreshing(tmp_path, authority, delta=[delta]) as steps:
        steps.look()
        assert steps.verdict(card()) == BY_LIST
        yield steps


def ocsp_requests(authority: PublishedAuthority) -> int:
    return sum(request.path == OCSP_PATH for request in authority.server.requests)


def after_asking(steps: Refreshing) -> str:
    steps.ask(card())
    return steps.verdict(card())


# --- 87 to 122: one responder ---------------------------------------------------------------------


ANSWERS = [
    pytest.param(None, BY_ANSWER, id="087 088 good, delegated"),
    pytest.param(OCSPFault.NOT_DER, DENIED, id="092 web page"),
    pytest.param(OCSPFault.EMPTY, DENIED, id="092 empty"),
    pytest.param(OCSPFault.TRUNCATED, DENIED, id="092 truncated"),
    pytest.param(OCSPFault.TRAILING_BYTES, DENIED, id="092 bytes behind it"),
    pytest.param(OCSPFault.NO_ANSWER, DENIED, id="092 successful, and nothing in it"),
    pytest.param(OCSPFault.MALFORMED_REQUEST, DENIED, id="093 malformedRequest"),
    pytest.param(OCSPFault.INTERNAL_ERROR, DENIED, id="093 internalError"),
    pytest.param(OCSPFault.TRY_LATER, DENIED, id="093 tryLater"),
    pytest.param(OCSPFault.SIG_REQUIRED, DENIED, id="093 sigRequired"),
    pytest.param(OCSPFault.UNAUTHORIZED, DENIED, id="093 unauthorized"),
    pytest.param(OCSPFault.UNDEFINED_STATUS, DENIED, id="093 no such status"),
    pytest.param(OCSPFault.WRONG_SERIAL, DENIED, id="094 other serial number"),
    pytest.param(OCSPFault.WRONG_ISSUER, DENIED, id="094 other issuer"),
    pytest.param(OCSPFault.NO_SINGLE_ANSWER, DENIED, id="094 about nothing"),
    pytest.param(OCSPFault.BAD_SIGNATURE, DENIED, id="095 signature"),
    pytest.param(OCSPFault.SELF_SIGNED_RESPONDER, DENIED, id="096 self-signed"),
    pytest.param(OCSPFault.OTHER_KEY_USAGE, DENIED, id="096 key not for signatures"),
    pytest.param(OCSPFault.UNKNOWN_CRITICAL_IN_RESPONDER, DENIED, id="096 critical extension"),
    pytest.param(OCSPFault.WRONG_RESPONDER_ID, DENIED, id="096 another one is named"),
    pytest.param(OCSPFault.WRONG_TAG, DENIED, id="097 tag"),
    pytest.param(OCSPFault.TWO_SINGLE_ANSWERS, DENIED, id="098 twice"),
    pytest.param(OCSPFault.CONTRADICTION, REVOKED, id="098 good and revoked"),
    pytest.param(OCSPFault.TWO_CERTIFICATES, BY_ANSWER, id="099 a certificate too many"),
    pytest.param(OCSPFault.UNTRUSTED_RESPONDER, DENIED, id="102 responder of a stranger"),
    pytest.param(OCSPFault.EXPIRED_RESPONDER, DENIED, id="103 responder expired"),
    pytest.param(OCSPFault.FUTURE_RESPONDER, DENIED, id="103 responder not yet valid"),
    pytest.param(OCSPFault.WRONG_NONCE, DENIED, id="104 other nonce"),
    pytest.param(OCSPFault.NO_NONCE, DENIED, id="104 no nonce"),
    pytest.param(OCSPFault.FUTURE_THIS_UPDATE, DENIED, id="105 thisUpdate in the future"),
    pytest.param(OCSPFault.PAST_NEXT_UPDATE, DENIED, id="106 nextUpdate in the past"),
    pytest.param(OCSPFault.NEXT_BEFORE_THIS, DENIED, id="107 ends before it begins"),
    pytest.param(OCSPFault.NO_NEXT_UPDATE, DENIED, id="108 old, without end"),
    pytest.param(OCSPFault.FUTURE_PRODUCED_AT, DENIED, id="109 made in the future"),
    pytest.param(OCSPFault.OLD_PRODUCED_AT, DENIED, id="109 made before it was true"),
    pytest.param(OCSPFault.NOT_BASIC, DENIED, id="111 other type"),
    pytest.param(OCSPFault.NO_CERTIFICATE, DENIED, id="112 no certificate"),
    pytest.param(OCSPFault.UNKNOWN_ALGORITHM, DENIED, id="113 SHA-3"),
    pytest.param(OCSPFault.SHA1_SIGNATURE, DENIED, id="113 SHA-1"),
    pytest.param(OCSPFault.SIBLING_RESPONDER, DENIED, id="115 named by a sibling"),
    pytest.param(OCSPFault.SIBLING_ITSELF, DENIED, id="115 sibling itself"),
    pytest.param(OCSPFault.ROOT_RESPONDER, DENIED, id="116 named by the root"),
    pytest.param(OCSPFault.ROOT_ITSELF, DENIED, id="116 root itself"),
    pytest.param(OCSPFault.NO_PURPOSE, DENIED, id="118 no extended key usage"),
    pytest.param(OCSPFault.OTHER_PURPOSE, DENIED, id="118 another one"),
    pytest.param(OCSPFault.ANY_PURPOSE, DENIED, id="118 any"),
    pytest.param(OCSPFault.UNKNOWN_CRITICAL_EXTENSION, DENIED, id="critical extension"),
    pytest.param(OCSPFault.UNKNOWN_CRITICAL_SINGLE_EXTENSION, DENIED, id="critical, of the part"),
]


@pytest.mark.parametrize(("fault", "expected"), ANSWERS)
def test_an_answer_of_the_responder(
    without_list: Refreshing,
    authority: PublishedAuthority,
    fault: OCSPFault | None,
    expected: str,
) -> None:
    authority.responder.fault = fault
    assert after_asking(without_list) == expected


def test_no_fault_of_answers_is_left_out() -> None:
    assert {case.values[0] for case in ANSWERS} == {None, *OCSPFault}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(HTTPFault.NOT_FOUND, DENIED, id="091 404"),
        pytest.param(HTTPFault.SERVER_ERROR, DENIED, id="091 500"),
        pytest.param(HTTPFault.UNAVAILABLE, DENIED, id="091 503"),
        pytest.param(HTTPFault.NOT_MODIFIED, DENIED, id="091 304"),
        pytest.param(HTTPFault.NO_REPLY, DENIED, id="091 no reply"),
        pytest.param(HTTPFault.GARBAGE, DENIED, id="092 not HTTP"),
        pytest.param(HTTPFault.LONG_HEADER, DENIED, id="092 long header"),
        pytest.param(HTTPFault.CAPTIVE_PORTAL, DENIED, id="092 captive portal"),
        pytest.param(HTTPFault.TRUNCATED, DENIED, id="092 cut"),
        pytest.param(HTTPFault.EMPTY, DENIED, id="092 empty body"),
        pytest.param(HTTPFault.COMPRESSED, DENIED, id="092 compressed"),
        pytest.param(HTTPFault.SILENT, DENIED, id="110 silence"),
        pytest.param(HTTPFault.REDIRECT, DENIED, id="121 redirection"),
        pytest.param(HTTPFault.REDIRECT_LOOP, DENIED, id="121 redirections without end"),
        pytest.param(HTTPFault.OVERSIZE, DENIED, id="122 endless"),
        pytest.param(HTTPFault.OVERSIZE_LENGTH, DENIED, id="122 large"),
        pytest.param(HTTPFault.SLOW_BODY, DENIED, id="122 slow"),
        pytest.param(HTTPFault.WRONG_TYPE, BY_ANSWER, id="right, as text/html"),
    ],
)
def test_how_the_responder_is_reached(
    without_list: Refreshing,
    authority: PublishedAuthority,
    monkeypatch: pytest.MonkeyPatch,
    fault: HTTPFault,
    expected: str,
) -> None:
    limits = TimeLimits(connect=1, silence=0.2, total=0.4)
    if expected == DENIED:
        monkeypatch.setattr(responders_module, "LIMITS", limits)
    authority.server.faults[OCSP_PATH] = fault
    assert after_asking(without_list) == expected


@pytest.mark.parametrize("nonce", ["optional", "off"])
def test_089_a_responder_without_nonce(
    tmp_path: Path, authority: PublishedAuthority, nonce: str
) -> None:
    authority.responder.fault = OCSPFault.NO_NONCE
    with Refreshing(tmp_path, authority, cards=[], nonce=nonce) as steps:
        steps.look()
        assert after_asking(steps) == BY_ANSWER


def test_090_an_address_where_nobody_is(tmp_path: Path, authority: PublishedAuthority) -> None:
    ocsp = [NOBODY, "http://no-such-name.invalid/"]
    with Refreshing(tmp_path, authority, cards=[], ocsp=ocsp) as steps:
        steps.look()
        assert after_asking(steps) == DENIED


@pytest.mark.parametrize("reason", [None, *x509.ReasonFlags])
def test_100_120_a_revocation_with_any_reason(
    without_list: Refreshing,
    authority: PublishedAuthority,
    reason: x509.ReasonFlags | None,
) -> None:
    authority.statuses[0x1234] = revoked(pki.NOW - HOUR, reason)
    assert after_asking(without_list) == REVOKED


def test_101_a_card_that_the_responder_does_not_know(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.statuses[0x1234] = UNKNOWN
    assert after_asking(without_list) == DENIED


def test_117_a_responder_of_the_root_that_the_operator_pinned(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    signer = delegate(of_root=True)
    authority.responder = FaultyResponder(responder(signer=signer), surroundings())
    with Refreshing(tmp_path, authority, cards=[], designated=[signer.certificate]) as steps:
        steps.look()
        assert after_asking(steps) == BY_ANSWER


def test_119_the_issuer_answers_itself(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.responder = FaultyResponder(responder(), surroundings())
    assert after_asking(without_list) == BY_ANSWER


# --- 123 to 125: who is asked ---------------------------------------------------------------------


def test_123_a_card_that_names_no_responder(without_list: Refreshing) -> None:
    silent = pki.leaf(serial=0x1235, without=[x509.AuthorityInformationAccess.oid])
    without_list.ask(silent)
    assert without_list.verdict(silent) == BY_ANSWER


def test_123_a_card_whose_addresses_cannot_be_read_is_refused_before() -> None:
    null = x509.UnrecognizedExtension(x509.AuthorityInformationAccess.oid, b"\x05\x00")
    with pytest.raises(ValueError, match="not a readable certificate"):
        load_certificate(pki.der(pki.leaf(extensions=[pki.extension(null)])))


def test_124_addresses_in_the_card_are_asked_nothing(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    with PublishedAuthority() as elsewhere:
        uri = x509.UniformResourceIdentifier(elsewhere.ocsp_url)
        access = x509.AuthorityInformationAccess(
            [x509.AccessDescription(x509.oid.AuthorityInformationAccessOID.OCSP, uri)]
        )
        place = x509.DistributionPoint([uri], None, None, None)
        lured = pki.leaf(
            serial=0x1236,
            extensions=[
                pki.extension(access),
                pki.extension(x509.CRLDistributionPoints([place])),
                pki.extension(x509.FreshestCRL([place])),
            ],
        )
        authority.server.faults[OCSP_PATH] = HTTPFault.UNAVAILABLE
        without_list.ask(lured)
        without_list.look()
        assert without_list.verdict(lured) == DENIED
        assert not elsewhere.server.requests


def test_125_nothing_is_asked_for_a_login_whose_signature_is_wrong(
    without_list: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    monkeypatch.setattr("gateway.trust.ask.Ask.send", lambda ask, _: told.append(ask))
    folder = without_list.folder
    verifier = LoginVerifier(
        folder.store,
        folder.follow(),
        AccessRules(card_types={CardKind.CPS}),
        "https://portail.example",
    )
    agent = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    challenge = Challenge(
        rid="AAECAwQFBgcICQoLDA0ODw",
        nonce=Nonce(bytes(32)),
        target="/",
        agent_key=AgentKey.of(agent),
        expires_at=pki.NOW + HOUR,
    )
    token = AuthToken(
        rid=challenge.rid,
        unverified_certificate=pki.der(card()),
        algorithm="RS256",
        signature=bytes(256),
        card=CardDescription(interface="contact", atr=b"\x3b\x00"),
        agent_version="0.1.0",
    )
    with refuses(ErrorCode.SIG_INVALID):
        verifier.verify(token, challenge, now=pki.NOW)
    assert told == []


# --- 126 to 139: what stands in for what ----------------------------------------------------------


SECOND_PATH = "/"
"""Another path of the same server, which answers questions as well."""


@pytest.fixture
def two(tmp_path: Path, authority: PublishedAuthority) -> Iterator[Refreshing]:
    ocsp = [authority.ocsp_url, authority.url(SECOND_PATH)]
    with Refreshing(tmp_path, authority, cards=[], ocsp=ocsp) as steps:
        steps.look()
        authority.server.requests.clear()
        yield steps


def asked(authority: PublishedAuthority) -> list[str]:
    return [request.path for request in authority.server.requests]


def test_126_after_good_no_other_responder_is_asked(
    two: Refreshing, authority: PublishedAuthority
) -> None:
    assert after_asking(two) == BY_ANSWER
    assert asked(authority) == [OCSP_PATH]


def test_127_after_revoked_no_other_responder_is_asked(
    two: Refreshing, authority: PublishedAuthority
) -> None:
    authority.statuses[0x1234] = revoked(pki.NOW - HOUR)
    assert after_asking(two) == REVOKED
    assert asked(authority) == [OCSP_PATH]


def test_128_after_unknown_the_other_responder_is_asked(
    two: Refreshing, authority: PublishedAuthority
) -> None:
    authority.statuses[0x1234] = UNKNOWN
    assert after_asking(two) == DENIED
    assert asked(authority) == [OCSP_PATH, SECOND_PATH]


def test_129_while_the_first_is_down_the_second_answers(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    with (
        PublishedAuthority() as second,
        Refreshing(
            tmp_path, authority, cards=[], ocsp=[authority.ocsp_url, second.ocsp_url]
        ) as steps,
    ):
        steps.look()
        authority.server.faults[OCSP_PATH] = HTTPFault.UNAVAILABLE
        assert after_asking(steps) == BY_ANSWER
        assert ocsp_requests(second) == 1
        authority.server.faults.clear()
        assert after_asking(steps) == BY_ANSWER
        assert ocsp_requests(second) == 1


def test_130_where_all_are_down_nobody_gets_in(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    authority.server.faults[OCSP_PATH] = HTTPFault.UNAVAILABLE
    with Refreshing(tmp_path, authority, cards=[], ocsp=[NOBODY, authority.ocsp_url]) as steps:
        steps.look()
        assert after_asking(steps) == DENIED


def test_131_a_second_attempt_may_succeed(
    without_list: Refreshing, authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = authority.answer
    failures = iter([PublicationError("once")])

    def fail_once(request: bytes) -> bytes:
        for problem in failures:
            raise problem
        return answer(request)

    monkeypatch.setattr(authority, "answer", fail_once)
    assert after_asking(without_list) == BY_ANSWER


def test_132_a_revoked_from_the_stand_in_counts_whatever_the_next_would_say(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    authority.statuses[0x1234] = revoked(pki.NOW - HOUR)
    with (
        PublishedAuthority() as third,
        Refreshing(
            tmp_path, authority, cards=[], ocsp=[NOBODY, authority.ocsp_url, third.ocsp_url]
        ) as steps,
    ):
        steps.look()
        assert after_asking(steps) == REVOKED
        assert ocsp_requests(third) == 0


def test_133_a_responder_that_fails_rests_and_is_tried_once_afterwards(
    without_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.server.faults[OCSP_PATH] = HTTPFault.UNAVAILABLE
    for _ in range(5):
        without_list.ask(card())
    assert ocsp_requests(authority) == MAX_FAILURES
    without_list.now += timedelta(seconds=31)
    authority.server.faults.clear()
    assert after_asking(without_list) == BY_ANSWER
    assert ocsp_requests(authority) == MAX_FAILURES + 1


def test_134_the_list_decides_whatever_happens_to_the_responder(
    with_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.server.faults[OCSP_PATH] = HTTPFault.UNAVAILABLE
    assert after_asking(with_list) == BY_LIST


def list_request(number: int = 12) -> ListRequest:
    return ListRequest(
        number=number, this_update=pki.NOW - HOUR, next_update=pki.NOW + timedelta(days=1)
    )


OUT_OF_TIME = {ListFault.STALE, ListFault.FUTURE}
"""Such a list decides nothing, but it is the newest one all the same."""
GOOD_ALONE = {ListFault.VERSION_1, ListFault.LOWER_NUMBER}
"""Faults only of a list that comes after another one."""


@pytest.mark.parametrize("fault", [each for each in ListFault if each not in GOOD_ALONE])
def test_135_a_faulty_list_is_worth_nothing(
    tmp_path: Path, authority: PublishedAuthority, fault: ListFault
) -> None:
    stranger = pki.organisations_authority()
    raw = faulty_list(pki.hierarchy().intermediate, list_request(), fault, stranger=stranger)
    authority.publish(authority.list_path, raw)
    with Refreshing(tmp_path, authority) as steps:
        steps.look()
        # An indirect list speaks at least of what its signer issued itself.
        assert steps.verdict(card()) == (BY_LIST if fault is ListFault.INDIRECT else DENIED)


@pytest.mark.parametrize("fault", [each for each in ListFault if each not in OUT_OF_TIME])
def test_135_a_faulty_list_does_not_take_the_place_of_a_good_one(
    with_list: Refreshing, authority: PublishedAuthority, fault: ListFault
) -> None:
    stranger = pki.organisations_authority()
    raw = faulty_list(pki.hierarchy().intermediate, list_request(), fault, stranger=stranger)
    authority.publish(authority.list_path, raw)
    with_list.look()
    assert with_list.verdict(card()) == BY_LIST
    assert with_list.error(authority.url(authority.list_path))


@pytest.mark.parametrize(
    ("base_number", "expected"),
    [
        pytest.param(10, BY_LIST, id="fits"),
        pytest.param(11, REVOKED, id="starts from a later list"),
    ],
)
def test_135_a_delta_list_lifts_a_hold_only_where_it_fits(
    with_list: Refreshing, authority: PublishedAuthority, base_number: int, expected: str
) -> None:
    authority.publish(
        authority.list_path, list_der(entry(card(), HOLD), number=10, this_update=pki.NOW - HOUR)
    )
    delta = list_der(entry(card(), REMOVED), number=12, base_number=base_number)
    authority.publish(authority.delta_path, delta)
    with_list.look()
    assert with_list.verdict(card()) == expected


def test_135_a_list_for_other_certificates_decides_nothing(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    for limits in (scope(only_authorities=True), scope(indirect=True, only_attributes=True)):
        authority.publish(authority.list_path, list_der(scope=limits))
        with Refreshing(tmp_path, authority) as steps:
            steps.look()
            assert steps.verdict(card()) == DENIED


@pytest.mark.parametrize(
    "fault",
    [
        HTTPFault.NOT_FOUND,
        HTTPFault.REDIRECT,
        HTTPFault.CAPTIVE_PORTAL,
        HTTPFault.TRUNCATED,
        HTTPFault.EMPTY,
        HTTPFault.NOT_MODIFIED,
        HTTPFault.OVERSIZE_LENGTH,
    ],
    ids=lambda fault: fault.name,
)
def test_135_a_list_that_cannot_be_fetched_is_no_list(
    tmp_path: Path, authority: PublishedAuthority, fault: HTTPFault
) -> None:
    authority.server.faults[authority.list_path] = fault
    with Refreshing(tmp_path, authority) as steps:
        steps.look()
        assert steps.verdict(card()) == DENIED


def test_136_an_answer_counts_no_longer_than_it_says(
    without_list: Refreshing, authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cps.issuer.responder.ANSWER_LIFETIME", HOUR / 2)
    assert after_asking(without_list) == BY_ANSWER
    without_list.now += HOUR / 2
    assert without_list.verdict(card()) == BY_ANSWER
    without_list.now += timedelta(seconds=1)
    assert without_list.verdict(card()) == DENIED


def test_137_revoked_once_is_revoked_for_ever(
    with_list: Refreshing, authority: PublishedAuthority
) -> None:
    authority.statuses[0x1234] = revoked(pki.NOW - HOUR, STOLEN)
    with_list.ask(card())
    authority.statuses.clear()
    authority.publish(authority.list_path, list_der(number=12, this_update=pki.NOW - HOUR))
    with_list.restart()
    with_list.look()
    assert after_asking(with_list) == REVOKED


def test_138_a_grace_lets_in_for_a_week_at_most_and_is_a_problem(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    end = pki.NOW - timedelta(days=6)
    raw = list_der(this_update=end - HOUR, next_update=end)
    authority.publish(authority.list_path, raw)
    grace = {"grace_until": pki.NOW + timedelta(days=30)}
    with Refreshing(tmp_path, authority, more=grace) as steps:
        steps.look()
        assert steps.verdict(card()) == BY_GRACE
        assert any("grace" in each for each in steps.folder.follow().problems(pki.NOW))
        # The root's list ends as well in these two days, but not so long ago.
        steps.now += timedelta(days=1, minutes=6)
        assert steps.verdict(card()) == DENIED


def test_139_cards_of_a_revoked_authority_are_refused(
    with_list: Refreshing, authority: PublishedAuthority
) -> None:
    ours = pki.hierarchy()
    raw = list_der(entry(ours.intermediate.certificate, STOLEN), issuer=ours.root, number=2)
    authority.publish(authority.root_list_path, raw)
    with_list.look()
    assert with_list.verdict(card()) == REVOKED
