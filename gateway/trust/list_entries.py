"""The entries of a revocation list: from DER to records, a million in half a second."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import CRLEntryExtensionOID

from gateway.trust.der import decode, members
from gateway.trust.serial_table import SERIAL_BYTES, encode_serial

REASON_BYTES = 1
"""What a record has besides the serial number: its :class:`Reason`."""
MAX_REMEMBERED = 1024
"""Different extensions of entries whose meaning is remembered while a list is read."""


@unique
class Reason(IntEnum):
    """Why a certificate is revoked.

    Source: RFC 5280 §5.3.1, CRLReason.
    """

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    CERTIFICATE_HOLD = 6
    REMOVE_FROM_CRL = 8
    """In a delta list: the entry of the complete list does not count any more."""
    PRIVILEGE_WITHDRAWN = 9
    AA_COMPROMISE = 10


_REVERSIBLE = frozenset({Reason.CERTIFICATE_HOLD, Reason.REMOVE_FROM_CRL})
_INTEGER, _SEQUENCE, _TIMES = 0x02, 0x30, (0x17, 0x18)
_ONE_BYTE_ENUMERATED = b"\x0a\x01"


def reason_of(flag: x509.ReasonFlags) -> Reason:
    """Return a reason as the library has it."""
    return Reason[flag.name.upper()]


def is_permanent(reasons: Iterable[Reason]) -> bool:
    """Return whether one of *reasons* is never taken back."""
    return not _REVERSIBLE.issuperset(reasons)


def gravest(reasons: Iterable[Reason]) -> Reason:
    """Return one of *reasons*, a permanent one where there is any."""
    return min(reasons, key=lambda reason: (reason in _REVERSIBLE, reason))


@asn1.sequence
class _Extension:
    oid: x509.ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the parts of a list lie in its DER."""

    signed: slice
    """What the signature covers."""
    fields: slice
    """The content of that."""
    entries: slice
    """All entries, with the header around them; empty where there are none."""


def places(der: bytes) -> Places:
    """Return where the parts of a list are.

    :param der: a list that the library could read, so that its structure is known to be right, and
        the algorithms named inside and outside of the signed part to be the same.

    Source: RFC 5280 §5.1.
    """
    signed, _ = _content(der, 0)
    first, end = _content(der, signed)
    entries = slice(end, end)
    before, at = 0, first
    while at < end:
        tag, (_, after) = der[at], _content(der, at)
        if tag == _SEQUENCE and before in _TIMES:
            entries = slice(at, after)
        before, at = tag, after
    return Places(signed=slice(signed, end), fields=slice(first, end), entries=entries)


def has_version(der: bytes) -> bool:
    """Return whether a list as :func:`places` takes it names its version, which is 2 then."""
    start: int = places(der).fields.start
    return der[start] == _INTEGER


def without_entries(der: bytes) -> bytes:
    """Return a list as :func:`places` takes it with all its entries left out."""
    parts = places(der)
    signed = _sequence(
        der[parts.fields.start : parts.entries.start] + der[parts.entries.stop : parts.fields.stop]
    )
    return _sequence(signed + der[parts.signed.stop :])


def packed_entries(der: bytes, entries: slice) -> list[bytes]:
    """Return a record for each entry of a list that is not indirect, in the list's order.

    :param der: a list as :func:`places` takes it, which also says where its *entries* are.
    :raises ValueError: for an entry that says something that is not understood.

    Source: RFC 5280 §5.1.2.6.
    """
    if entries.start == entries.stop:
        return []
    at, end = _content(der, entries.start)
    if at == end:
        # Source: RFC 5280 §5.1.2.6: without entries the list of them is absent.
        raise ValueError("a list of entries without entries")
    records: list[bytes] = []
    add = records.append
    # Nearly all entries say the same beside number and date, so that is decoded once.
    meanings = {b"": bytes((Reason.UNSPECIFIED,))}
    while at < end:
        start, at = _content(der, at)
        # The serial number and the date have less than 128 bytes, so one byte says how many.
        serial_end = start + 2 + der[start + 1]
        serial = der[start + 2 : serial_end]
        extensions = der[serial_end + 2 + der[serial_end + 1] : at]
        meaning = meanings.get(extensions)
        if meaning is None:
            meaning = bytes((_reason(extensions),))
            if len(meanings) < MAX_REMEMBERED:
                meanings[extensions] = meaning
        padding = b"\x00" if serial[0] < 0x80 else b"\xff"
        add(serial.rjust(SERIAL_BYTES, padding) + meaning)
    if sum(map(len, records)) != len(records) * (SERIAL_BYTES + REASON_BYTES):
        raise ValueError(f"a serial number has more than {SERIAL_BYTES} bytes")
    return records


def indirect_entries(crl: x509.CertificateRevocationList) -> dict[x509.Name, list[bytes]]:
    """Return the records of an indirect list, by the name of the authority that each is about.

    :raises ValueError: see :func:`packed_entries`.

    Source: RFC 5280 §5.3.3, certificateIssuer.
    """
    records: dict[x509.Name, list[bytes]] = {}
    issuer = crl.issuer
    for entry in crl:
        reason = Reason.UNSPECIFIED
        for extension in entry.extensions:
            if isinstance(extension.value, x509.CertificateIssuer):
                # It counts for the entries behind as well, until there is another one.
                issuer = _directory_name(extension.value)
            elif isinstance(extension.value, x509.CRLReason):
                reason = reason_of(extension.value.reason)
            elif extension.critical:
                raise ValueError(f"entry extension {extension.oid.dotted_string} is not supported")
        try:
            record = encode_serial(entry.serial_number) + bytes((reason,))
        except OverflowError as exc:
            raise ValueError(f"a serial number has more than {SERIAL_BYTES} bytes") from exc
        records.setdefault(issuer, []).append(record)
    return records


def _directory_name(issuer: x509.CertificateIssuer) -> x509.Name:
    names = issuer.get_values_for_type(x509.DirectoryName)
    if len(names) != 1:
        raise ValueError("an entry's issuer is not one directory name")
    return names[0]


def _reason(extensions: bytes) -> Reason:
    """Return why a certificate is revoked, from the DER of its entry's extensions."""
    reason = Reason.UNSPECIFIED
    seen = set()
    for extension in _decode_extensions(extensions):
        if extension.oid in seen:
            raise ValueError(f"entry extension {extension.oid.dotted_string} stands twice")
        seen.add(extension.oid)
        if extension.oid == CRLEntryExtensionOID.CRL_REASON:
            reason = _decode_reason(extension.value)
        elif extension.oid == CRLEntryExtensionOID.CERTIFICATE_ISSUER or extension.critical:
            # The first one belongs into indirect lists alone.
            raise ValueError(f"entry extension {extension.oid.dotted_string} is not supported")
    return reason


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at *at* begins and ends."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[at + 2 : start], "big")
    return start, start + length


def _decode_extensions(der: bytes) -> list[_Extension]:
    return [decode(_Extension, member) for member in members(der)]


def _sequence(content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((_SEQUENCE, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((_SEQUENCE, 0x80 | len(length))) + length + content


def _decode_reason(der: bytes) -> Reason:
    if len(der) != 3 or der[:2] != _ONE_BYTE_ENUMERATED:
        raise ValueError("an entry's reason is no ENUMERATED")
    return Reason(der[2])
