"""Checking a chain: whether a line was edited, removed, put elsewhere, or cut off its end."""

import fcntl
import os
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from gateway.journal.chain import LOCK_FILE, PURGED
from gateway.journal.checkpoint import EVENT, is_checkpoint
from gateway.journal.files import ChainFile, chain_files, lines_of
from gateway.journal.head import Head, read_head
from gateway.journal.key import JournalVerifier
from gateway.journal.line import START, Line, Link, decode_whole

MAX_FAULTS = 100
"""Faults told of one chain; a file of another origin would have one a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is not as it was written."""

    where: str
    """File and line, from 1."""
    what: str


@dataclass(slots=True, kw_only=True)
class Verification:
    """What was found."""

    lines: int = 0
    files: int = 0
    first: int | None = None
    """Number of the first line that is there."""
    last: Link | None = None
    """The last line; to be compared with a note of it that was kept elsewhere."""
    checkpoints: int = 0
    unsigned: int = 0
    """Lines behind the signed end: a process was killed before it could sign."""
    digests: dict[int, str] = field(default_factory=dict)
    """Hashes of the lines that were asked for, as far as they are there."""
    faults: list[Fault] = field(default_factory=list)


def verify(
    folder: Path, chain: str, key: JournalVerifier, *, wanted: Set[int] = frozenset()
) -> Verification:
    """Check every line of *chain*, as it stands at this moment.

    :param wanted: numbers of lines whose hashes are to be told.
    :raises OSError: where the files cannot be read.
    """
    return _Check(folder, chain, key, wanted).run()


class _Check:
    def __init__(self, folder: Path, chain: str, key: JournalVerifier, wanted: Set[int]) -> None:
        self._wanted = wanted
        self._folder = folder
        self._chain = chain
        self._key = key
        self._found = Verification()
        self._previous = START
        self._purged = 0
        self._head: Head | None = None
        self._at_head: str | None = None

    def run(self) -> Verification:
        files, end = self._snapshot()
        for file in files:
            self._check_file(file, end if file is files[-1] else None)
        self._check_beginning()
        self._check_end()
        return self._found

    def _snapshot(self) -> tuple[list[ChainFile], int]:
        """Return the files, and how much there is of the last one, while nobody writes."""
        descriptor = os.open(self._folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            files = chain_files(self._folder, self._chain)
            content = read_head(self._folder)
            end = files[-1].path.stat().st_size if files else 0
        finally:
            os.close(descriptor)
        try:
            self._head = Head.decode(content, self._key, chain=self._chain)
        except ValueError as exc:
            self._say("head", str(exc))
        return files, end

    def _check_file(self, file: ChainFile, end: int | None) -> None:
        self._found.files += 1
        for number, (_, content) in enumerate(lines_of(file.path, end=end), start=1):
            where = f"{file.name}:{number}"
            try:
                line = decode_whole(content)
            except ValueError as exc:
                self._say(where, f"not a line of a chain: {exc}")
                continue
            if number == 1:
                self._check_first(file, line, where)
            self._check_line(line, where)

    def _check_first(self, file: ChainFile, line: Line, where: str) -> None:
        if line.fields.get("event") != EVENT:
            self._say(where, "the file does not begin with a checkpoint")
        if line.link.n != file.first:
            self._say(where, f"line {line.link.n} where the file's name says {file.first}")
        if self._found.first is None:
            # What came before may have been kept long enough; its end is signed here.
            self._found.first = line.link.n
            self._previous = Link(n=line.link.n - 1, digest=line.prev)

    def _check_line(self, line: Line, where: str) -> None:
        expected, n = self._previous.n + 1, line.link.n
        if n > expected:
            self._say(where, f"lines {expected} to {n - 1} are missing")
        elif n < expected:
            self._say(where, f"line {n} where {expected} is wanted: out of order, or repeated")
        elif line.prev != self._previous.digest:
            self._say(where, f"line {n - 1} is not as it was when line {n} was written")
        if line.fields.get("event") == EVENT:
            if is_checkpoint(line, chain=self._chain, key=self._key):
                self._found.checkpoints += 1
            else:
                self._say(where, "a checkpoint that this journal's key did not sign")
        elif line.fields.get("event") == PURGED:
            through = line.fields.get("through")
            self._purged = max(self._purged, through if isinstance(through, int) else 0)
        self._found.lines += 1
        self._found.last = self._previous = line.link
        if n in self._wanted:
            self._found.digests[n] = line.link.digest
        if self._head is not None and n == self._head.link.n:
            self._at_head = line.link.digest

    def _check_beginning(self) -> None:
        first = self._found.first
        if first is not None and first > 1 and self._purged < first - 1:
            self._say("beginning", f"lines {self._purged + 1} to {first - 1} are missing")

    def _check_end(self) -> None:
        if self._head is None:
            return
        end, last = self._head.link, self._previous.n
        if last < end.n:
            self._say("end", f"lines {last + 1} to {end.n} are missing")
        elif self._at_head is not None and self._at_head != end.digest:
            self._say("end", f"line {end.n} is not as it was when the end was signed")
        self._found.unsigned = max(0, last - end.n)

    def _say(self, where: str, what: str) -> None:
        if len(self._found.faults) < MAX_FAULTS:
            self._found.faults.append(Fault(where=where, what=what))
