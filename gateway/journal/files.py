"""The files of one chain: their names say which line they begin with, and on which day."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from gateway.journal.line import MAX_LINE_BYTES
from gateway.key_file import sync_folder

_NAME = re.compile(r"(?P<chain>[a-z]+)-(?P<first>[0-9]{12})-(?P<day>[0-9]{8})\.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ChainFile:
    """One file of a chain; in the order of their lines."""

    first: int
    """Number of its first line."""
    day: date
    """UTC day on which it was begun."""
    path: Path

    @classmethod
    def new(cls, folder: Path, chain: str, *, first: int, day: date) -> Self:
        """Return the file that begins with the line *first*; it is not made here."""
        return cls(first=first, day=day, path=folder / f"{chain}-{first:012d}-{day:%Y%m%d}.jsonl")

    @property
    def name(self) -> str:
        """Its name in the folder."""
        return self.path.name


def chain_files(folder: Path, chain: str) -> list[ChainFile]:
    """Return the files of *chain*, oldest first."""
    found = []
    for path in folder.iterdir():
        parts = _NAME.fullmatch(path.name)
        if parts is not None and parts["chain"] == chain:
            day = date.fromisoformat(parts["day"])
            found.append(ChainFile(first=int(parts["first"]), day=day, path=path))
    return sorted(found)


def lines_of(path: Path, *, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield place and bytes of each line of a file, with its end if it has one.

    :param start: bytes to pass over.
    :param end: where to stop, bytes; default: the file's end.
    """
    place = start
    with path.open("rb") as file:
        file.seek(start)
        while end is None or place < end:
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            yield place, line
            place += len(line)


def append_durably(path: Path, content: bytes, *, size: int) -> None:
    """Write *content* at the end of a file, whole and on the disk, or not at all.

    :param size: of the file, bytes; 0 makes it, with mode 0600.
    :raises OSError: where that cannot be done; then the file is as it was.
    """
    is_new = size == 0
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if is_new else 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fdatasync(descriptor)
        if is_new:
            sync_folder(path.parent)
    except BaseException:
        # Half a line, or one that may not be on the disk, must not be taken for a line.
        os.ftruncate(descriptor, size)
        if is_new:
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def cut(path: Path, size: int) -> int:
    """Cut a file to *size*, remove it where nothing is left; return how many bytes went."""
    gone = path.stat().st_size - size
    if size == 0:
        path.unlink()
    elif gone:
        os.truncate(path, size)
    return gone


def index_of(path: Path) -> Path:
    """Return where the index of a file is kept, beside it."""
    return path.with_suffix(".index")


def remove(file: ChainFile) -> None:
    """Remove a file and its index."""
    index_of(file.path).unlink(missing_ok=True)
    file.path.unlink()
