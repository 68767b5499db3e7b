"""Certificate revocation lists of the test authority: complete and delta, of any size."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from cps.issuer import der
from cps.issuer.extensions import AnyExtension, amended, critical, plain
from cps.issuer.hierarchy import Authority

VERSION_2 = 1
"""How the version field says 2."""
SERIAL_BYTES = 16
"""As many as the serial numbers of real cards have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One certificate that is not good any more."""

    serial: int
    revoked_at: datetime
    """Aware."""
    reason: x509.ReasonFlags | None = None
    """Absent where nobody said why; the standard wants no entry that says *unspecified*."""
    extensions: tuple[AnyExtension, ...] = ()
    """More of the entry's extensions; they stand behind the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """All that makes one list differ from another."""

    number: int | None
    """The crlNumber; each list must have a higher one than the list before."""
    this_update: datetime
    """Aware."""
    next_update: datetime | None
    """Aware; after it nobody may rely on the list."""
    entries: bytes = b""
    """What :func:`encode_entries` or :func:`packed_entries` returned, or several joined."""
    base_number: int | None = None
    """The number of the complete list that a delta list completes; absent in a complete list."""
    scope: x509.IssuingDistributionPoint | None = None
    """Which certificates and reasons the list covers, where that is not all; critical."""
    freshest: x509.FreshestCRL | None = None
    """Where the delta list is."""
    issuer: x509.Name | None = None
    """Another name than that of the authority that signs."""
    version: int | None = VERSION_2
    """Absent for version 1, which has neither extensions nor a field for its version."""
    omitted: frozenset[x509.ObjectIdentifier] = frozenset()
    """Extensions to leave out, for lists that must be refused."""
    replaced: tuple[AnyExtension, ...] = ()
    """Extensions to use in place of the usual ones, or to add at the end, for the same reason."""


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
    request = ListRequest(
        number=number,
        this_update=this_update,
        next_update=next_update,
        entries=encode_entries(revoked),
    )
    return x509.load_der_x509_crl(sign_list(authority, request))


def sign_list(
    authority: Authority,
    request: ListRequest,
    *,
    algorithm: der.SignatureAlgorithm = der.SignatureAlgorithm.RSA_SHA256,
) -> bytes:
    """Return the DER of the list that *authority* signs for *request*.

    Nothing is checked: an authority for tests has to make lists that must be refused.

    Source: RFC 5280 §5.1.
    """
    signed = signed_part(authority, request, algorithm=algorithm)
    return der.sequence(signed, der.signature(signed, authority.key, algorithm))


def signed_part(
    authority: Authority,
    request: ListRequest,
    *,
    algorithm: der.SignatureAlgorithm = der.SignatureAlgorithm.RSA_SHA256,
) -> bytes:
    """Return the tbsCertList, what the signature covers."""
    issuer = authority.certificate.subject if request.issuer is None else request.issuer
    extensions = amended(
        _extensions(authority, request), omitted=request.omitted, replaced=request.replaced
    )
    return der.sequence(
        b"" if request.version is None else der.integer(request.version),
        algorithm.identifier(),
        issuer.public_bytes(),
        der.time(request.this_update),
        b"" if request.next_update is None else der.time(request.next_update),
        der.sequence(request.entries) if request.entries else b"",
        der.explicit(0, der.extensions(extensions)) if extensions else b"",
    )


def encode_entries(revoked: Iterable[Revocation]) -> bytes:
    """Return the entries of *revoked*, in its order."""
    return b"".join(_entry(revocation) for revocation in revoked)


def packed_entries(
    serials: Sequence[bytes], *, revoked_at: datetime, reason: x509.ReasonFlags | None = None
) -> bytes:
    """Return the entries of many certificates that differ in nothing but the serial number.

    The bytes around each serial number are the same, so a million entries take a tenth of a second.

    :param serials: as :func:`made_up_serials` returns them: all of one length, at most 127 bytes,
        each the contents of a positive INTEGER.
    :param revoked_at: aware.
    :raises ValueError: where the serial numbers have not all the same length.
    """
    if not serials:
        return b""
    length = len(serials[0])
    if any(len(serial) != length for serial in serials):
        raise ValueError("serial numbers of one length are wanted")
    model = der.integer(1 << 8 * length - 2)
    entry = _entry(Revocation(serial=1 << 8 * length - 2, revoked_at=revoked_at, reason=reason))
    start = entry.index(model) + len(model) - length
    before, behind = entry[:start], entry[start + length :]
    return before + (behind + before).join(serials) + behind


def made_up_serials(count: int, *, seed: bytes = b"") -> list[bytes]:
    """Return serial numbers of 16 bytes that depend on *seed* and nothing else.

    :param count: how many, at least 0.
    :returns: the contents of positive INTEGERs, all different.
    """
    first = bytes(0x40 | value & 0x3F for value in range(256))
    heads = hashlib.shake_128(b"head" + seed).digest(count).translate(first)
    rest = SERIAL_BYTES - 1
    tails = hashlib.shake_128(b"tail" + seed).digest(count * rest)
    return [heads[at : at + 1] + tails[at * rest : (at + 1) * rest] for at in range(count)]


def _entry(revocation: Revocation) -> bytes:
    extensions = list(revocation.extensions)
    if revocation.reason is not None:
        extensions.insert(0, plain(x509.CRLReason(revocation.reason)))
    return der.sequence(
        der.integer(revocation.serial),
        der.time(revocation.revoked_at),
        der.extensions(extensions) if extensions else b"",
    )


def _extensions(authority: Authority, request: ListRequest) -> Iterator[AnyExtension]:
    yield plain(authority.key_identifier())
    if request.number is not None:
        yield plain(x509.CRLNumber(request.number))
    if request.base_number is not None:
        yield critical(x509.DeltaCRLIndicator(request.base_number))
    if request.scope is not None:
        yield critical(request.scope)
    if request.freshest is not None:
        yield plain(request.freshest)
