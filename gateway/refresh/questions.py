"""Which certificates responders are asked about, and when."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from gateway.clock import Clock
from gateway.refresh.memory import AnswerTable
from gateway.refresh.responders import Inquiry, Responders
from gateway.trust.ask import Ask

MAX_WAITING = 1000
"""Questions that wait; more are dropped, and asked again by the next login."""
MAX_KNOWN = 10_000
"""Cards that are remembered; beyond, those go whose last login is longest ago."""
KNOWN_FOR = timedelta(days=7)
"""How long a card is remembered after its last login."""
RENEW_BEFORE = timedelta(minutes=10)
"""How long before its end an answer is asked for anew."""
WORKERS = 4
PACE_SECONDS = 0.1
"""Pause of a worker between two questions: responders are other people's machines."""

Certificate: TypeAlias = tuple[str, int]
"""Owner, as the tables name the issuer, and serial number."""
_log = logging.getLogger(__name__)


class Questions:
    """The certificates that matter, and those of them that are to be asked about now."""

    def __init__(
        self,
        inquiry: Inquiry,
        responders: Mapping[str, Responders],
        *,
        answers: AnswerTable,
        always: Sequence[Certificate],
        is_weak: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        """Remember the cards that there are answers about already.

        :param responders: by owner.
        :param always: certificates that are asked about all the time: those of authorities.
        :param is_weak: says whether an owner's lists will not do for long any more.
        """
        self._inquiry = inquiry
        self._responders = responders
        self._answers = answers
        self._always = tuple(each for each in always if each[0] in responders)
        self._is_weak = is_weak
        self._clock = clock
        now = clock()
        self._known = OrderedDict((each, now) for each in answers.known())
        self._waiting: asyncio.Queue[Certificate] = asyncio.Queue(MAX_WAITING)
        self._queued: set[Certificate] = set()

    def hear(self, message: bytes) -> None:
        """Take what a login said; whatever it is, this does not fail."""
        try:
            ask = Ask.decode(message)
        except ValueError as exc:
            _log.warning("a message that is not understood: %s", exc)
            return
        if ask.owner not in self._responders:
            return
        certificate = (ask.owner, ask.serial)
        self._known[certificate] = self._clock()
        self._known.move_to_end(certificate)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        if ask.urgent:
            self._queue(certificate)

    def renew(self) -> None:
        """Queue all that there should be an answer about, and is none that lasts a while."""
        now = self._clock()
        old = [each for each, seen in self._known.items() if now - seen > KNOWN_FOR]
        for certificate in old:
            del self._known[certificate]
        weak = {owner for owner in self._responders if self._is_weak(owner)}
        for certificate in self._always:
            self._queue_if_due(certificate, now)
        for certificate in self._known:
            if certificate[0] in weak:
                self._queue_if_due(certificate, now)

    async def work(self) -> None:
        """Ask, one question after the other, for ever; several of these may run at a time.

        :raises OSError: where answers cannot be kept.
        """
        while True:
            certificate = await self._waiting.get()
            owner, serial = certificate
            try:
                await self._inquiry.ask(self._responders[owner], serial)
            finally:
                self._queued.discard(certificate)
            self._answers.write(self._clock())
            await asyncio.sleep(PACE_SECONDS)

    def _queue_if_due(self, certificate: Certificate, now: datetime) -> None:
        answer = self._answers.get(*certificate)
        if answer is None or answer.held or answer.expires - now < RENEW_BEFORE:
            self._queue(certificate)

    def _queue(self, certificate: Certificate) -> None:
        if certificate in self._queued:
            return
        try:
            self._waiting.put_nowait(certificate)
        except asyncio.QueueFull:
            _log.warning("too many questions wait; one is dropped")
        else:
            self._queued.add(certificate)
