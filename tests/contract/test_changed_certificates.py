"""Certificates, lists and answers with every small change, each signed anew by who may sign.

An authority does not make such things by intention, but nothing else would show what happens when
one does. No change may end in anything but a refusal with its code, or in a certificate that says
something else and is as good as before; where that can be is written down.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ocsp

from cps import tlv
from cps.authtoken.codes import ErrorCode
from cps.issuer import oids
from cps.issuer.ocsp_request import parse_request
from gateway.errors import LoginRejectedError
from gateway.trust.certificate import load_certificate
from gateway.trust.list_standing import Standing, find_standing
from gateway.trust.ocsp import OCSPQuestion, OCSPStatus, read_answer
from gateway.trust.path import PathVerifier
from gateway.trust.profile import require_authentication_profile
from gateway.trust.revocation_list import RevocationList
from gateway.trust.store import TrustStore
from tests.support import pki
from tests.support.mutations import Element, Mutant, Place, mutants, signed
from tests.support.responder import NONCE, question, responder
from tests.support.revocation import HOLD, STOLEN, entry, list_der, scope

CARD_CODES = {
    ErrorCode.CERT_MALFORMED,
    ErrorCode.CERT_NOT_YET,
    ErrorCode.CERT_EXPIRED,
    ErrorCode.CERT_UNTRUSTED,
    ErrorCode.CERT_PURPOSE,
    ErrorCode.CERT_POLICY,
    ErrorCode.CERT_TYPE,
}
FIELDS = (
    "version",
    "serial number",
    "algorithm",
    "issuer",
    "validity",
    "subject",
    "key",
    "extensions",
)
LIST_FIELDS = ("version", "algorithm", "issuer", "begin", "end", "entries", "extensions")
ANSWER_FIELDS = ("responder", "produced", "answers", "extensions")

HARMLESS_IN_A_CARD = {
    "serial number": "another card's",
    "validity": "other dates around now",
    "subject": "somebody else's",
    "key": "another one, which did not sign the login then",
    "extensions": "another order",
    x509.BasicConstraints.oid.dotted_string: "absent, which says the same",
    x509.SubjectKeyIdentifier.oid.dotted_string: "of no use below an authority",
    x509.KeyUsage.oid.dotted_string: "not critical, or with bits that have no meaning",
    x509.CertificatePolicies.oid.dotted_string: "other qualifiers, which are for people",
    x509.ExtendedKeyUsage.oid.dotted_string: "another order, or one of them twice",
    x509.SubjectAlternativeName.oid.dotted_string: "another principal, which is noted",
    x509.CRLDistributionPoints.oid.dotted_string: "addresses, which are never used",
    x509.FreshestCRL.oid.dotted_string: "addresses",
    x509.AuthorityInformationAccess.oid.dotted_string: "addresses",
    oids.TOKEN_ID.dotted_string: "another card",
    oids.PROFESSION.dotted_string: "another profession",
    oids.SPECIALITIES.dotted_string: "other specialities",
}
HARMLESS_IN_AN_AUTHORITY = {
    "serial number": "another one",
    "validity": "other dates around now",
    "extensions": "another order",
    "key": "the same without the NULL of its algorithm",
    x509.BasicConstraints.oid.dotted_string: "a longer path",
    x509.KeyUsage.oid.dotted_string: "not critical, or with bits that have no meaning",
    x509.CertificatePolicies.oid.dotted_string: "other qualifiers",
    x509.CRLDistributionPoints.oid.dotted_string: "addresses",
}
HARMLESS_IN_A_LIST = {
    "issuer": "the same texts as another kind of string, or in other letters",
    "begin": "another date before now",
    "end": "another date behind now",
    "entries": "other cards, dates and reasons",
    "extensions": "none, or another order",
    x509.CRLNumber.oid.dotted_string: "another one, or none",
    x509.AuthorityKeyIdentifier.oid.dotted_string: "absent",
    x509.IssuingDistributionPoint.oid.dotted_string: "another limit, or not critical",
}
HARMLESS_IN_AN_ANSWER = {
    "answers": "the same without the NULL of the hash's algorithm, or another end",
    x509.OCSPNonce.oid.dotted_string: "critical",
}


@contextmanager
def quiet() -> Iterator[None]:
    """Let the library warn as it does in production, where warnings are no errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def place_in(tbs: bytes, place: Place, fields: Sequence[str]) -> str:
    """Return the name of the field, or of the extension, that *place* is in."""
    if not place:
        return "whole"
    name = fields[place[0]]
    if name == "extensions" and len(place) > 2:
        extension = Element.parse(tbs).members[place[0]].members[0].members[place[2]]
        oid = asn1.decode_der(x509.ObjectIdentifier, extension.members[0].encoded())
        return oid.dotted_string
    return name


