"""Files of serial numbers that one process writes and many map into their memory.

A file holds a header, the records of one or more owners, and a SHA-256 of all that at its end. It
is written beside its place and then renamed, so that at its place there is always a whole file; a
file that was damaged there is refused by its checksum. The checksum is against accidents: who can
write in the gateway's own folder needs no forged table.
"""

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

from gateway.trust.serial_table import SERIAL_BYTES, SerialTable

MAX_TABLE_BYTES = 256 * 1024 * 1024
"""Ten times a list of a million entries."""
MAX_HEADER_BYTES = 1024 * 1024
_MAGIC = b"CPSGWTB1"
_LENGTHS = struct.Struct(">8sI")
_CHECKSUM_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """What one file says."""

    about: Mapping[str, object]
    """What the writer noted of all the records, JSON values."""
    tables: Mapping[str, SerialTable]
    """The records of each owner."""

    @classmethod
    def map(cls, path: Path) -> Self:
        """Return the contents of *path*, its records left in the file and shared by all who do so.

        :raises OSError: where there is no such file, or it cannot be read.
        :raises ValueError: for a file that is not whole.
        """
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if not _LENGTHS.size + _CHECKSUM_BYTES <= size <= MAX_TABLE_BYTES:
                raise ValueError(f"{size} bytes are no table")
            memory = mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
        body = size - _CHECKSUM_BYTES
        with memoryview(memory) as view, view[:body] as checked:
            digest = hashlib.sha256(checked).digest()
        if memory[body:] != digest:
            raise ValueError("the checksum is wrong")
        magic, header_bytes = _LENGTHS.unpack(memory[: _LENGTHS.size])
        start = _LENGTHS.size + header_bytes
        if magic != _MAGIC or start > body:
            raise ValueError("not a table of this version")
        return cls._read(memory, json.loads(memory[_LENGTHS.size : start]), start, body)

    @classmethod
    def _read(cls, memory: mmap.mmap, header: Mapping[str, object], start: int, end: int) -> Self:
        """Return the tables whose records lie between *start* and *end*."""
        tables = {}
        for owner, value_bytes, count in _owners(header):
            tables[owner] = SerialTable(
                memory=memory, start=start, count=count, value_bytes=value_bytes
            )
            start += count * (SERIAL_BYTES + value_bytes)
        about = header.get("about")
        if start != end or not isinstance(about, dict):
            raise ValueError("the header does not fit the records")
        return cls(about=MappingProxyType(about), tables=MappingProxyType(tables))

    def write(self, path: Path) -> int:
        """Put this at *path*, whole or not at all, and return its size in bytes.

        :raises OSError: where it cannot be written; what was at *path* is still there.
        """
        owners = [[owner, table.value_bytes, len(table)] for owner, table in self.tables.items()]
        header = json.dumps({"about": dict(self.about), "owners": owners}).encode("ascii")
        if len(header) > MAX_HEADER_BYTES:
            raise ValueError(f"a header of {len(header)} bytes")
        parts = [_LENGTHS.pack(_MAGIC, len(header)), header]
        parts += [table.packed() for table in self.tables.values()]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        write_whole(path, *parts, digest.digest())
        return sum(map(len, parts)) + _CHECKSUM_BYTES


def _owners(header: Mapping[str, object]) -> list[tuple[str, int, int]]:
    """Return each owner, the bytes of a value and the number of records."""
    match header.get("owners"):
        case [*entries]:
            return [_owner(entry) for entry in entries]
        case _:
            raise ValueError("the header names no owners")


def _owner(entry: object) -> tuple[str, int, int]:
    match entry:
        case [str() as owner, int() as value_bytes, int() as count] if min(value_bytes, count) >= 0:
            return owner, value_bytes, count
        case _:
            raise ValueError("the header names an owner in another way")


def write_whole(path: Path, *parts: bytes) -> None:
    """Put *parts* at *path*, mode 0600; a reader meets all of it or what was there before.

    There is one writer of each path: its unfinished file has one name, so that a crash leaves one
    behind at most.

    :raises OSError: where it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(unfinished, flags, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            for part in parts:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the new name outlive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
