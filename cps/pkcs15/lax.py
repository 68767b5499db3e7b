"""The primitive types of a directory file, read as real cards write them rather than as DER."""

from collections.abc import Iterator, Sequence

from cps import tlv
from cps.tlv import TLV

MAX_ENTRIES = 64
"""How many entries one directory file may have."""
MAX_INTEGER_BYTES = 4
MAX_BIT_STRING_BYTES = 8

BIT_STRING = 0x03
INTEGER = 0x02
OCTET_STRING = 0x04
ENUMERATED = 0x0A
UTF8_STRING = 0x0C
SEQUENCE = 0x30
TYPE_ATTRIBUTES = 0xA1
"""Tag [1]: the part of an entry that only its kind of object has."""

_FILLER = 0x00
_ERASED = 0xFF


def entries(data: bytes) -> Iterator[TLV]:
    """Yield the entries of a directory file, passing over its filling.

    :param data: the file: entries with bytes 00 between and behind them, FF behind the last.
    :raises ValueError: where it is not that, or has more than :data:`MAX_ENTRIES`.
    """
    offset, count = 0, 0
    while offset < len(data) and data[offset] != _ERASED:
        if data[offset] == _FILLER:
            offset += 1
            continue
        if count == MAX_ENTRIES:
            raise ValueError(f"more than {MAX_ENTRIES} entries")
        entry, offset = tlv.read(data, offset)
        count += 1
        yield entry


def first(objects: Sequence[TLV], tag: int) -> TLV | None:
    """Return the first of *objects* with that tag, or ``None``."""
    return next((each for each in objects if each.tag == tag), None)


def required(objects: Sequence[TLV], tag: int, name: str) -> TLV:
    """Return the first of *objects* with that tag.

    :param name: what it is, for the error.
    :raises ValueError: where there is none.
    """
    found = first(objects, tag)
    if found is None:
        raise ValueError(f"{name} is missing")
    return found


def bits(value: bytes) -> frozenset[int]:
    """Return the numbers of the bits that are 1 in a BIT STRING, from 0 at the left.

    The count of unused bits may be 8, as on real cards: the last byte then counts for nothing.

    :param value: the count of unused bits, then up to 8 bytes.
    :raises ValueError: for another length or count.

    Source: ISO/IEC 8825-1:2021 §8.6.
    """
    if not 1 <= len(value) <= 1 + MAX_BIT_STRING_BYTES or value[0] > 8:
        raise ValueError(f"BIT STRING {value[:16].hex()}")
    used = max(8 * (len(value) - 1) - value[0], 0)
    return frozenset(
        number for number in range(used) if value[1 + number // 8] & (0x80 >> number % 8)
    )


def natural(value: bytes) -> int:
    """Return an INTEGER or ENUMERATED that is not negative.

    :param value: 1 to 4 bytes.
    :raises ValueError: for another length or a negative number.

    Source: ISO/IEC 8825-1:2021 §8.3.
    """
    if not 1 <= len(value) <= MAX_INTEGER_BYTES or value[0] & 0x80:
        raise ValueError(f"INTEGER {value[:16].hex()}: 0 to 2^31 - 1 is wanted")
    return int.from_bytes(value, "big")
