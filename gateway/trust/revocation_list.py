"""One certificate revocation list: from the bytes of a file to serial numbers worth believing."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import SignatureAlgorithmOID

CLOCK_SKEW = timedelta(minutes=5)
"""How far the authority's clock and ours may differ."""
_PEM_BEGIN = b"-----BEGIN "
_TRUE = b"\x01\x01\xff"
_HASHES: Mapping[x509.ObjectIdentifier, hashes.HashAlgorithm] = MappingProxyType(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256: hashes.SHA256(),
        SignatureAlgorithmOID.RSA_WITH_SHA384: hashes.SHA384(),
        SignatureAlgorithmOID.RSA_WITH_SHA512: hashes.SHA512(),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A complete list, signed by *authority*."""

    authority: x509.Certificate
    number: int | None
    """crlNumber, where the list has one."""
    this_update: datetime
    next_update: datetime
    serials: frozenset[int]
    """Of all that is revoked, whatever the reason: a hold counts as well."""

    @classmethod
    def parse(cls, raw: bytes, authorities: Iterable[x509.Certificate]) -> Self:
        """Return the list in *raw* after its signature was verified.

        Dates are not looked at: see :meth:`is_in_force`.

        :param raw: one list in DER or PEM, of a size that the caller has bounded.
        :param authorities: those of which one must have signed.
        :raises ValueError: for anything else, and for lists that cover only a part of what the
            authority issued, or more: delta, indirect, with a distribution point.

        Source: RFC 5280 §5, §6.3.3.
        """
        try:
            der = _one_list(raw)
            crl = x509.load_der_x509_crl(der)
            number = _require_complete(crl)
            issuer = crl.issuer
        except (
            ValueError,
            UnsupportedAlgorithm,
            x509.DuplicateExtension,
            x509.InvalidVersion,
            x509.UnsupportedGeneralNameType,
            Warning,  # what the library only warns of is raised where warnings are errors
        ) as exc:
            raise ValueError(f"not a usable revocation list: {exc}") from exc
        if crl.next_update_utc is None:
            raise ValueError("the list does not say when the next one comes")
        authority = _require_signed(
            crl, der, [candidate for candidate in authorities if candidate.subject == issuer]
        )
        _require_plain_entries(crl, der)
        return cls(
            authority=authority,
            number=number,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            serials=frozenset(entry.serial_number for entry in crl),
        )

    def is_in_force(self, now: datetime) -> bool:
        """Return whether *now* lies between thisUpdate and nextUpdate, five minutes either side."""
        return self.this_update - CLOCK_SKEW <= now <= self.next_update + CLOCK_SKEW

    def is_older_than(self, other: Self) -> bool:
        """Return whether this list was made before *other*, as its number and date say.

        A list without number cannot follow one that has a number.
        """
        if self.this_update < other.this_update:
            return True
        if other.number is None:
            return False
        return self.number is None or self.number < other.number


def _one_list(raw: bytes) -> bytes:
    """Return the DER of the only list in *raw*, which is PEM or DER."""
    if not raw.startswith(_PEM_BEGIN):
        return raw
    if raw.count(_PEM_BEGIN) != 1:
        raise ValueError("several PEM blocks; one list a file is wanted")
    return x509.load_pem_x509_crl(raw).public_bytes(Encoding.DER)


def _require_complete(crl: x509.CertificateRevocationList) -> int | None:
    """Refuse a list of which this module does not understand every limit; return its number."""
    number = None
    for extension in crl.extensions:
        # Any scope narrows what the absence of a serial number says, and no scope is understood
        # here, so a list with one is refused, marked as critical or not.
        if extension.critical or isinstance(
            extension.value, x509.IssuingDistributionPoint | x509.DeltaCRLIndicator
        ):
            raise ValueError(f"extension {extension.oid.dotted_string} is not supported")
        if isinstance(extension.value, x509.CRLNumber):
            number = extension.value.crl_number
    return number


def _require_signed(
    crl: x509.CertificateRevocationList, der: bytes, candidates: Iterable[x509.Certificate]
) -> x509.Certificate:
    """Return the one of *candidates* whose key signed the list.

    The library's own check encodes the whole list anew, two seconds for a million entries; here
    the bytes that came are hashed once.
    """
    algorithm = _HASHES.get(crl.signature_algorithm_oid)
    if algorithm is None:
        raise ValueError(f"signature algorithm {crl.signature_algorithm_oid.dotted_string}")
    signed = _signed_bytes(memoryview(der))
    digest = hashlib.new(algorithm.name, signed).digest()
    for candidate in candidates:
        key = candidate.public_key()
        usage = candidate.extensions.get_extension_for_class(x509.KeyUsage).value
        if not isinstance(key, rsa.RSAPublicKey) or not usage.crl_sign:
            continue
        try:
            key.verify(crl.signature, digest, padding.PKCS1v15(), Prehashed(algorithm))
        except InvalidSignature:
            continue
        return candidate
    raise ValueError("not signed by one of the configured authorities")


def _require_plain_entries(crl: x509.CertificateRevocationList, der: bytes) -> None:
    """Refuse entries with a critical extension, such as another issuer's name.

    Reading each entry's extensions is slow, so they are read only where the bytes of a TRUE stand
    anywhere in the list.
    """
    if _TRUE not in der:
        return
    try:
        critical = any(extension.critical for entry in crl for extension in entry.extensions)
    except (ValueError, x509.DuplicateExtension) as exc:
        raise ValueError(f"an entry's extensions cannot be read: {exc}") from exc
    if critical:
        raise ValueError("an entry has a critical extension, which is not supported")


def _signed_bytes(der: memoryview) -> memoryview:
    """Return the part of a list that its signature covers.

    :param der: a list that the library could read, so that all lengths in it are known to be right,
        and the algorithms named inside and outside of this part are known to be the same.
    """
    whole, _ = _content(der, 0)
    _, signed_end = _content(der, whole)
    return der[whole:signed_end]


def _content(der: memoryview, at: int) -> tuple[int, int]:
    """Return where the content of the element at *at* begins and ends."""
    length = der[at + 1]
    start = at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[at + 2 : start], "big")
    return start, start + length
