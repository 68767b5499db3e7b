"""Where a chain ends, as its files show it: after an end in order, a crash, or a theft of lines."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import StoreUnavailableError
from gateway.journal.files import ChainFile, chain_files, cut, lines_of
from gateway.journal.head import Head
from gateway.journal.key import JournalVerifier
from gateway.journal.line import START, Fields, Link, decode_whole

_log = logging.getLogger("gateway.journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the next line goes."""

    link: Link
    """The line that it follows."""
    file: ChainFile | None = None
    """Where that line stands; ``None`` where the next one begins a new file."""
    size: int = 0
    """Bytes of that file."""
    since: int = 0
    """Lines since the last checkpoint."""
    remarks: tuple[Fields, ...] = ()
    """What the chain must say of its past before it goes on."""

    def is_file_as_left(self) -> bool:
        """Return whether nobody has written to the file, or taken from it, since."""
        try:
            return self.file is not None and self.file.path.stat().st_size == self.size
        except FileNotFoundError:
            return False


def find_end(folder: Path, chain: str, head: bytes | None, key: JournalVerifier) -> Position:
    """Return where *chain* ends; what a crash left of unacknowledged lines is made whole or cut.

    The caller holds the chain's lock.

    :param head: the content of the head's file, ``None`` where there is none.
    :raises OSError: where the files cannot be read or cut.
    :raises StoreUnavailableError: for files that hold no line at all.
    """
    files = chain_files(folder, chain)
    if not files and head is None:
        return Position(link=START)
    try:
        known = Head.decode(head, key, chain=chain)
    except ValueError as exc:
        _log.error("%s: %s", chain, exc)
        return _without_head(files)
    begun = [file for file in files if file.name == known.file]
    if not begun or begun[0].path.stat().st_size < known.size:
        # The chain goes on where it was, so that the lines that are gone leave a gap for ever.
        _log.error("%s: lines were removed from its end, up to number %d", chain, known.link.n)
        return Position(link=known.link, remarks=({"event": "damaged", "through": known.link.n},))
    return _after_head(known, begun[0], [file for file in files if file > begun[0]])


def _after_head(head: Head, begun: ChainFile, newer: Sequence[ChainFile]) -> Position:
    """Return where the chain ends, given that its lines up to *head* are there."""
    end = Position(link=head.link, file=begun, size=head.size, since=head.since)
    found = cut_bytes = 0
    for file in (begun, *newer):
        start = head.size if file is begun else 0
        link, size, lines = _follow(file, end.link, start)
        cut_bytes += cut(file.path, size)
        if lines:
            end = Position(link=link, file=file, size=size, since=end.since + lines)
            found += lines
    if not found and not cut_bytes:
        return end
    _log.warning("%s: after a crash: %d lines, %d bytes cut", begun.name, found, cut_bytes)
    remark: Fields = {"event": "recovered", "lines": found, "cut_bytes": cut_bytes}
    return Position(link=end.link, file=end.file, size=end.size, since=end.since, remarks=(remark,))


def _follow(file: ChainFile, link: Link, start: int) -> tuple[Link, int, int]:
    """Return the last good line of *file*, where it ends and how many good ones came."""
    count = 0
    for place, content in lines_of(file.path, start=start):
        try:
            line = decode_whole(content)
        except ValueError:
            return link, place, count
        if line.link.n != link.n + 1 or line.prev != link.digest:
            return link, place, count
        link, start, count = line.link, place + len(content), count + 1
    return link, start, count


def _without_head(files: Sequence[ChainFile]) -> Position:
    """Return where the chain ends by its files alone; it goes on in a new one."""
    remark: Fields = {"event": "damaged", "head": "missing"}
    if not files:
        return Position(link=START, remarks=(remark,))
    last: Link | None = None
    for _, content in lines_of(files[-1].path):
        with suppress(ValueError):
            last = decode_whole(content).link
    if last is None:
        raise StoreUnavailableError(f"{files[-1].name} holds no line: move it away")
    return Position(link=last, remarks=(remark,))
