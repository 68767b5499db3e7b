"""An index beside each file of a chain that is full: where in it a person or a record stands.

It is derived: whatever is missing, damaged or of another version is made again from the file, and
what it leads to is compared with the line itself.
"""

import hashlib
import mmap
import os
import secrets
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from gateway.journal.files import index_of, lines_of
from gateway.journal.line import decode_whole

INDEXED = ("who", "card", "record")
"""The fields that can be looked for."""

_HEAD_BYTES = 16
_ENTRY_BYTES = 8
_VERSION = b"CPSIDX1" + sys.byteorder[:1].encode()


def build_index(path: Path) -> None:
    """Make the index of a file to which nothing is appended any more.

    :raises OSError: where the file cannot be read or the index written.
    """
    entries = array("Q")
    known: dict[tuple[str, str], int] = {}
    size = 0
    for place, content in lines_of(path):
        size = place + len(content)
        try:
            fields = decode_whole(content).fields
        except ValueError:
            continue
        for name in INDEXED:
            value = fields.get(name)
            if isinstance(value, str):
                key = known.get((name, value))
                if key is None:
                    key = known[name, value] = _key(name, value)
                entries.append(key | place)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_VERSION + size.to_bytes(_HEAD_BYTES - len(_VERSION), sys.byteorder))
        array("Q", sorted(entries)).tofile(file)
    draft.replace(index_of(path))


def has_index(path: Path) -> bool:
    """Return whether a file has an index of its present size."""
    try:
        with index_of(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return False
    wanted = _VERSION + path.stat().st_size.to_bytes(_HEAD_BYTES - len(_VERSION), sys.byteorder)
    return head == wanted and (size - _HEAD_BYTES) % _ENTRY_BYTES == 0


def places_of(path: Path, name: str, value: str) -> Iterator[int]:
    """Yield where in a file lines may stand whose field *name* is *value*, in their order.

    :param path: a file that :func:`has_index`.
    """
    first = _key(name, value)
    with index_of(path).open("rb") as file:
        if os.fstat(file.fileno()).st_size == _HEAD_BYTES:
            return
        with (
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
            view[_HEAD_BYTES:] as body,
            body.cast("Q") as entries,
        ):
            number = bisect_left(entries, first)
            while number < len(entries) and entries[number] >> 32 == first >> 32:
                yield entries[number] & 0xFFFF_FFFF
                number += 1


def _key(name: str, value: str) -> int:
    """Return the upper half of the entries of *value*; the lower one is a place in the file."""
    content = f"{name}:{value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(content).digest()[:4]) << 32
