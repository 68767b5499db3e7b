"""Serial numbers of certificates, sorted and packed, so that a look-up takes microseconds.

One record is the serial number and a few bytes about it. A million records lie in 22 MB, which all
processes share where the table is a file mapped into memory (:mod:`gateway.trust.table_file`).
"""

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeAlias

SERIAL_BYTES = 21
"""Two's complement: the 20 bytes that the standard allows, of either sign, and one to spare."""

_STRIDE_RECORDS = 64

Memory: TypeAlias = bytes | mmap.mmap
"""Where records lie: in this process, or in a file that is mapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialTable:
    """Records of one size, sorted by serial number."""

    memory: Memory
    start: int
    """Where the first record begins."""
    count: int
    value_bytes: int
    """How many bytes of each record are about the serial number."""

    @classmethod
    def of(cls, records: Iterable[bytes], *, value_bytes: int) -> Self:
        """Return the table of *records*, in whatever order they are.

        :param records: each :func:`encode_serial` and *value_bytes* more bytes.
        """
        ordered = sorted(records)
        return cls(memory=b"".join(ordered), start=0, count=len(ordered), value_bytes=value_bytes)

    def __len__(self) -> int:
        """Return the number of records."""
        return self.count

    def find(self, serial: int) -> tuple[bytes, ...]:
        """Return what the table has about *serial*: nothing, one value, or several."""
        try:
            key = encode_serial(serial)
        except OverflowError:
            # A number that fits no record stands in none.
            return ()
        memory, start = self.memory, self.start
        size = SERIAL_BYTES + self.value_bytes
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            at = start + middle * size
            if memory[at : at + SERIAL_BYTES] < key:
                low = middle + 1
            else:
                high = middle
        found = []
        at = start + low * size
        end = start + self.count * size
        while at < end and memory[at : at + SERIAL_BYTES] == key:
            found.append(memory[at + SERIAL_BYTES : at + size])
            at += size
        return tuple(found)

    def packed(self) -> bytes:
        """Return all records in one piece."""
        size = SERIAL_BYTES + self.value_bytes
        return self.memory[self.start : self.start + self.count * size]

    def records(self) -> list[bytes]:
        """Return the records one by one, in order."""
        size = SERIAL_BYTES + self.value_bytes
        packed = self.packed()
        return [packed[at : at + size] for at in range(0, len(packed), size)]

    def missing_from(self, other: Self) -> list[bytes]:
        """Return the records that *other*, a table of the same kind, does not have as they are.

        Both are walked side by side, and in long strides where they are equal, which two lists
        that follow each other are nearly everywhere.
        """
        size = SERIAL_BYTES + self.value_bytes
        stride = _STRIDE_RECORDS * size
        ours, theirs = self.packed(), other.packed()
        here = there = 0
        missing = []
        while here < len(ours):
            if ours[here : here + stride] == theirs[there : there + stride]:
                here, there = here + stride, there + stride
                continue
            record, candidate = ours[here : here + size], theirs[there : there + size]
            if record == candidate:
                here, there = here + size, there + size
            elif candidate and candidate < record:
                there += size
            else:
                missing.append(record)
                here += size
        return missing


def encode_serial(serial: int) -> bytes:
    """Return the bytes by which *serial* is found.

    :raises OverflowError: for a number that does not fit.
    """
    return serial.to_bytes(SERIAL_BYTES, "big", signed=True)


def decode_serial(key: bytes) -> int:
    """Return the serial number of :func:`encode_serial`."""
    return int.from_bytes(key[:SERIAL_BYTES], "big", signed=True)
