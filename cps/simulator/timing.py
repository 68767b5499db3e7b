"""How long a real card takes, so that what a person feels can be measured without one.

One bit lasts an etu, the elementary time unit: F / (D * f) seconds at the clock f, where the card
names F and D in the character TA1 of its answer to reset. The bit rate is its inverse. A CPS3 names
none, so F is 372 and D is 1: at the usual 3.5712 MHz that is 9600 bit/s. A CPS4 has TA1 = 18, and
so F = 372 and D = 12: 115 200 bit/s at that clock. A character with its guard time takes 12 etu.

Source: ISO/IEC 7816-3:2006.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from cps.atr import CardType, recognise
from cps.simulator.card import Card

CLOCK = 3_571_200
"""Hertz: the one at which cards without TA1 speak 9600 bit/s."""
DEFAULT_TA1 = 0x11
CLOCK_RATE_CONVERSION = {0: 372, 1: 372, 2: 558, 3: 744, 4: 1116, 5: 1488, 6: 1860}
CLOCK_RATE_CONVERSION |= {9: 512, 10: 768, 11: 1024, 12: 1536, 13: 2048}
BIT_RATE_ADJUSTMENT = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 64, 8: 12, 9: 20}
RADIO_BIT_RATE = 106_000
"""The one that every card by radio begins with."""

CHARACTER_ETU = 12
TURN_ETU = 22
"""On T=1, the least time between two blocks that go opposite ways."""

T0_HEADER = 5
T0_STATUS = 2
T0_PROCEDURE = 1
T1_FRAME = 4
"""A block's three bytes in front and its check behind."""
T1_CARD_TAKES = 32
"""Bytes in one block to a card that does not say how many it takes."""
T1_READER_TAKES = 254

BIT_RATES = range(1_000, 1_000_000 + 1)
"""Those that can be chosen instead of the card's own; readers reach less than the highest."""
MAX_KEY_SECONDS = 60.0

CHAINING = 0x10


class _INS(IntEnum):
    PERFORM_SECURITY_OPERATION = 0x2A
    INTERNAL_AUTHENTICATE = 0x88


KEY_OPERATIONS = (0x9E9A, 0x8086)
"""P1-P2 of the security operations that use a private key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take; all values in seconds but the first."""

    bit_rate: int
    """Bits a second on the line to the card."""
    command: float = 0.08
    """The reader's and the chip's own time for one command. In a published trace of a real CPS3 an
    exchange takes 95 to 130 ms, of which the line takes 15 to 50."""
    key_operation: float = 0.5
    """One use of a private key of 2048 bits. That of a real card is not published: this one is an
    assumption."""

    def exchange(self, command: bytes, answer: bytes, *, t0: bool) -> float:
        """Return the seconds that one exchange takes."""
        etus = _t0_etus(command, answer) if t0 else _t1_etus(command, answer)
        seconds = self.command + etus / self.bit_rate
        return seconds + (self.key_operation if _uses_key(command, answer) else 0.0)


def realistic(card: Card) -> Timing:
    """Return how long a real card of that answer to reset takes, as far as that is known."""
    if recognise(card.atr) is CardType.CPS3_CONTACTLESS:
        return Timing(bit_rate=RADIO_BIT_RATE)
    return Timing(bit_rate=bit_rate(card.atr))


def bit_rate(atr: bytes) -> int:
    """Return the bits a second of a card by contact, at the usual clock and its greatest speed."""
    # The fifth bit of T0 says whether TA1 is there.
    ta1 = atr[2] if atr[1] & 0x10 else DEFAULT_TA1
    return CLOCK * BIT_RATE_ADJUSTMENT[ta1 & 0x0F] // CLOCK_RATE_CONVERSION[ta1 >> 4]


class TimedCard:
    """A card that takes its time.

    :param sleep: waits some seconds.
    """

    def __init__(
        self, card: Card, timing: Timing, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._card = card
        self._timing = timing
        self._sleep = sleep

    @property
    def atr(self) -> bytes:
        """Return the answer to reset."""
        return self._card.atr

    @property
    def t0(self) -> bool:
        """Return whether the protocol is T=0."""
        return self._card.t0

    def power_on(self) -> None:
        """Give power."""
        self._card.power_on()

    def reset(self) -> None:
        """Forget what was verified, chosen and selected."""
        self._card.reset()

    def power_off(self) -> None:
        """Take the power away."""
        self._card.power_off()

    def execute(self, command: bytes) -> bytes:
        """Return the answer to one command after the time that it takes."""
        answer = self._card.execute(command)
        self._sleep(self._timing.exchange(command, answer, t0=self.t0))
        return answer


def _t0_etus(command: bytes, answer: bytes) -> int:
    sent, given = max(len(command) - T0_HEADER, 0), max(len(answer) - T0_STATUS, 0)
    characters = T0_HEADER + T0_STATUS + sent + given
    # The card asks for the data, or says that it sends some, with one character.
    return CHARACTER_ETU * (characters + (T0_PROCEDURE if sent or given else 0))


def _t1_etus(command: bytes, answer: bytes) -> int:
    to_card, to_reader = _blocks(len(command), T1_CARD_TAKES), _blocks(len(answer), T1_READER_TAKES)
    # Each block but the last of a chain is acknowledged by an empty one.
    frames = 2 * (to_card + to_reader) - 2
    characters = len(command) + len(answer) + T1_FRAME * frames
    return CHARACTER_ETU * characters + TURN_ETU * (frames - 1)


def _blocks(count: int, most: int) -> int:
    return max(-(-count // most), 1)


def _uses_key(command: bytes, answer: bytes) -> bool:
    if len(command) < 4 or command[0] & CHAINING or answer[-2:-1] not in (b"\x90", b"\x61"):
        return False
    if command[1] == _INS.INTERNAL_AUTHENTICATE:
        return True
    parameters = command[2] << 8 | command[3]
    return command[1] == _INS.PERFORM_SECURITY_OPERATION and parameters in KEY_OPERATIONS
