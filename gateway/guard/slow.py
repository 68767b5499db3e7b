"""Requests that are slowed down: one after another in each session, so that many do not help."""

import asyncio

MAX_WAITING = 10
"""Requests of one session that wait at a time; a further one is refused."""


class TooManySlowedError(Exception):
    """So many requests of the session wait already that no other may."""


class SlowLane:
    """Lets the requests of each session pass one by one, each after a wait."""

    def __init__(self, seconds: float) -> None:
        """Take how long each waits.

        :param seconds: for each request, once the one before it has passed.
        """
        self._seconds = seconds
        self._lanes: dict[bytes, tuple[asyncio.Lock, list[None]]] = {}

    async def wait(self, session: bytes) -> None:
        """Return when a request of *session* may pass.

        :raises TooManySlowedError: where too many wait before it.
        """
        lock, waiting = self._lanes.setdefault(session, (asyncio.Lock(), []))
        if len(waiting) >= MAX_WAITING:
            raise TooManySlowedError
        waiting.append(None)
        try:
            async with lock:
                await asyncio.sleep(self._seconds)
        finally:
            waiting.pop()
            if not waiting:
                del self._lanes[session]
