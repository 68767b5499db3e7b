"""The store's news of ended sessions, as every process at the edge follows it."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import StoreReplacedError, StoreUnavailableError
from gateway.session.model import SessionStore

POLL_SECONDS = 0.1
"""Time between two looks at the sessions that ended."""


class Listener(Protocol):
    """What is told of the end of sessions, in the event loop."""

    def ended(self, keys: Sequence[bytes]) -> None:
        """Take note that these sessions are over."""

    def all_ended(self) -> None:
        """Take note that every session known so far is over."""

    def silent(self, seconds: float) -> None:
        """Take note that for so long the store has not said which sessions ended."""


class EndFeed:
    """Asks the store again and again which sessions ended, and tells a listener."""

    def __init__(self, sessions: SessionStore, clock: Clock, listener: Listener) -> None:
        self._sessions = sessions
        self._clock = clock
        self._listener = listener
        self._cursor = 0
        self._asked_at = float("-inf")

    async def run(self) -> None:
        """Look ten times a second, until cancelled."""
        loop = asyncio.get_running_loop()
        self._asked_at = loop.time()
        # Ending sessions past their limits writes, and a write may wait for another process; in
        # a thread of its own that wait stops no request.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ended-sessions") as executor:
            while True:
                asked_at = loop.time()
                try:
                    keys = await loop.run_in_executor(executor, self._ended)
                except StoreReplacedError as exc:
                    self._cursor = exc.cursor
                    self._asked_at = asked_at
                    self._listener.all_ended()
                except StoreUnavailableError:
                    self._listener.silent(self.silence())
                else:
                    self._asked_at = asked_at
                    if keys:
                        self._listener.ended(keys)
                await asyncio.sleep(POLL_SECONDS)

    def silence(self) -> float:
        """Return for how many seconds nobody has said which sessions ended.

        Counted from when the store was asked, not from its answer: what ended while the answer was
        on its way may not be in it.
        """
        return asyncio.get_running_loop().time() - self._asked_at

    def _ended(self) -> tuple[bytes, ...]:
        self._cursor, keys = self._sessions.ended_since(self._cursor, now=self._clock())
        return tuple(keys)
