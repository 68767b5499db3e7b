"""What goes wrong with cards and readers, made to happen at a chosen command.

A fault is around the card, not in it: the card's own memory stays as it should be, and what it was
asked to do it does, a PIN try counted included.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum, unique

from cryptography.hazmat.primitives.asymmetric import rsa

from cps.errors import CardMuteError, CardRemovedError, CardResetError
from cps.simulator.card import Card
from cps.simulator.chipdoc import CLASS as CPS4_CLASS
from cps.simulator.chipdoc import ISSUER_DOMAIN_AID, SELECT
from cps.simulator.files import BY_NAME
from cps.simulator.image import CardImage
from cps.simulator.personalise import (
    AUTHENTICATION,
    AUTHENTICATION_CERTIFICATE,
    AUTHENTICATION_OF_CPS4,
    SIGNATURE_CERTIFICATE,
)
from cps.status import SW

MAX_AT = 10_000
MAX_SECONDS = 600.0
DEFAULT_SECONDS = 5.0
AUTHENTICATION_REFERENCES = (AUTHENTICATION.reference, AUTHENTICATION_OF_CPS4.reference)
# No status word begins with DE.
GARBAGE = bytes.fromhex("0102030405060708DEAD")
_FAULT = re.compile(r"([a-z-]+)(?:@([0-9]{1,5}))?(?:=([0-9]{1,3}(?:\.[0-9]{1,3})?))?")


@unique
class FaultKind(StrEnum):
    """What can happen; ``AT`` is the number of a command, counted from the card's insertion."""

    REMOVED = "removed"
    """The card is pulled out before the command AT reaches it."""
    REMOVED_DURING = "removed-during"
    """The card runs the command AT and is pulled out before its answer comes."""
    MUTE = "mute"
    """From the command AT on, nothing is run and no answer comes."""
    GARBAGE = "garbage"
    """The answer to the command AT is ten bytes that mean nothing."""
    SHORT = "short"
    """The answer to the command AT lacks its last byte of data, or half of its status word."""
    SLOW = "slow"
    """The answer to the command AT comes some seconds late."""
    RESET = "reset"
    """Another program resets the card before the command AT."""
    CERTIFICATE = "certificate"
    """From the command AT on, the signature certificate is read as the authentication one."""
    KEY = "key"
    """From the command AT on, the authentication key is not the one of its certificate."""
    STUCK = "stuck"
    """A CPS4 does not find its application until its issuer domain was selected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, and when."""

    kind: FaultKind
    at: int = 1
    """The number of the command, 1 to 10 000, counted from the card's insertion."""
    seconds: float = DEFAULT_SECONDS
    """How late a slow answer comes, 0 to 600."""

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Return the fault that *text* names.

        :param text: ``mute``, ``removed@5``, ``slow@3=2.5``.
        :raises ValueError: for anything else; the text says what is wanted.
        """
        found = _FAULT.fullmatch(text)
        kinds = [kind.value for kind in FaultKind]
        if found is None or found[1] not in kinds:
            raise ValueError(
                f"{text!r} is no fault; one is KIND, KIND@AT or slow@AT=SECONDS, "
                f"where KIND is one of: {', '.join(kinds)}"
            )
        kind = FaultKind(found[1])
        at = int(found[2] or 1)
        if not 1 <= at <= MAX_AT:
            raise ValueError(f"{text!r}: commands are counted from 1 to {MAX_AT}")
        if found[3] is None:
            return cls(kind=kind, at=at)
        seconds = float(found[3])
        if kind is not FaultKind.SLOW or seconds > MAX_SECONDS:
            raise ValueError(f"{text!r}: only slow takes seconds, at most {MAX_SECONDS:g}")
        return cls(kind=kind, at=at, seconds=seconds)


class FaultyCard:
    """A card that things happen to.

    :param doubles: a card for each fault of the kinds ``certificate`` and ``key``, which is asked
        the same and answers in the card's place from the fault's command on.
    :param sleep: waits some seconds.
    """

    def __init__(
        self,
        card: Card,
        faults: Iterable[Fault],
        *,
        doubles: dict[Fault, Card] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._card = card
        self._faults = tuple(faults)
        self._doubles = doubles or {}
        self._sleep = sleep
        self._number = 0
        self._stuck = any(fault.kind is FaultKind.STUCK for fault in self._faults)

    @property
    def atr(self) -> bytes:
        """Return the answer to reset."""
        return self._card.atr

    @property
    def t0(self) -> bool:
        """Return whether the protocol is T=0."""
        return self._card.t0

    def power_on(self) -> None:
        """Give power; commands are counted on."""
        for card in self._cards():
            card.power_on()

    def reset(self) -> None:
        """Forget what was verified, chosen and selected; commands are counted on."""
        for card in self._cards():
            card.reset()

    def power_off(self) -> None:
        """Take the power away."""
        for card in self._cards():
            card.power_off()

    def execute(self, command: bytes) -> bytes:
        """Return the answer to one command, unless or as its fault has it.

        :raises CardMuteError: from a mute card, and without power.
        :raises CardRemovedError: where the card is pulled out.
        :raises CardResetError: where another program reset it; the command was not run.
        """
        self._number += 1
        if any(fault.kind is FaultKind.MUTE and self._number >= fault.at for fault in self._faults):
            raise CardMuteError("the card does not answer")
        if self._happens(FaultKind.RESET):
            self.reset()
            raise CardResetError("another program reset the card")
        if self._happens(FaultKind.REMOVED):
            self.power_off()
            raise CardRemovedError("the card was pulled out")
        if self._stuck and self._stays_stuck(command):
            return SW.FILE_NOT_FOUND.to_bytes(2, "big")
        answer = self._answer(command)
        if self._happens(FaultKind.REMOVED_DURING):
            self.power_off()
            raise CardRemovedError("the card was pulled out")
        if self._happens(FaultKind.GARBAGE):
            return GARBAGE
        if self._happens(FaultKind.SHORT):
            return answer[:-3] + answer[-2:] if len(answer) > 2 else answer[:1]
        for fault in self._faults:
            if fault.kind is FaultKind.SLOW and fault.at == self._number:
                self._sleep(fault.seconds)
        return answer

    def _answer(self, command: bytes) -> bytes:
        answer = self._card.execute(command)
        for fault, double in self._doubles.items():
            instead = double.execute(command)
            if self._number >= fault.at:
                answer = instead
        return answer

    def _happens(self, kind: FaultKind) -> bool:
        return any(fault.kind is kind and fault.at == self._number for fault in self._faults)

    def _stays_stuck(self, command: bytes) -> bool:
        """Return whether *command* looks for an application in vain."""
        if command[:3] != bytes((CPS4_CLASS, SELECT, BY_NAME)):
            return False
        self._stuck = command[5:] != ISSUER_DOMAIN_AID
        return self._stuck

    def _cards(self) -> list[Card]:
        return [self._card, *self._doubles.values()]


def faulty_card(
    image: CardImage,
    faults: Iterable[Fault],
    *,
    make: Callable[[CardImage], Card],
    sleep: Callable[[float], None] = time.sleep,
) -> Card:
    """Return the card that is *image*, with what is to happen to it around it.

    :param make: makes a card of an image.
    """
    faults = tuple(faults)
    card = make(image)
    if not faults:
        return card
    disguises = {FaultKind.CERTIFICATE: with_wrong_certificate, FaultKind.KEY: with_wrong_key}
    doubles = {
        fault: make(disguises[fault.kind](image)) for fault in faults if fault.kind in disguises
    }
    return FaultyCard(card, faults, doubles=doubles, sleep=sleep)


def with_wrong_certificate(image: CardImage) -> CardImage:
    """Return a copy that has its signature certificate in place of the authentication one."""
    copy = image.copy()
    wrong = copy.content(SIGNATURE_CERTIFICATE)
    for file in copy.files:
        if file.path == AUTHENTICATION_CERTIFICATE:
            file.content = wrong
    return copy


def with_wrong_key(image: CardImage, key: rsa.RSAPrivateKey | None = None) -> CardImage:
    """Return a copy whose authentication key is not the one of its certificate.

    :param key: a new one where absent.
    """
    copy = image.copy()
    for entry in copy.keys:
        if entry.reference in AUTHENTICATION_REFERENCES:
            size = entry.private_key.key_size
            entry.private_key = key or rsa.generate_private_key(65537, size)
    return copy
