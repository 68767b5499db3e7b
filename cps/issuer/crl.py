"""Certificate revocation lists of the test authority."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cps.issuer.hierarchy import Authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One certificate that is not good any more."""

    serial: int
    revoked_at: datetime
    """Aware."""
    reason: x509.ReasonFlags | None = None
    """Absent where nobody said why; the standard wants no entry that says *unspecified*."""


def make_crl(
    authority: Authority,
    *,
    number: int,
    this_update: datetime,
    next_update: datetime,
    revoked: Iterable[Revocation] = (),
) -> x509.CertificateRevocationList:
    """Return a complete list, version 2, signed by *authority*.

    :param number: the crlNumber, at least 0; each list must have a higher one than the list before.
    :param this_update: aware.
    :param next_update: aware; after it nobody may rely on the list.

    Source: RFC 5280 §5.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(this_update.replace(microsecond=0))
        .next_update(next_update.replace(microsecond=0))
        .add_extension(authority.key_identifier(), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for revocation in revoked:
        builder = builder.add_revoked_certificate(_entry(revocation))
    return builder.sign(authority.key, hashes.SHA256())


def _entry(revocation: Revocation) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(revocation.serial)
        .revocation_date(revocation.revoked_at.replace(microsecond=0))
    )
    if revocation.reason is not None:
        builder = builder.add_extension(x509.CRLReason(revocation.reason), critical=False)
    return builder.build()