def accepted(
    tbs: bytes, fields: Sequence[str], judge: Callable[[bytes], object]
) -> dict[str, list[Mutant]]:
    """Return the changes that *judge* lets pass, by where they are; any other way is a failure."""
    found: dict[str, list[Mutant]] = {}
    count = 0
    with quiet():
        for mutant in mutants(tbs):
            count += 1
            try:
                judge(mutant.der)
            except (ValueError, LoginRejectedError):
                continue
            found.setdefault(place_in(tbs, mutant.place, fields), []).append(mutant)
    assert count > 500
    return found


def store() -> TrustStore:
    ours = pki.hierarchy()
    return TrustStore(
        environment="test",
        anchors=(ours.root.certificate,),
        intermediates=(ours.intermediate.certificate,),
        policies=frozenset({oids.TEST_POLICY}),
    )


def test_no_change_to_a_card_lets_another_kind_of_certificate_in() -> None:
    card, key = pki.leaf(pki.SPECIALIST), pki.hierarchy().intermediate.key
    paths, codes = PathVerifier(store()), set()

    def judge(tbs: bytes) -> None:
        certificate = load_certificate(signed(tbs, key))
        try:
            paths.require_chain(certificate, pki.NOW)
            require_authentication_profile(certificate, environment="test")
        except LoginRejectedError as exc:
            codes.add(exc.reason)
            raise

    judge(card.tbs_certificate_bytes)
    found = accepted(card.tbs_certificate_bytes, FIELDS, judge)
    assert found.keys() <= HARMLESS_IN_A_CARD.keys()
    assert codes <= CARD_CODES


def test_no_change_to_an_authority_is_overlooked() -> None:
    ours, card = pki.hierarchy(), pki.leaf()

    def judge(tbs: bytes) -> None:
        authority = load_certificate(signed(tbs, ours.root.key))
        pinned = replace(store(), intermediates=(authority,))
        PathVerifier(pinned).require_chain(card, pki.NOW)

    tbs = ours.intermediate.certificate.tbs_certificate_bytes
    judge(tbs)
    assert accepted(tbs, FIELDS, judge).keys() <= HARMLESS_IN_AN_AUTHORITY.keys()


def test_no_change_to_a_list_frees_a_card_but_in_its_own_entry() -> None:
    ours = pki.hierarchy()
    stolen, held = pki.leaf(serial=0x1234), pki.leaf(serial=0x1235)
    raw = list_der(entry(stolen, STOLEN), entry(held, HOLD), scope=scope(only_users=True))
    tbs = x509.load_der_x509_crl(raw).tbs_certlist_bytes
    freed: set[bytes] = set()

    def judge(changed: bytes) -> None:
        whole = signed(changed, ours.intermediate.key)
        parsed = RevocationList.parse(whole, [ours.intermediate.certificate])
        for card in (stolen, held):
            found = find_standing(card, ours.intermediate.certificate, [parsed], pki.NOW)
            if found.standing is not Standing.REVOKED:
                freed.add(changed)

    judge(tbs)
    assert not freed
    found = accepted(tbs, LIST_FIELDS, judge)
    assert found.keys() <= HARMLESS_IN_A_LIST.keys()
    places = {mutant.place for each in found.values() for mutant in each if mutant.der in freed}
    # All entries, one entry, or the number that stands first in it: nothing else frees a card.
    assert {place[:1] for place in places} == {(LIST_FIELDS.index("entries"),)}
    assert all(len(place) <= 2 or place[2] == 0 for place in places)


def test_no_change_to_an_answer_makes_it_another_cards_good() -> None:
    ours, card = pki.hierarchy(), pki.leaf()
    asked = OCSPQuestion(
        issuer=ours.intermediate.certificate, serial=card.serial_number, nonce=NONCE
    )
    raw = responder().respond(parse_request(question(card)))
    tbs = ocsp.load_der_ocsp_response(raw).tbs_response_bytes

    def judge(changed: bytes) -> None:
        answer = tlv.encode(
            0x30,
            b"\x0a\x01\x00",
            tlv.encode(
                0xA0,
                tlv.encode(
                    0x30,
                    bytes.fromhex("06092B0601050507300101"),
                    tlv.encode(0x04, signed(changed, ours.intermediate.key)),
                ),
            ),
        )
        found = read_answer(answer, asked, now=pki.NOW, is_good=lambda _: False)
        if found.status is not OCSPStatus.GOOD:
            raise ValueError("not good any more")

    judge(tbs)
    found = accepted(tbs, ANSWER_FIELDS, judge)
    assert found.keys() <= HARMLESS_IN_AN_ANSWER.keys()
