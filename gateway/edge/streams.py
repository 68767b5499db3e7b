"""Requests under way, by session, so that a session's end cuts them at once."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.session.model import SessionStore

POLL_SECONDS = 0.25
"""Time between two looks at the sessions that ended."""
MAX_SILENCE_SECONDS = 5.0
"""A store that does not say for so long which sessions ended has every stream cut."""

_log = logging.getLogger("gateway.edge")


class Cuttable(Protocol):
    """What can be cut: an asyncio transport."""

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""


class OpenStreams:
    """The connections on which something is being answered to a session."""

    def __init__(self) -> None:
        self._by_session: dict[bytes, set[Cuttable]] = {}

    def __len__(self) -> int:
        return sum(len(connections) for connections in self._by_session.values())

    @contextmanager
    def held(self, key: bytes, connection: Cuttable) -> Iterator[None]:
        """Have *connection* cut if the session *key* ends before the block does."""
        connections = self._by_session.setdefault(key, set())
        connections.add(connection)
        try:
            yield
        finally:
            connections.discard(connection)
            # After a cut the set in the table may be another one, of a later session's requests.
            if not connections and self._by_session.get(key) is connections:
                del self._by_session[key]

    def cut(self, key: bytes) -> int:
        """Cut what is open for the session *key* and return how much that was."""
        connections = self._by_session.pop(key, set())
        for connection in connections:
            connection.abort()
        return len(connections)

    def cut_all(self) -> int:
        """Cut everything and return how much that was."""
        return sum(self.cut(key) for key in tuple(self._by_session))


class EndWatcher:
    """Tails the store's list of ended sessions and cuts their streams."""

    def __init__(self, streams: OpenStreams, sessions: SessionStore, clock: Clock) -> None:
        self._streams = streams
        self._sessions = sessions
        self._clock = clock
        self._cursor = 0
        self._heard_at = 0.0

    async def run(self) -> None:
        """Look four times a second, until cancelled."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        # Ending sessions past their limits writes, and a write may wait for another process; in
        # a thread of its own that wait stops no request.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ended-sessions") as executor:
            while True:
                try:
                    ended = await loop.run_in_executor(executor, self._ended)
                except StoreUnavailableError:
                    self._cut_when_silent(loop.time())
                else:
                    self._heard_at = loop.time()
                    for key in ended:
                        if count := self._streams.cut(key):
                            _log.info("session ended, %d open answers cut", count)
                await asyncio.sleep(POLL_SECONDS)

    def _ended(self) -> tuple[bytes, ...]:
        self._cursor, keys = self._sessions.ended_since(self._cursor, now=self._clock())
        return tuple(keys)

    def _cut_when_silent(self, now: float) -> None:
        """Nobody can say that a stream's session still lives: after a while it is taken as dead."""
        if now - self._heard_at >= MAX_SILENCE_SECONDS and (count := self._streams.cut_all()):
            _log.error("the session store does not answer, %d open answers cut", count)
