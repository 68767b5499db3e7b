"""Counters of what each address or person asked for in the present minute, for ``limits``.

The library's own storages are passed over: the one in memory never bounds its size and goes through
all of it a hundred times a second while it is used; the one for Redis has its own connections,
without our time limits, and would keep a key for each address.
"""

import fcntl
import hashlib
import mmap
import os
import secrets
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from limits.storage import Storage

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.redis_server import RedisServer, Script

WINDOW_SECONDS = 60
"""Everything is counted by the minute."""
MAX_SUBJECTS = 50_000
"""Most addresses or persons counted apart in one minute; all others share one counter."""
TURN_SECONDS = 1.0
"""Longest wait for another process that counts; it takes some microseconds."""

_PLACES = 65_536
# A digest of a subject, the minute in which it was counted, and how often.
_PLACE = struct.Struct("=QQQ")
_TABLE_BYTES = (1 + _PLACES) * _PLACE.size
_DIGEST_BYTES = 8
_SECRET_BYTES = 16
_RETRY_SECONDS = 0.0001

MakeCounters = Callable[[str, Clock], Storage]
"""Makes the counters of one kind of request, given its name and the clock."""


class _MinuteCounters(Storage):
    """What the two have in common: minutes of our own clock, and nothing that is taken back."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception]:
        return StoreUnavailableError

    def get_expiry(self, key: str) -> float:
        """Return the end of the present minute, Unix time, whatever *key* is."""
        return float((self._minute() + 1) * WINDOW_SECONDS)

    def _minute(self) -> int:
        return int(self._clock().timestamp()) // WINDOW_SECONDS


class CountingMemory:
    """Memory in which a process and those that it forks later count together.

    Counters in the database would be one more write for each request that comes, and most of all
    in a flood. These take no disk, and their size is fixed.

    :param kinds: the names of the kinds of requests, each with a table of its own, so that a flood
        of one kind is not felt by the others.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self._tables = {kind: number * _TABLE_BYTES for number, kind in enumerate(kinds)}
        self._descriptor = os.memfd_create("cps-rates")
        os.ftruncate(self._descriptor, len(self._tables) * _TABLE_BYTES)
        self._memory = mmap.mmap(self._descriptor, len(self._tables) * _TABLE_BYTES)
        # Unknown outside, so that nobody can choose addresses whose places are the same.
        self._secret = secrets.token_bytes(_SECRET_BYTES)
        self._lock = threading.Lock()

    def counters(self, kind: str, clock: Clock) -> "SharedCounters":
        """Return the counters of *kind*, one of those named at the beginning."""
        return SharedCounters(self, self._tables[kind], clock)

    @contextmanager
    def turn(self) -> Iterator[mmap.mmap]:
        """Keep the threads and processes that count here out, and give the memory.

        The system gives the lock back where its holder is killed; what that one left half done is
        a subject without a count.

        :raises StoreUnavailableError: where another process stands still and keeps the lock.
        """
        with self._lock:
            deadline = time.monotonic() + TURN_SECONDS
            while True:
                try:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise StoreUnavailableError("rates: busy") from None
                    time.sleep(_RETRY_SECONDS)
            try:
                yield self._memory
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def digest(self, subject: str) -> int:
        """Return the number by which *subject* is known here."""
        content = subject.encode("utf-8", "surrogatepass")
        return int.from_bytes(
            hashlib.blake2b(content, digest_size=_DIGEST_BYTES, key=self._secret).digest(), "big"
        )


