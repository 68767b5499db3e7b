"""BER-TLV data objects: a strict reader that bounds every length, and a DER writer."""

from collections.abc import Iterator
from dataclasses import dataclass

MAX_TAG_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TLV:
    """One data object.

    Source: ISO/IEC 8825-1:2021 §8.1; ISO/IEC 7816-4:2020 §6.3.
    """

    tag: int
    """The tag's bytes as one integer: 0x30, 0x7F48, 0xBF8101."""
    value: bytes

    @property
    def constructed(self) -> bool:
        """Return whether the value is made of data objects (bit 6 of the first tag byte)."""
        first = self.tag
        while first > 0xFF:
            first >>= 8
        return bool(first & 0x20)

    def children(self) -> list["TLV"]:
        """Return the data objects in the value.

        :raises ValueError: where the value is not a row of data objects.
        """
        return list(iterate(self.value))

    def encode(self) -> bytes:
        """Return tag, definite length in its shortest form, and value."""
        return encode(self.tag, self.value)


def iterate(data: bytes) -> Iterator[TLV]:
    """Yield the data objects that *data* is a row of.

    :raises ValueError: for a tag of more than 4 bytes, an indefinite length, or a length past the
        end; raised when that object is reached.

    Source: ISO/IEC 8825-1:2021 §8.1.2, §8.1.3.
    """
    offset = 0
    while offset < len(data):
        tlv, offset = read(data, offset)
        yield tlv


def read(data: bytes, offset: int = 0) -> tuple[TLV, int]:
    """Return the data object at *offset* and the offset behind it.

    :raises ValueError: as :func:`iterate`.

    Source: ISO/IEC 8825-1:2021 §8.1.2, §8.1.3.
    """
    tag, start = _read_tag(data, offset)
    length, start = _read_length(data, start)
    end = start + length
    if end > len(data):
        raise ValueError(f"tag {tag:X} at {offset}: length {length} runs past the end")
    return TLV(tag=tag, value=data[start:end]), end


def encoded_length(data: bytes) -> int:
    """Return how many bytes the first data object of *data* takes, its value need not be there yet.

    :param data: at least the object's tag and length.
    :raises ValueError: where tag or length are not complete or not definite.
    """
    _, start = _read_tag(data, 0)
    length, start = _read_length(data, start)
    return start + length


def encode(tag: int, *parts: bytes) -> bytes:
    """Return a data object of *tag* around the joined *parts*.

    :param tag: the tag's bytes as one integer.

    Source: ISO/IEC 8825-1:2021 §10.1 (shortest length).
    """
    value = b"".join(parts)
    length = len(value)
    if length < 0x80:
        head = bytes((length,))
    else:
        octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
        head = bytes((0x80 | len(octets),)) + octets
    return tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big") + head + value


def _read_tag(data: bytes, offset: int) -> tuple[int, int]:
    if offset >= len(data):
        raise ValueError(f"no tag at {offset}")
    end = offset + 1
    if data[offset] & 0x1F == 0x1F:
        while True:
            if end - offset >= MAX_TAG_BYTES:
                raise ValueError(f"tag at {offset}: more than {MAX_TAG_BYTES} bytes")
            if end >= len(data):
                raise ValueError(f"tag at {offset} runs past the end")
            end += 1
            if not data[end - 1] & 0x80:
                break
    return int.from_bytes(data[offset:end], "big"), end


def _read_length(data: bytes, offset: int) -> tuple[int, int]:
    if offset >= len(data):
        raise ValueError(f"no length at {offset}")
    first = data[offset]
    if first < 0x80:
        return first, offset + 1
    count = first & 0x7F
    if not 1 <= count <= 3:
        raise ValueError(f"length at {offset}: form {first:02X} is not accepted")
    octets = data[offset + 1 : offset + 1 + count]
    if len(octets) < count:
        raise ValueError(f"length at {offset} runs past the end")
    return int.from_bytes(octets, "big"), offset + 1 + count
