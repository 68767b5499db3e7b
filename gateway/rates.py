"""Counters of what each address or person asked for in the present minute, for ``limits``.

The library's own storages are passed over: the one in memory never bounds its size and goes through
all of it a hundred times a second while it is used; the one for Redis has its own connections,
without our time limits, and would keep a key for each address.
"""

import threading
from collections.abc import Callable

from limits.storage import Storage

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.redis_server import RedisServer, Script

WINDOW_SECONDS = 60
"""Everything is counted by the minute."""
MAX_SUBJECTS = 50_000
"""Most addresses or persons counted apart in one minute; all others share one counter."""
_OTHERS = ""

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


class MemoryCounters(_MinuteCounters):
    """Counters of this process alone."""

    def __init__(self, _kind: str, clock: Clock) -> None:
        super().__init__(clock)
        self._lock = threading.Lock()
        self._counted = -1
        self._counts: dict[str, int] = {}

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add *amount* to *key*'s counter of this minute and return it."""
        with self._lock:
            known = self._key(key)
            self._counts[known] = self._counts.get(known, 0) + amount
            return self._counts[known]

    def get(self, key: str) -> int:
        """Return *key*'s counter of this minute."""
        with self._lock:
            return self._counts.get(self._key(key), 0)

    def check(self) -> bool:
        """Return that memory is there."""
        return True

    def reset(self) -> int:
        """Forget every counter and return how many there were."""
        with self._lock:
            forgotten, self._counts = len(self._counts), {}
        return forgotten

    def clear(self, key: str) -> None:
        """Forget *key*'s counter."""
        with self._lock:
            self._counts.pop(self._key(key), None)

    def _key(self, key: str) -> str:
        minute = self._minute()
        if minute != self._counted:
            self._counted, self._counts = minute, {}
        full = len(self._counts) >= MAX_SUBJECTS
        return _OTHERS if full and key not in self._counts else key


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
