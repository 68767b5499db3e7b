"""Values in DER, decoded strictly: what the library's certificates leave as bytes."""

from typing import TypeVar

from cryptography import x509
from cryptography.hazmat import asn1

_SEQUENCE = 0x30
_MANY_BYTES = 0x80
"""The bit of a length that says: a count of further bytes."""
_T = TypeVar("_T")


def decode(kind: type[_T], der: bytes) -> _T:
    """Return the one value of type *kind* in *der*.

    :raises ValueError: for another type, for bytes behind it, for an encoding that is not DER.
    """
    return asn1.decode_der(kind, der)


def decode_texts(der: bytes) -> tuple[str, ...]:
    """Return the values of a SEQUENCE OF UTF8String.

    :raises ValueError: see :func:`decode`.
    """
    return tuple(decode(str, each) for each in members(der))


def decode_identifier_pairs(
    der: bytes,
) -> tuple[tuple[x509.ObjectIdentifier, x509.ObjectIdentifier], ...]:
    """Return the values of a SEQUENCE OF SEQUENCE of two OBJECT IDENTIFIERs.

    :raises ValueError: see :func:`decode`.
    """
    pairs = [
        [decode(x509.ObjectIdentifier, each) for each in members(pair)] for pair in members(der)
    ]
    return tuple((first, second) for first, second in pairs)


def members(der: bytes) -> tuple[bytes, ...]:
    """Return the encoded members of a SEQUENCE, of which nothing is looked at but the lengths.

    :raises ValueError: unless *der* is one SEQUENCE with nothing behind it and no length in it is
        too long or written longer than it need be.
    """
    content, end = _header(der, 0)
    if der[0] != _SEQUENCE or end != len(der):
        raise ValueError("one SEQUENCE is wanted")
    found = []
    while content < end:
        _, after = _header(der, content)
        found.append(der[content:after])
        content = after
    if content != end:
        raise ValueError("a member is longer than its SEQUENCE")
    return tuple(found)


def _header(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at *at* begins and ends."""
    if len(der) < at + 2:
        raise ValueError("truncated")
    length, content = der[at + 1], at + 2
    if length & _MANY_BYTES:
        count = length & ~_MANY_BYTES
        content += count
        length = int.from_bytes(der[at + 2 : content], "big")
        if not count or length < _MANY_BYTES or der[at + 2] == 0:
            raise ValueError("a length that is not DER")
    if content + length > len(der):
        raise ValueError("truncated")
    return content, content + length
