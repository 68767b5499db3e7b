"""Requests under way, by session, so that a session's end cuts them at once."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

MAX_SILENCE_SECONDS = 5.0
"""A store that does not say for so long which sessions ended has every stream cut."""

_log = logging.getLogger("gateway.edge")


class Cuttable(Protocol):
    """What can be cut: an asyncio transport."""

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""


class OpenStreams:
    """The connections on which something is being answered to a session.

    It is a :class:`gateway.edge.feed.Listener`: what it is told to be over, it cuts.
    """

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

    def ended(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            if count := self.cut(key):
                _log.info("session ended, %d open answers cut", count)

    def all_ended(self) -> None:
        if count := self.cut_all():
            _log.warning("every session ended, %d open answers cut", count)

    def silent(self, seconds: float) -> None:
        # Nobody can say that a stream's session still lives: after a while it is taken as dead.
        if seconds >= MAX_SILENCE_SECONDS and (count := self.cut_all()):
            _log.error("the session store does not answer, %d open answers cut", count)
