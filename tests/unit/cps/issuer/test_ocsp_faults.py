from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponse, OCSPResponseStatus
from cryptography.x509.oid import ExtendedKeyUsageOID

from cps import tlv
from cps.issuer.extensions import UNKNOWN
from cps.issuer.ocsp_faults import TOLERABLE, OCSPFault
from cps.issuer.responder import answer_request
from tests.support import pki
from tests.support.responder import NONCE, delegate, faulty_responder, question, surroundings

SERIAL = 0x4711
DAY = timedelta(days=1)
Judge = Callable[[OCSPResponse], object]


@cache
def leaf() -> x509.Certificate:
    return pki.leaf(serial=SERIAL)


def answer(fault: OCSPFault | None) -> bytes:
    responder = faulty_responder()
    responder.fault = fault
    return answer_request(question(leaf()), [responder])


def is_signed_by(response: OCSPResponse, certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    algorithm = response.signature_hash_algorithm
    assert algorithm is not None
    try:
        key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def nonce(response: OCSPResponse) -> bytes:
    return response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce


def next_update(response: OCSPResponse) -> datetime:
    moment = response.next_update_utc
    assert moment is not None
    return moment


def statuses(response: OCSPResponse) -> list[OCSPCertStatus]:
    return [each.certificate_status for each in response.responses]


def has_what_nobody_knows(extensions: x509.Extensions) -> bool:
    return (UNKNOWN.oid, True) in {(each.oid, each.critical) for each in extensions}


def issuer_of(fault: OCSPFault) -> x509.Certificate:
    """Return whose key signed the certificate of a wrong responder."""
    around = surroundings()
    return {
        OCSPFault.SIBLING_RESPONDER: around.sibling,
        OCSPFault.ROOT_RESPONDER: around.root,
        OCSPFault.UNTRUSTED_RESPONDER: around.stranger,
    }.get(fault, around.authority).certificate


CONTENT: Mapping[OCSPFault, Judge] = {
    OCSPFault.NO_NONCE: lambda response: len(response.extensions) == 0,
    OCSPFault.WRONG_NONCE: lambda response: (
        nonce(response) != NONCE and len(nonce(response)) == len(NONCE)
    ),
    OCSPFault.WRONG_SERIAL: lambda response: response.serial_number == SERIAL + 1,
    OCSPFault.WRONG_ISSUER: lambda response: (
        response.issuer_key_hash != ocsp.load_der_ocsp_request(question(leaf())).issuer_key_hash
    ),
    OCSPFault.NO_SINGLE_ANSWER: lambda response: statuses(response) == [],
    OCSPFault.TWO_SINGLE_ANSWERS: lambda response: statuses(response) == [OCSPCertStatus.GOOD] * 2,
    OCSPFault.CONTRADICTION: lambda response: (
        statuses(response) == [OCSPCertStatus.GOOD, OCSPCertStatus.REVOKED]
    ),
    OCSPFault.FUTURE_THIS_UPDATE: lambda response: response.this_update_utc > pki.NOW + DAY,
    OCSPFault.PAST_NEXT_UPDATE: lambda response: next_update(response) < pki.NOW - DAY,
    OCSPFault.NEXT_BEFORE_THIS: lambda response: next_update(response) < response.this_update_utc,
    OCSPFault.NO_NEXT_UPDATE: lambda response: (
        response.next_update_utc is None and response.this_update_utc < pki.NOW - DAY
    ),
    OCSPFault.FUTURE_PRODUCED_AT: lambda response: response.produced_at_utc > pki.NOW + DAY,
    OCSPFault.OLD_PRODUCED_AT: lambda response: response.produced_at_utc < pki.NOW - DAY,
    OCSPFault.UNKNOWN_CRITICAL_EXTENSION: lambda response: has_what_nobody_knows(
        response.extensions
    ),
    OCSPFault.UNKNOWN_CRITICAL_SINGLE_EXTENSION: lambda response: has_what_nobody_knows(
        response.single_extensions
    ),
    OCSPFault.SHA1_SIGNATURE: lambda response: (
        response.signature_algorithm_oid.dotted_string == "1.2.840.113549.1.1.5"
    ),
    OCSPFault.UNKNOWN_ALGORITHM: lambda response: (
        response.signature_algorithm_oid.dotted_string == "2.16.840.1.101.3.4.3.14"
    ),
    OCSPFault.WRONG_RESPONDER_ID: lambda response: (
        response.responder_key_hash
        == x509.SubjectKeyIdentifier.from_public_key(
            pki.foreign_hierarchy().intermediate.key.public_key()
        ).digest
    ),
    OCSPFault.NO_CERTIFICATE: lambda response: response.certificates == [],
    OCSPFault.TWO_CERTIFICATES: lambda response: (
        response.certificates[1:] == [delegate().certificate]
    ),
}
"""Answers that the right responder signed."""


def purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def may_answer(certificate: x509.Certificate) -> bool:
    return purposes(certificate) == [ExtendedKeyUsageOID.OCSP_SIGNING]


DELEGATED: Mapping[OCSPFault, Callable[[x509.Certificate], object]] = {
    OCSPFault.SIBLING_RESPONDER: may_answer,
    OCSPFault.ROOT_RESPONDER: may_answer,
    OCSPFault.UNTRUSTED_RESPONDER: may_answer,
    OCSPFault.EXPIRED_RESPONDER: lambda responder: responder.not_valid_after_utc < pki.NOW - DAY,
    OCSPFault.FUTURE_RESPONDER: lambda responder: responder.not_valid_before_utc > pki.NOW + DAY,
    OCSPFault.NO_PURPOSE: lambda responder: (
        x509.ExtendedKeyUsage.oid not in {each.oid for each in responder.extensions}
    ),
    OCSPFault.OTHER_PURPOSE: lambda responder: (
        purposes(responder) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    ),
    OCSPFault.ANY_PURPOSE: lambda responder: (
        purposes(responder) == [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]
    ),
    OCSPFault.OTHER_KEY_USAGE: lambda responder: (
        not (responder.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature)
    ),
    OCSPFault.UNKNOWN_CRITICAL_IN_RESPONDER: lambda responder: has_what_nobody_knows(
        responder.extensions
    ),
}
"""Answers that a wrong responder signed, with what is wrong with its certificate."""

FAILURES: Mapping[OCSPFault, OCSPResponseStatus] = {
    OCSPFault.MALFORMED_REQUEST: OCSPResponseStatus.MALFORMED_REQUEST,
    OCSPFault.INTERNAL_ERROR: OCSPResponseStatus.INTERNAL_ERROR,
    OCSPFault.TRY_LATER: OCSPResponseStatus.TRY_LATER,
    OCSPFault.SIG_REQUIRED: OCSPResponseStatus.SIG_REQUIRED,
    OCSPFault.UNAUTHORIZED: OCSPResponseStatus.UNAUTHORIZED,
}

UNREADABLE: Mapping[OCSPFault, Callable[[bytes], object]] = {
    OCSPFault.UNDEFINED_STATUS: lambda raw: raw.hex() == "30030a0104",
    OCSPFault.NO_ANSWER: lambda raw: raw.hex() == "30030a0100",
    OCSPFault.NOT_BASIC: lambda raw: b"\x2b\x06\x01\x04\x01\x81\xfd\x59\x02" in raw,
    OCSPFault.WRONG_TAG: lambda raw: tlv.read(raw)[0].children()[0].tag == 0x02,
    OCSPFault.TRUNCATED: lambda raw: raw.startswith(b"\x30\x82"),
    OCSPFault.TRAILING_BYTES: lambda raw: len(tlv.read(raw)[0].encode()) == len(raw) - 2,
    OCSPFault.NOT_DER: lambda raw: raw.startswith(b"<!doctype html>"),
    OCSPFault.EMPTY: lambda raw: raw == b"",
}
"""Responses that already the library refuses, or of which it can tell nothing."""

AUTHORITIES = (OCSPFault.SIBLING_ITSELF, OCSPFault.ROOT_ITSELF)


def cases(judges: Mapping[OCSPFault, object]) -> list[object]:
    return [pytest.param(fault, judge, id=fault.name) for fault, judge in judges.items()]


def test_without_a_fault_the_answer_is_good() -> None:
    response = ocsp.load_der_ocsp_response(answer(None))
    assert response.certificate_status is OCSPCertStatus.GOOD
    assert nonce(response) == NONCE
    assert is_signed_by(response, delegate().certificate)
    for fault, is_there in CONTENT.items():
        assert not is_there(response), fault


@pytest.mark.parametrize(("fault", "is_there"), cases(CONTENT))
def test_right_responder_signs_a_wrong_answer(fault: OCSPFault, is_there: Judge) -> None:
    response = ocsp.load_der_ocsp_response(answer(fault))
    assert is_there(response)
    assert is_signed_by(response, delegate().certificate)


@pytest.mark.parametrize(("fault", "is_there"), cases(DELEGATED))
def test_wrong_responder_signs_a_right_answer(
    fault: OCSPFault, is_there: Callable[[x509.Certificate], object]
) -> None:
    response = ocsp.load_der_ocsp_response(answer(fault))
    [responder] = response.certificates
    assert is_there(responder)
    # Nothing is wrong with the right one, or what is wrong is who issued it.
    assert is_there is may_answer or not is_there(delegate().certificate)
    assert is_signed_by(response, responder)
    assert not is_signed_by(response, delegate().certificate)
    responder.verify_directly_issued_by(issuer_of(fault))
    assert response.certificate_status is OCSPCertStatus.GOOD
    assert nonce(response) == NONCE


@pytest.mark.parametrize("fault", AUTHORITIES, ids=lambda fault: fault.name)
def test_wrong_authority_signs_a_right_answer(fault: OCSPFault) -> None:
    response = ocsp.load_der_ocsp_response(answer(fault))
    [signer] = response.certificates
    assert is_signed_by(response, signer)
    assert signer != pki.hierarchy().intermediate.certificate
    signer.verify_directly_issued_by(pki.hierarchy().root.certificate)


def test_self_signed_responder_bears_the_authoritys_name_as_issuer() -> None:
    response = ocsp.load_der_ocsp_response(answer(OCSPFault.SELF_SIGNED_RESPONDER))
    [responder] = response.certificates
    assert responder.issuer == pki.hierarchy().intermediate.certificate.subject
    key = responder.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    algorithm = responder.signature_hash_algorithm
    assert algorithm is not None
    key.verify(responder.signature, responder.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)


def test_bad_signature_comes_with_the_right_certificate() -> None:
    response = ocsp.load_der_ocsp_response(answer(OCSPFault.BAD_SIGNATURE))
    assert response.certificates == [delegate().certificate]
    assert not is_signed_by(response, delegate().certificate)


@pytest.mark.parametrize(("fault", "status"), cases(FAILURES))
def test_failure_is_the_one_named(fault: OCSPFault, status: OCSPResponseStatus) -> None:
    assert ocsp.load_der_ocsp_response(answer(fault)).response_status is status


@pytest.mark.parametrize(("fault", "is_there"), cases(UNREADABLE))
def test_bytes_are_no_answer(fault: OCSPFault, is_there: Callable[[bytes], object]) -> None:
    raw = answer(fault)
    assert is_there(raw)
    with pytest.raises(ValueError):  # noqa: PT011 - the library's words change
        _ = ocsp.load_der_ocsp_response(raw).certificate_status


def test_nonce_that_nobody_sent_is_invented_where_it_is_to_be_wrong() -> None:
    responder = faulty_responder()
    responder.fault = OCSPFault.WRONG_NONCE
    raw = answer_request(question(leaf(), nonce=None), [responder])
    assert len(nonce(ocsp.load_der_ocsp_response(raw))) == 32


def test_responder_is_honest_again_without_its_fault() -> None:
    responder = faulty_responder()
    good = answer_request(question(leaf()), [responder])
    responder.fault = OCSPFault.EMPTY
    assert answer_request(question(leaf()), [responder]) == b""
    responder.fault = None
    assert answer_request(question(leaf()), [responder]) == good


def test_every_fault_is_tested() -> None:
    others = {*AUTHORITIES, OCSPFault.SELF_SIGNED_RESPONDER, OCSPFault.BAD_SIGNATURE}
    assert {*CONTENT, *DELEGATED, *FAILURES, *UNREADABLE, *others} == set(OCSPFault)
    assert set(OCSPFault) > TOLERABLE
