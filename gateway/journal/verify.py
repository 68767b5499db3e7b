"""Checking a chain: whether a line was edited, removed, put elsewhere, or cut off its end."""

import fcntl
import os
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.journal.chain import LOCK_FILE, PURGED
from gateway.journal.checkpoint import EVENT, HANDOVER, is_checkpoint, next_key
from gateway.journal.files import ChainFile, chain_files, lines_of
from gateway.journal.head import Head, read_head
from gateway.journal.key import JournalVerifier
from gateway.journal.line import START, Line, Link, decode_whole

MAX_FAULTS = 100
"""Faults told of one chain; a file of another origin would have one a line."""
CLOCK_TIME = timedelta(minutes=5)
"""How far clocks of machines that share their keys may be apart."""


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
    folder: Path, chain: str, keys: Sequence[JournalVerifier], *, wanted: Set[int] = frozenset()
) -> Verification:
    """Check every line of *chain*, as it stands at this moment.

    :param keys: the journal's, oldest first, at least one; the chain must end under the last.
    :param wanted: numbers of lines whose hashes are to be told.
    :raises OSError: where the files cannot be read.
    """
    return _Check(folder, chain, keys, wanted).run()


class _Check:
    def __init__(
        self, folder: Path, chain: str, keys: Sequence[JournalVerifier], wanted: Set[int]
    ) -> None:
        self._wanted = wanted
        self._folder = folder
        self._chain = chain
        self._keys = tuple(keys)
        self._signing: JournalVerifier | None = None
        self._not_before = ""
        self._found = Verification()
        self._previous = START
        self._purged = 0
        self._head: Head | None = None
        self._at_head: tuple[str, str | None] | None = None

    def run(self) -> Verification:
        files, end = self._snapshot()
        for file in files:
            self._check_file(file, end if file is files[-1] else None)
        self._check_beginning()
        self._check_end()
        self._check_last_key()
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
            self._head = Head.decode(content, self._keys, chain=self._chain)
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
            self._check_checkpoint(line, where)
        elif line.fields.get("event") == HANDOVER:
            self._check_handover(line, where)
        elif line.fields.get("event") == PURGED:
            through = line.fields.get("through")
            self._purged = max(self._purged, through if isinstance(through, int) else 0)
        self._found.lines += 1
        self._found.last = self._previous = line.link
        if n in self._wanted:
            self._found.digests[n] = line.link.digest
        if self._head is not None and n == self._head.link.n:
            signing = self._signing
            self._at_head = line.link.digest, None if signing is None else signing.kid
        self._check_date(line, where)

    def _check_checkpoint(self, line: Line, where: str) -> None:
        named = line.fields.get("key")
        signer = next((key for key in self._keys if key.kid == named), None)
        if signer is None or not is_checkpoint(line, chain=self._chain, key=signer):
            self._say(where, "a checkpoint that this journal's key did not sign")
            return
        self._found.checkpoints += 1
        if self._signing not in (None, signer):
            self._say(where, f"signed by key {signer.kid}, to which no other handed over")
        self._go_on_under(signer)

    def _check_handover(self, line: Line, where: str) -> None:
        signing = self._signing
        following = None if signing is None else next_key(line, chain=self._chain, key=signing)
        if signing is None or following is None:
            self._say(where, "a handover that the key in use did not sign")
            return
        place = self._keys.index(signing)
        known = next((key for key in self._keys[place + 1 :] if key.kid == following.kid), None)
        if known is None:
            self._say(where, f"handed over to key {following.kid}, which is none of the keys given")
        else:
            self._go_on_under(known)

    def _go_on_under(self, key: JournalVerifier) -> None:
        if key is self._signing:
            return
        self._signing, self._not_before = key, ""
        if key.made:
            begin = datetime.fromtimestamp(key.made, UTC) - CLOCK_TIME
            self._not_before = begin.strftime("%Y-%m-%dT%H:%M:%S")

    def _check_date(self, line: Line, where: str) -> None:
        """Tell of a line that is older than the key that signs over it: it was put in later."""
        at = line.fields.get("at", line.fields.get("time"))
        if self._signing is not None and isinstance(at, str) and at < self._not_before:
            self._say(where, f"from before key {self._signing.kid} was made")

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
        elif self._at_head is not None and self._at_head[0] != end.digest:
            self._say("end", f"line {end.n} is not as it was when the end was signed")
        elif self._at_head is not None and self._at_head[1] != self._head.kid:
            self._say("end", f"signed by key {self._head.kid}, which was not in use there")
        self._found.unsigned = max(0, last - end.n)

    def _check_last_key(self) -> None:
        newest = self._keys[-1]
        if self._signing is not None and self._signing is not newest:
            self._say(
                "end",
                f"under key {self._signing.kid}, though {newest.kid} follows it: not handed over, "
                "or the lines since then were removed",
            )

    def _say(self, where: str, what: str) -> None:
        if len(self._found.faults) < MAX_FAULTS:
            self._found.faults.append(Fault(where=where, what=what))
