"""Ends the sessions of cards that were revoked after their login."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from time import perf_counter

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.identity import VerifiedIdentity
from gateway.session.model import EndReason, SessionStore
from gateway.trust.crl import RevocationLists

RECHECK_SECONDS = 15.0
"""Time between two looks at all sessions."""
MAX_SHARE = 0.05
"""Most of one core that these looks take: with very many sessions they are further apart."""

_log = logging.getLogger("gateway.monitor")


class Recheck:
    """Looks up the card of each session again and again.

    Source: docs/reference/protocol.md, "The lease".
    """

    def __init__(self, sessions: SessionStore, revocation: RevocationLists, clock: Clock) -> None:
        self._sessions = sessions
        self._revocation = revocation
        self._clock = clock

    async def run(self) -> None:
        """Go on until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="recheck") as executor:
            while True:
                began = perf_counter()
                await loop.run_in_executor(executor, self.step)
                await asyncio.sleep(max(RECHECK_SECONDS, (perf_counter() - began) / MAX_SHARE))

    def step(self) -> None:
        """Look up the card of every session once."""
        now = self._clock()
        try:
            # Noted first: some stores count sessions while they list them.
            revoked = [
                session.key
                for session in self._sessions.living(now=now)
                if self._is_revoked(session.identity, now)
            ]
            for key in revoked:
                self._sessions.end(key, EndReason.CARD_REVOKED, now=now)
        except StoreUnavailableError as exc:
            _log.error("revoked cards may keep their sessions: %s", exc)

    def _is_revoked(self, person: VerifiedIdentity, now: datetime) -> bool:
        serial = int(person.certificate_serial, 16)
        return self._revocation.is_revoked(person.certificate_issuer, serial, now)
