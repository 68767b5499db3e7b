"""The door between the suites' OCSP answers and the gateway's own code."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import SignatureAlgorithmOID

from gateway.trust.ocsp import OCSPQuestion, OCSPStatus, read_answer
from gateway.trust.strength import RSA_SHA2, Strength

STRENGTH = Strength(algorithms=RSA_SHA2 | {SignatureAlgorithmOID.RSA_WITH_SHA1}, min_rsa_bits=1024)
"""Nearly all answers of the suite are signed with SHA-1, which no login accepts."""
MAX_AGE = timedelta(days=7)
"""What the suite takes for fresh."""


def answer_fault(answer: bytes, *, leaf: bytes, issuer: bytes, now: datetime) -> str | None:
    """Return why *answer* does not say that *leaf* is good; ``None`` where it does.

    :param issuer: who issued it. Neither certificate is looked at for more than its names and keys.
    """
    try:
        question = OCSPQuestion(
            issuer=x509.load_der_x509_certificate(issuer),
            serial=x509.load_der_x509_certificate(leaf).serial_number,
        )
        found = read_answer(
            answer,
            question,
            now=now,
            # The suite brings no list in which the responder could be looked up.
            is_good=lambda _: True,
            max_age=MAX_AGE,
            strength=STRENGTH,
        )
    except ValueError as exc:
        return str(exc)
    return None if found.status is OCSPStatus.GOOD else found.status.name
