"""Asks OCSP responders, and keeps what they say."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509

from gateway.clock import Clock
from gateway.refresh.fetch import Fetcher, FetchError, TimeLimits
from gateway.refresh.memory import AnswerTable, RevokedTable
from gateway.trust.list_entries import is_permanent
from gateway.trust.ocsp import (
    MAX_AGE,
    MAX_ANSWER_BYTES,
    NONCE_BYTES,
    OCSPAnswer,
    OCSPQuestion,
    OCSPStatus,
    read_answer,
)
from gateway.trust.revocation_journal import SourceJournal
from gateway.trust.revocation_memory import KeptAnswer
from gateway.trust.revocation_places import RevocationPlaces, responder_name

ROUNDS = 2
"""How often all responders are tried before a question is given up."""
PAUSE_SECONDS = 1.0
"""Between two rounds."""
LIMITS = TimeLimits(connect=3, silence=5, total=8)
"""An answer is small: what takes longer is as good as none."""
MAX_FAILURES = 3
"""Failures in a row after which a responder is left in peace for a while."""
FIRST_REST = timedelta(seconds=30)
"""How long, at first; doubled with each failure after that."""
LONGEST_REST = timedelta(minutes=10)
LONGEST_LIFE = timedelta(hours=1)
"""How long *good* is relied on, however far away the responder says that it ends."""
SAVE_EVERY = timedelta(minutes=1)
_MAX_DOUBLINGS = 16
_REQUEST = "application/ocsp-request"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """One address that answers questions."""

    address: str
    nonce: Literal["required", "optional", "off"]
    designated: tuple[x509.Certificate, ...]
    """Who may sign its answers besides those that the authority named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Responders:
    """Who answers for the certificates of one authority."""

    owner: str
    """The authority, as the tables name it."""
    issuer: x509.Certificate
    responders: tuple[Responder, ...]
    """One stands in for the other, in this order."""


class Inquiry:
    """Asks about one certificate at a time, and remembers how each responder did."""

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        revoked: RevokedTable,
        answers: AnswerTable,
        is_good: Callable[[x509.Certificate, x509.Certificate], bool],
        places: RevocationPlaces,
        clock: Clock,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        """Ask nothing yet.

        :param is_good: says whether a responder's certificate, of the authority that comes second,
            is known not to be revoked.
        """
        self._fetcher = fetcher
        self._revoked = revoked
        self._answers = answers
        self._is_good = is_good
        self._places = places
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._journals: dict[str, SourceJournal] = {}
        self._saved: dict[str, datetime] = {}

    async def ask(self, responders: Responders, serial: int) -> bool:
        """Ask about one certificate until somebody knows; return whether somebody did.

        :raises OSError: where the answer cannot be kept.
        """
        for number in range(ROUNDS):
            if number:
                await asyncio.sleep(self._pause_seconds)
            statuses = []
            for each in responders.responders:
                if self._is_resting(each.address):
                    continue
                try:
                    statuses.append(await self._ask_one(each, responders, serial))
                except (FetchError, ValueError) as exc:
                    self._failed(each.address, str(exc))
                    continue
                self._answered(each.address)
                if statuses[-1] is not OCSPStatus.UNKNOWN:
                    return True
            if statuses:
                # Those who answer do not know it, and will not in a second either.
                return False
        return False

    async def _ask_one(
        self, responder: Responder, responders: Responders, serial: int
    ) -> OCSPStatus:
        question = OCSPQuestion(
            issuer=responders.issuer,
            serial=serial,
            nonce=None if responder.nonce == "off" else secrets.token_bytes(NONCE_BYTES),
            nonce_required=responder.nonce == "required",
            designated=responder.designated,
        )
        raw = await self._fetcher.post(
            responder.address,
            question.encode(),
            content_type=_REQUEST,
            max_bytes=MAX_ANSWER_BYTES,
            limits=LIMITS,
        )
        answer = read_answer(
            raw,
            question,
            now=self._clock(),
            is_good=lambda certificate: self._is_good(certificate, responders.issuer),
        )
        self._keep(responders.owner, serial, answer)
        return answer.status

    def _keep(self, owner: str, serial: int, answer: OCSPAnswer) -> None:
        now = self._clock()
        reason = answer.reason
        if reason is not None and is_permanent({reason}):
            self._revoked.keep(owner, [(serial, reason)], now=now)
        elif answer.status is OCSPStatus.UNKNOWN:
            self._answers.forget(owner, serial)
        else:
            end = answer.next_update or answer.this_update + MAX_AGE
            kept = KeptAnswer(
                held=answer.status is OCSPStatus.REVOKED,
                this_update=answer.this_update,
                expires=min(end, now + LONGEST_LIFE),
            )
            self._answers.keep(owner, serial, kept)

    def _is_resting(self, address: str) -> bool:
        journal = self._journal(address)
        if journal.failures < MAX_FAILURES or journal.looked_at is None:
            return False
        doublings = min(journal.failures - MAX_FAILURES, _MAX_DOUBLINGS)
        return self._clock() < journal.looked_at + min(LONGEST_REST, FIRST_REST * (1 << doublings))

    def _failed(self, address: str, error: str) -> None:
        before = self._journal(address)
        text = error if address in error else f"{address}: {error}"
        if text != before.error:
            _log.error("responder %s", text)
        self._note(address, before.failed(text, now=self._clock()))

    def _answered(self, address: str) -> None:
        now = self._clock()
        journal = self._journal(address)
        if journal.error is not None:
            _log.info("responder %s answers again", address)
        self._note(address, replace(journal.unchanged(now=now), taken_at=now))

    def _journal(self, address: str) -> SourceJournal:
        if address not in self._journals:
            path = self._places.journal(responder_name(address))
            self._journals[address] = SourceJournal.load(path)
        return self._journals[address]

    def _note(self, address: str, journal: SourceJournal) -> None:
        """Remember how a responder did, and on disk too, but not at every question."""
        before = self._journal(address)
        self._journals[address] = journal
        saved = self._saved.get(address)
        now = self._clock()
        if saved is None or journal.error != before.error or now - saved >= SAVE_EVERY:
            self._saved[address] = now
            journal.save(self._places.journal(responder_name(address)))
