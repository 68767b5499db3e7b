"""An index beside each file of a chain that is full: where in it a person or a record stands.

It is derived: whatever is missing, damaged or of another version is made again from the file, and
what it leads to is compared with the line itself.
"""

import hashlib
import logging
import mmap
import os
import secrets
import subprocess
import sys
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.journal.files import index_of, lines_of
from gateway.journal.line import decode_whole

INDEXED = ("who", "card", "record")
"""The fields that can be looked for."""

_NICE = 19
_HEAD_BYTES = 16
_ENTRY_BYTES = 8
_log = logging.getLogger("gateway.journal")
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


def index_in_background(path: Path) -> threading.Thread:
    """Have a process of its own, which gives way to all others, make the index of a full file.

    Where that fails the next question makes it.
    """
    command = [sys.executable, "-m", "gateway.journal.index", str(path)]
    thread = threading.Thread(target=_run, args=(command,), name="index", daemon=True)
    thread.start()
    return thread


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)  # noqa: S603 - our own
    except OSError as exc:
        _log.warning("no index was made: %s", exc)
        return
    if done.returncode:
        _log.warning("no index was made: exit code %d", done.returncode)


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


def main() -> None:
    """Make the index of the file that is the argument."""
    os.nice(_NICE)
    build_index(Path(sys.argv[1]))


def _key(name: str, value: str) -> int:
    """Return the upper half of the entries of *value*; the lower one is a place in the file."""
    content = f"{name}:{value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(content).digest()[:4]) << 32


if __name__ == "__main__":
    main()
