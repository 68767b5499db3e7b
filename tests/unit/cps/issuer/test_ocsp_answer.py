from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from cps.issuer.extensions import plain
from cps.issuer.ocsp_answer import (
    GOOD,
    UNKNOWN,
    Answer,
    CertificateStatus,
    ResponseStatus,
    SingleAnswer,
    encode_answer,
    encode_failure,
    revoked,
)
from cps.issuer.ocsp_request import parse_request
from tests.support import pki
from tests.support.responder import NONCE, delegate, question

YESTERDAY = pki.NOW - timedelta(days=1)
LATER = pki.NOW + timedelta(hours=4)
HOLD = x509.ReasonFlags.certificate_hold


def answer(
    leaf: x509.Certificate, status: CertificateStatus, *, by_name: bool, full: bool
) -> Answer:
    [cert_id] = parse_request(question(leaf)).cert_ids
    single = SingleAnswer(
        cert_id=cert_id,
        status=status,
        this_update=pki.NOW,
        next_update=LATER if full else None,
    )
    return Answer(
        signer=delegate(),
        produced_at=pki.NOW,
        singles=(single,),
        extensions=(plain(x509.OCSPNonce(NONCE)),) if full else (),
        certificates=(delegate().certificate,) if full else (),
        by_name=by_name,
    )


def by_the_library(
    leaf: x509.Certificate, status: CertificateStatus, *, by_name: bool, full: bool
) -> bytes:
    states = {GOOD: ocsp.OCSPCertStatus.GOOD, UNKNOWN: ocsp.OCSPCertStatus.UNKNOWN}
    encoding = ocsp.OCSPResponderEncoding
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=leaf,
            issuer=pki.hierarchy().intermediate.certificate,
            algorithm=hashes.SHA1(),  # noqa: S303 - as in the request
            cert_status=states.get(status, ocsp.OCSPCertStatus.REVOKED),
            this_update=pki.NOW,
            next_update=LATER if full else None,
            revocation_time=status.revoked_at,
            revocation_reason=status.reason,
        )
        .responder_id(encoding.NAME if by_name else encoding.HASH, delegate().certificate)
    )
    if full:
        builder = builder.certificates([delegate().certificate])
        builder = builder.add_extension(x509.OCSPNonce(NONCE), critical=False)
    return builder.sign(delegate().key, hashes.SHA256()).public_bytes(Encoding.DER)


def without_what_depends_on_the_clock(raw: bytes) -> tuple[bytes, ...]:
    """Return what is signed but for producedAt, for which the library takes the real time."""
    response = ocsp.load_der_ocsp_response(raw)
    produced_at = f"{response.produced_at_utc:%Y%m%d%H%M%S}Z".encode()
    before, _, behind = response.tbs_response_bytes.partition(b"\x18\x0f" + produced_at)
    certificates = [each.public_bytes(Encoding.DER) for each in response.certificates]
    return (before, behind, *certificates)


@pytest.mark.parametrize("by_name", [False, True], ids=["by key", "by name"])
@pytest.mark.parametrize("full", [False, True], ids=["bare", "full"])
@pytest.mark.parametrize(
    "status",
    [GOOD, UNKNOWN, revoked(YESTERDAY), revoked(YESTERDAY, HOLD)],
    ids=["good", "unknown", "revoked", "on hold"],
)
def test_same_bytes_as_the_librarys_builder(
    status: CertificateStatus, by_name: bool, full: bool
) -> None:
    leaf = pki.leaf()
    ours = encode_answer(answer(leaf, status, by_name=by_name, full=full))
    theirs = by_the_library(leaf, status, by_name=by_name, full=full)
    assert without_what_depends_on_the_clock(ours) == without_what_depends_on_the_clock(theirs)
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("status", list(ResponseStatus)[1:], ids=lambda status: status.name)
def test_failure_is_its_status_and_nothing_else(status: ResponseStatus) -> None:
    theirs = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus(status))
    assert encode_failure(status) == theirs.public_bytes(Encoding.DER)
