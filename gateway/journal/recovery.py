"""Where a chain ends, as its files show it: after an end in order, a crash, or a theft of lines."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.errors import StoreUnavailableError
from gateway.journal.checkpoint import kid_after
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
    kid: str | None = None
    """Name of the key that signs there; ``None`` where nobody has signed yet."""
    remarks: tuple[Fields, ...] = ()
    """What the chain must say of its past before it goes on."""

    def is_file_as_left(self) -> bool:
        """Return whether nobody has written to the file, or taken from it, since."""
        try:
            return self.file is not None and self.file.path.stat().st_size == self.size
        except FileNotFoundError:
            return False


def find_end(
    folder: Path, chain: str, head: bytes | None, keys: Sequence[JournalVerifier]
) -> Position:
    """Return where *chain* ends; what a crash left of unacknowledged lines is made whole or cut.

    The caller holds the chain's lock.

    :param head: the content of the head's file, ``None`` where there is none.
    :param keys: all that may have signed it.
    :raises OSError: where the files cannot be read or cut.
    :raises StoreUnavailableError: for files that hold no line at all.
    """
    files = chain_files(folder, chain)
    if not files and head is None:
        return Position(link=START)
    try:
        known = Head.decode(head, keys, chain=chain)
    except ValueError as exc:
        _log.error("%s: %s", chain, exc)
        return _without_head(files, chain, keys)
    begun = [file for file in files if file.name == known.file]
    if not begun or begun[0].path.stat().st_size < known.size:
        # The chain goes on where it was, so that the lines that are gone leave a gap for ever.
        _log.error("%s: lines were removed from its end, up to number %d", chain, known.link.n)
        remark: Fields = {"event": "damaged", "through": known.link.n}
        return Position(link=known.link, kid=known.kid, remarks=(remark,))
    return _after_head(known, [begun[0], *(file for file in files if file > begun[0])], keys)


def _after_head(
    head: Head, files: Sequence[ChainFile], keys: Sequence[JournalVerifier]
) -> Position:
    """Return where the chain ends, given that its lines up to *head* are there."""
    begun = files[0]
    end = Position(link=head.link, file=begun, size=head.size, since=head.since, kid=head.kid)
    found = cut_bytes = 0
    for file in files:
        reached = _follow(file, end, head.size if file is begun else 0, head.chain, keys)
        cut_bytes += cut(file.path, reached.size)
        if reached.link != end.link:
            found += reached.since - end.since
            end = reached
    if not found and not cut_bytes:
        return end
    _log.warning("%s: after a crash: %d lines, %d bytes cut", begun.name, found, cut_bytes)
    remark: Fields = {"event": "recovered", "lines": found, "cut_bytes": cut_bytes}
    return replace(end, remarks=(remark,))


def _follow(
    file: ChainFile, end: Position, start: int, chain: str, keys: Sequence[JournalVerifier]
) -> Position:
    """Return the last good line of *file* from *start* on, if it has any that follow *end*."""
    for place, content in lines_of(file.path, start=start):
        try:
            line = decode_whole(content)
        except ValueError:
            break
        if line.link.n != end.link.n + 1 or line.prev != end.link.digest:
            break
        kid = kid_after(line, chain=chain, keys=keys) or end.kid
        start = place + len(content)
        end = Position(link=line.link, since=end.since + 1, kid=kid)
    return replace(end, file=file, size=start)


def _without_head(
    files: Sequence[ChainFile], chain: str, keys: Sequence[JournalVerifier]
) -> Position:
    """Return where the chain ends by its files alone; it goes on in a new one."""
    remark: Fields = {"event": "damaged", "head": "missing"}
    if not files:
        return Position(link=START, remarks=(remark,))
    last: Link | None = None
    kid: str | None = None
    for _, content in lines_of(files[-1].path):
        with suppress(ValueError):
            line = decode_whole(content)
            last, kid = line.link, kid_after(line, chain=chain, keys=keys) or kid
    if last is None:
        raise StoreUnavailableError(f"{files[-1].name} holds no line: move it away")
    return Position(link=last, kid=kid, remarks=(remark,))