class SharedCounters(_MinuteCounters):
    """Counters of one kind, in one table of a :class:`CountingMemory`.

    A table begins with the counter that all others share and the number of subjects; then come
    places, in which a subject is looked for from the one that its digest names. A place of
    another minute is free: nothing has to be wiped.
    """

    def __init__(self, memory: CountingMemory, table: int, clock: Clock) -> None:
        super().__init__(clock)
        self._memory = memory
        self._table = table

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add *amount* to *key*'s counter of this minute and return it.

        :raises StoreUnavailableError: where another process keeps the memory locked.
        """
        digest = self._memory.digest(key)
        with self._memory.turn() as memory:
            # Asked for in turn, so that no process is in an earlier minute than the one before it.
            minute = self._minute()
            self._forget_later(memory, minute)
            subjects = self._subjects(memory, minute)
            at, count, is_new = self._find(memory, digest, minute)
            if is_new and subjects >= MAX_SUBJECTS:
                at, digest = self._table, subjects
                count = self._count_at(memory, at, minute)
            elif is_new:
                _PLACE.pack_into(
                    memory,
                    self._table,
                    subjects + 1,
                    minute,
                    self._count_at(memory, self._table, minute),
                )
            _PLACE.pack_into(memory, at, digest, minute, count + amount)
        return count + amount

    def get(self, key: str) -> int:
        """Return *key*'s counter of this minute.

        :raises StoreUnavailableError: where another process keeps the memory locked.
        """
        digest, minute = self._memory.digest(key), self._minute()
        with self._memory.turn() as memory:
            _, count, is_new = self._find(memory, digest, minute)
            if is_new and self._subjects(memory, minute) >= MAX_SUBJECTS:
                return self._count_at(memory, self._table, minute)
        return count

    def check(self) -> bool:
        """Return that memory is there."""
        return True

    def reset(self) -> int:
        """Forget every counter of this minute and return 1, or 0 where there was none."""
        with self._memory.turn() as memory:
            subjects = self._subjects(memory, self._minute())
            self._wipe(memory)
        return min(subjects, 1)

    def clear(self, key: str) -> None:
        """Set *key*'s counter to nothing."""
        digest, minute = self._memory.digest(key), self._minute()
        with self._memory.turn() as memory:
            at, _, is_new = self._find(memory, digest, minute)
            if not is_new:
                _PLACE.pack_into(memory, at, digest, minute, 0)

    def _forget_later(self, memory: mmap.mmap, minute: int) -> None:
        """Forget what was counted in a later minute, where the clock was set back.

        When that minute came again its places would be taken and not counted, until none is free.
        """
        _, its_minute, _ = _PLACE.unpack_from(memory, self._table)
        if its_minute > minute:
            self._wipe(memory)

    def _wipe(self, memory: mmap.mmap) -> None:
        memory[self._table : self._table + _TABLE_BYTES] = bytes(_TABLE_BYTES)

    def _subjects(self, memory: mmap.mmap, minute: int) -> int:
        subjects, its_minute, _ = _PLACE.unpack_from(memory, self._table)
        return int(subjects) if its_minute == minute else 0

    def _count_at(self, memory: mmap.mmap, at: int, minute: int) -> int:
        _, its_minute, count = _PLACE.unpack_from(memory, at)
        return int(count) if its_minute == minute else 0

    def _find(self, memory: mmap.mmap, digest: int, minute: int) -> tuple[int, int, bool]:
        """Return where *digest* is counted or is to be, its count, and whether it is new.

        There is always a free place, because there are more places than subjects.
        """
        number = digest
        while True:
            at = self._table + (1 + number % _PLACES) * _PLACE.size
            held, its_minute, count = _PLACE.unpack_from(memory, at)
            if its_minute != minute:
                return at, 0, True
            if held == digest:
                return at, int(count), False
            number += 1


# One hash a minute, which ends by itself: a flood cannot fill the server's memory.
_ADD = Script(
    """
    local field = ARGV[1]
    if redis.call('HEXISTS', KEYS[1], field) == 0
        and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[2]) then
        field = ''
    end
    local count = redis.call('HINCRBY', KEYS[1], field, ARGV[3])
    redis.call('EXPIRE', KEYS[1], ARGV[4])
    return count
    """
)


class RedisCounters(_MinuteCounters):
    """Counters that all processes and machines of one gateway share."""

    def __init__(self, kind: str, clock: Clock, server: RedisServer) -> None:
        super().__init__(clock)
        self._server = server
        self._kind = kind

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add *amount* to *key*'s counter of this minute and return it.

        :raises StoreUnavailableError: where the server does not answer.
        """
        return int(
            self._server.run(_ADD, [self._key()], [key, MAX_SUBJECTS, amount, 2 * WINDOW_SECONDS])
        )

    def get(self, key: str) -> int:
        """Return *key*'s counter of this minute.

        :raises StoreUnavailableError: where the server does not answer.
        """
        return int(self._server.ask("HGET", self._key(), key) or 0)

    def check(self) -> bool:
        """Return whether the server answers."""
        try:
            self._server.ask("PING")
        except StoreUnavailableError:
            return False
        return True

    def reset(self) -> int:
        """Forget every counter of this minute and return 1, or 0 where there was none."""
        return int(self._server.ask("DEL", self._key()))

    def clear(self, key: str) -> None:
        """Forget *key*'s counter."""
        self._server.ask("HDEL", self._key(), key)

    def _key(self) -> bytes:
        return self._server.key(f"rate:{self._kind}:{self._minute()}")
