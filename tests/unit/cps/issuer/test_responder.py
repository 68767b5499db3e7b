from collections.abc import Iterable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponse, OCSPResponseStatus

from cps import tlv
from cps.issuer import der
from cps.issuer.ocsp_answer import UNKNOWN, CertificateStatus, revoked
from cps.issuer.responder import ANSWER_LIFETIME, OCSPResponder, answer_request
from tests.support import pki
from tests.support.responder import NONCE, delegate, question, responder

LEAF_SERIAL = 0x4711
YESTERDAY = pki.NOW - timedelta(days=1)


def leaf() -> x509.Certificate:
    return pki.leaf(serial=LEAF_SERIAL)


def ask(request: bytes, *responders: OCSPResponder) -> OCSPResponse:
    return ocsp.load_der_ocsp_response(answer_request(request, responders or (responder(),)))


def require_signed_by(response: OCSPResponse, certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert isinstance(response.signature_hash_algorithm, hashes.SHA256)
    key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), hashes.SHA256())


def test_good_certificate_is_called_good_for_four_hours() -> None:
    response = ask(question(leaf()))
    assert response.response_status is OCSPResponseStatus.SUCCESSFUL
    assert response.certificate_status is OCSPCertStatus.GOOD
    assert response.serial_number == LEAF_SERIAL
    assert response.produced_at_utc == response.this_update_utc == pki.NOW
    assert response.next_update_utc == pki.NOW + ANSWER_LIFETIME


@pytest.mark.parametrize(
    "reason",
    [None, x509.ReasonFlags.key_compromise, x509.ReasonFlags.certificate_hold],
    ids=["no reason", "stolen", "on hold"],
)
def test_revoked_certificate_is_called_revoked_with_day_and_reason(
    reason: x509.ReasonFlags | None,
) -> None:
    response = ask(question(leaf()), responder({LEAF_SERIAL: revoked(YESTERDAY, reason)}))
    assert response.certificate_status is OCSPCertStatus.REVOKED
    assert response.revocation_time_utc == YESTERDAY
    assert response.revocation_reason is reason


def test_certificate_that_nobody_issued_is_called_unknown() -> None:
    response = ask(question(leaf()), responder({LEAF_SERIAL: UNKNOWN}))
    assert response.certificate_status is OCSPCertStatus.UNKNOWN


@pytest.mark.parametrize(
    "algorithm",
    [hashes.SHA1(), hashes.SHA256()],  # noqa: S303
    ids=["SHA-1", "SHA-256"],
)
def test_answer_names_the_certificate_as_the_request_did(
    algorithm: hashes.HashAlgorithm,
) -> None:
    request = ocsp.load_der_ocsp_request(question(leaf(), algorithm=algorithm))
    response = ask(question(leaf(), algorithm=algorithm))
    assert response.issuer_key_hash == request.issuer_key_hash
    assert response.issuer_name_hash == request.issuer_name_hash
    assert response.hash_algorithm.name == algorithm.name


def test_nonce_is_echoed_and_none_is_invented() -> None:
    with_nonce = ask(question(leaf()))
    nonce = with_nonce.extensions.get_extension_for_class(x509.OCSPNonce)
    assert nonce.value.nonce == NONCE
    assert not nonce.critical
    assert len(ask(question(leaf(), nonce=None)).extensions) == 0


def test_authority_signs_for_itself_without_sending_its_certificate() -> None:
    response = ask(question(leaf()))
    require_signed_by(response, pki.hierarchy().intermediate.certificate)
    assert response.certificates == []


def test_delegated_responder_signs_and_sends_its_certificate() -> None:
    response = ask(question(leaf()), responder(signer=delegate()))
    require_signed_by(response, delegate().certificate)
    assert response.certificates == [delegate().certificate]
    delegate().certificate.verify_directly_issued_by(pki.hierarchy().intermediate.certificate)


@pytest.mark.parametrize("delegated", [False, True], ids=["authority", "delegate"])
def test_responder_is_named_by_key_or_by_name(delegated: bool) -> None:
    signer = delegate() if delegated else None
    certificate = delegate().certificate if delegated else pki.hierarchy().intermediate.certificate
    by_key = ask(question(leaf()), responder(signer=signer))
    key = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    assert by_key.responder_key_hash == key.digest
    assert by_key.responder_name is None
    by_name = ask(question(leaf()), responder(signer=signer, by_name=True))
    assert by_name.responder_name == certificate.subject
    assert by_name.responder_key_hash is None


def test_request_goes_to_the_responder_of_the_issuer() -> None:
    ours = pki.hierarchy()
    bad = revoked(YESTERDAY)
    below = responder({LEAF_SERIAL: bad})
    above = responder({ours.intermediate.certificate.serial_number: bad}, authority=ours.root)
    response = ask(question(ours.intermediate.certificate, issuer=ours.root), below, above)
    assert response.certificate_status is OCSPCertStatus.REVOKED
    require_signed_by(response, ours.root.certificate)


def test_certificate_of_another_authority_is_not_our_business() -> None:
    sibling = pki.sibling_intermediate()
    response = ask(question(pki.leaf(issuer=sibling), issuer=sibling))
    assert response.response_status is OCSPResponseStatus.UNAUTHORIZED


@pytest.mark.parametrize("raw", [b"", b"\x30\x00", b"hello"], ids=["empty", "hollow", "text"])
def test_what_is_no_request_is_called_malformed(raw: bytes) -> None:
    assert ask(raw).response_status is OCSPResponseStatus.MALFORMED_REQUEST


def test_two_certificates_get_two_answers_and_the_strangers_is_unknown() -> None:
    # The library makes and reads requests for one certificate only.
    other = pki.sibling_intermediate()
    raw = join_questions(
        question(leaf(), nonce=None),
        question(pki.leaf(serial=0x99, issuer=other), issuer=other, nonce=None),
    )
    response = ask(raw, responder())
    answers: Iterable[ocsp.OCSPSingleResponse] = response.responses
    assert [(each.serial_number, each.certificate_status) for each in answers] == [
        (LEAF_SERIAL, OCSPCertStatus.GOOD),
        (0x99, OCSPCertStatus.UNKNOWN),
    ]


def test_status_can_change_between_two_answers() -> None:
    statuses: dict[int, CertificateStatus] = {}
    ours = responder(statuses)
    assert ask(question(leaf()), ours).certificate_status is OCSPCertStatus.GOOD
    statuses[LEAF_SERIAL] = revoked(pki.NOW)
    assert ask(question(leaf()), ours).certificate_status is OCSPCertStatus.REVOKED


def join_questions(*requests: bytes) -> bytes:
    """Return one request for the certificates of several."""
    wanted = [tlv.read(raw)[0].children()[0].children()[0].value for raw in requests]
    return der.sequence(der.sequence(der.sequence(*wanted)))
