"""Keeps the record of ended sessions going, and enforces limits where nobody else asks."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from gateway.clock import Clock
from gateway.errors import StoreReplacedError, StoreUnavailableError
from gateway.monitor.standing import Standing
from gateway.session.model import SessionStore
from gateway.session.recorder import Audit, record_ends

RECORD_SECONDS = 0.25
"""Time between two looks at what ended."""

_log = logging.getLogger("gateway.monitor")


class Recording:
    """Writes a line for each end that no request has written one for."""

    def __init__(
        self, sessions: SessionStore, audit: Audit, standing: Standing, clock: Clock
    ) -> None:
        """Take where ends come from and go to.

        :param standing: is told where they cannot be written.
        """
        self._sessions = sessions
        self._audit = audit
        self._standing = standing
        self._clock = clock
        self._cursor = 0

    async def run(self) -> None:
        """Go on until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="recording") as executor:
            while True:
                await loop.run_in_executor(executor, self.step)
                await asyncio.sleep(RECORD_SECONDS)

    def step(self) -> None:
        """End what is past its limits, and write what is not yet written."""
        try:
            self._cursor, _ = self._sessions.ended_since(self._cursor, now=self._clock())
            record_ends(self._sessions, self._audit, now=self._clock())
        except StoreReplacedError as exc:
            self._cursor = exc.cursor
            self._tell_replaced()
        except StoreUnavailableError as exc:
            self._tell(f"ends of sessions cannot be recorded: {exc}")
        else:
            self._tell(None)

    def _tell_replaced(self) -> None:
        """Record that every session known so far is over, none of which has a line of its own."""
        _log.error("the session store was emptied, exchanged or set back")
        try:
            self._audit.record("store_replaced")
        except StoreUnavailableError as exc:
            self._tell(f"the loss of the session store cannot be recorded: {exc}")

    def _tell(self, problem: str | None) -> None:
        if problem != self._standing.record_problem:
            self._standing.record_problem = problem
            _log.log(logging.ERROR if problem else logging.INFO, problem or "recording goes on")
