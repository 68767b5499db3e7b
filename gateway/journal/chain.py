"""A chain of lines in files: each names the hash of the one before, the end is signed.

Every process of a gateway appends to the same chain, one at a time under a lock. What
:meth:`Chain.append` returned from is on the disk.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from pathlib import Path

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.journal.checkpoint import CHECKPOINT_LINES, checkpoint, handover
from gateway.journal.files import ChainFile, append_durably, chain_files, remove
from gateway.journal.head import Head, read_head, write_head
from gateway.journal.key import JournalKey
from gateway.journal.line import Fields, Link, encode
from gateway.journal.recovery import Position, find_end
from gateway.journal.ring import JournalRing, Keys

LOCK_FILE = "lock"
LOCK_SECONDS = 5.0
"""Longest wait for the lock; other processes hold it for one write."""
PURGED = "purged"
"""The event that says that a file was removed because its time was over."""

MAX_PURGED = 2
"""Most files that go when a new one is begun: a clock that is wrong for once costs no more."""

_RETRY_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLimits:
    """When a chain goes on in a new file, and when old ones go."""

    file_bytes: int
    """Size past which a new file is begun; a new day begins one too."""
    retention: timedelta
    """How long a line is kept, to the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outdated:
    """A file that may go."""

    file: ChainFile
    last: int
    """Number of its last line."""


class _Lines:
    """Lines that are written together."""

    def __init__(self, after: Link, *, chain: str, at: str) -> None:
        self.contents: list[bytes] = []
        self.link = after
        self._chain = chain
        self._at = at

    def add(self, fields: Fields) -> None:
        self._take(encode(fields, self.link))

    def add_checkpoint(self, key: JournalKey) -> None:
        self._take(checkpoint(self.link, chain=self._chain, at=self._at, key=key))

    def add_handover(self, key: JournalKey, to: JournalKey) -> None:
        """Have *key* name the next one, which signs at once."""
        self._take(handover(self.link, chain=self._chain, at=self._at, key=key, to=to.verifier))
        self.add_checkpoint(to)

    def _take(self, line: tuple[bytes, Link]) -> None:
        content, self.link = line
        self.contents.append(content)


class Chain:
    """One chain of lines; several processes and threads may append to it."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        keys: Keys,
        clock: Clock,
        limits: ChainLimits,
        on_full: Callable[[Path], object] | None = None,
    ) -> None:
        """Keep where the chain is; nothing is opened before the first line.

        :param folder: the chain's own, made with mode 0700 where it is missing.
        :param name: small letters; begins the names of its files.
        :param keys: asked at each write, so that all processes change to a new key at one line.
        :param on_full: is told of each file to which nothing more is appended; must not wait.
        """
        self._on_full = on_full
        self._folder = folder
        self._name = name
        self._keys = keys
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self._position: Position | None = None
        self._head = b""

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    def append(self, records: Sequence[Fields]) -> None:
        """Append a line for each of *records*; all of them are on the disk at the return.

        :raises StoreUnavailableError: where they cannot be written; then none of them is there.
        :raises TypeError: for a field that no line can hold.
        """
        with self._lock, self._mapped_errors(), self._held():
            keys = self._keys()
            self._write_or_forget(self._end(keys), records, keys)

    def hand_over(self) -> None:
        """Have the newest key sign from now on; nothing is written where it does already.

        :raises StoreUnavailableError: where that cannot be written.
        """
        with self._lock, self._mapped_errors(), self._held():
            keys = self._keys()
            position = self._end(keys)
            if position.kid not in (None, keys.current.kid):
                self._write_or_forget(position, (), keys)

    def _write_or_forget(
        self, position: Position, records: Sequence[Fields], keys: JournalRing
    ) -> None:
        try:
            self._write(position, records, keys)
        except BaseException:
            # What is on the disk is looked at again by the next one.
            self._position = None
            raise

    def _end(self, keys: JournalRing) -> Position:
        """Return where the chain ends, which another process may have moved."""
        content = read_head(self._folder)
        if (
            self._position is not None
            and content == self._head
            and self._position.is_file_as_left()
        ):
            return self._position
        return find_end(self._folder, self._name, content, keys.verifiers)

    def _write(self, position: Position, records: Sequence[Fields], keys: JournalRing) -> None:
        now = self._clock()
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        file, size, since = position.file, position.size, position.since
        remarks, outdated = [*position.remarks], list[_Outdated]()
        if file is None or file.day != now.date() or size >= self._limits.file_bytes:
            outdated = self._outdated(now)
            remarks += [
                {"event": PURGED, "file": each.file.name, "through": each.last} for each in outdated
            ]
            file = ChainFile.new(
                self._folder, self._name, first=position.link.n + 1, day=now.date()
            )
            size = 0
        lines = _Lines(position.link, chain=self._name, at=at)
        is_due = size == 0 or since >= CHECKPOINT_LINES
        if position.kid is None or position.kid == keys.current.kid:
            if is_due:
                lines.add_checkpoint(keys.current)
        elif (leaving := keys.signer(position.kid)) is not None:
            if is_due:
                lines.add_checkpoint(leaving)
            lines.add_handover(leaving, keys.current)
        else:
            # It can be seen for ever that the key before did not agree.
            remarks.append({"event": "damaged", "key": position.kid})
            lines.add_checkpoint(keys.current)
        if lines.contents:
            since = 0
        for fields in (*({"at": at, **remark} for remark in remarks), *records):
            lines.add(fields)
        content = b"".join(lines.contents)
        append_durably(file.path, content, size=size)
        end = Position(
            link=lines.link,
            file=file,
            size=size + len(content),
            since=since + len(lines.contents),
            kid=keys.current.kid,
        )
        self._note_end(file, end, keys.current)
        for each in outdated:
            remove(each.file)
        full = position.file
        if self._on_full is not None and full is not None and full != file:
            self._on_full(full.path)

    def _note_end(self, file: ChainFile, end: Position, key: JournalKey) -> None:
        """Sign where the chain ends now."""
        head = Head(
            chain=self._name,
            link=end.link,
            file=file.name,
            size=end.size,
            since=end.since,
            kid=key.kid,
        )
        self._head, self._position = head.encode(key), end
        write_head(self._folder, self._head)

    def _outdated(self, now: datetime) -> list["_Outdated"]:
        """Return the oldest files, as far as their lines have all been kept for long enough."""
        files = pairwise(chain_files(self._folder, self._name))
        limit = now.date() - self._limits.retention
        # From the beginning on: a gap behind a file that stays would be a loss.
        old = takewhile(lambda pair: _last_day(*pair, today=now.date()) < limit, files)
        return [
            _Outdated(file=file, last=following.first - 1)
            for file, following in islice(old, MAX_PURGED)
        ]

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep every other process out; the lock ends with this one, however it ends."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        """Take the lock, in time: a process that stands still must not hold up all requests.

        :raises TimeoutError: where another process keeps it.
        """
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError("another process keeps the lock") from None
                time.sleep(_RETRY_SECONDS)
            else:
                return

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as exc:
            raise StoreUnavailableError(f"{self._folder.name}: cannot be written: {exc}") from exc


def _last_day(file: ChainFile, following: ChainFile, *, today: date) -> date:
    """Return the last day on which a line of *file* may have been written.

    Days to come are those of a clock that was ahead. One that was set back begins a file of an
    earlier day, which says nothing of the lines before it.
    """
    return max((day for day in (file.day, following.day) if day <= today), default=today)
