"""Somebody between card and client: pulls the card out, makes it mute, exchanges it, or lies."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from cps.errors import CardMuteError
from cps.simulator.chip import SoftwareCard
from cps.simulator.terminal import SoftwareTerminal
from cps.transport.connection import CardConnection, ReaderState

VERIFY = 0x20
HEADER_BYTES = 5

Transmit = Callable[[bytes], bytes]
Meddle = Callable[[int, bytes, Transmit], bytes]
"""Gets the command's number, from 1 on, the command, and the way to the card; gives the answer."""


def honest(number: int, command: bytes, transmit: Transmit) -> bytes:
    """Pass the command on and its answer back."""
    return transmit(command)


class MeddledTerminal:
    """A reader whose every exchange goes through somebody's hands.

    :param meddle: what they do.
    """

    def __init__(self, card: SoftwareCard, meddle: Meddle = honest) -> None:
        self.inner = SoftwareTerminal(card)
        self.meddle = meddle
        self.commands: list[bytes] = []
        """Every command that the client sent."""

    @property
    def verifications(self) -> int:
        """How often the client sent a PIN."""
        return sum(map(sends_pin, self.commands))

    def readers(self) -> Sequence[ReaderState]:
        return self.inner.readers()

    def wait(self, known: Sequence[ReaderState], timeout: float) -> Sequence[ReaderState]:
        return self.inner.wait(known, timeout)

    def connect(self, reader: str) -> "MeddledConnection":
        return MeddledConnection(self, self.inner.connect(reader))

    def swap(self, card: SoftwareCard) -> None:
        """Take the card out and put another one in, faster than anybody looks."""
        self.inner.remove()
        self.inner._card = card
        self.inner.insert()

    def replace_unnoticed(self, card: SoftwareCard) -> None:
        """Put another card in without the reader's telling it, as some remote desktops do."""
        card.power_on()
        self.inner._card = card


class MeddledConnection:
    """A connection of a :class:`MeddledTerminal`."""

    def __init__(self, terminal: MeddledTerminal, connection: CardConnection) -> None:
        self._terminal = terminal
        self._connection = connection

    @property
    def atr(self) -> bytes:
        return self._connection.atr

    @property
    def t0(self) -> bool:
        return self._connection.t0

    def transmit(self, command: bytes) -> bytes:
        self._terminal.commands.append(command)
        number = len(self._terminal.commands)
        return self._terminal.meddle(number, command, self._connection.transmit)

    def transaction(self, *, reset: bool) -> AbstractContextManager[None]:
        return self._connection.transaction(reset=reset)

    def close(self) -> None:
        self._connection.close()


def removed_before(terminal: MeddledTerminal, number: int) -> Meddle:
    """Return: the card leaves just before the command of that number reaches it."""

    def meddle(this: int, command: bytes, transmit: Transmit) -> bytes:
        if this == number:
            terminal.inner.remove()
        return transmit(command)

    return meddle


def removed_after(terminal: MeddledTerminal, number: int) -> Meddle:
    """Return: the card does that command and leaves before its answer is read."""

    def meddle(this: int, command: bytes, transmit: Transmit) -> bytes:
        answer = transmit(command)
        if this == number:
            terminal.inner.remove()
            # Sent once more to get what a client meets then; without power nothing is done.
            return transmit(command)
        return answer

    return meddle


def mute_at(number: int) -> Meddle:
    """Return: the card does not answer the command of that number."""

    def meddle(this: int, command: bytes, transmit: Transmit) -> bytes:
        if this == number:
            raise CardMuteError("no answer")
        return transmit(command)

    return meddle


def each_answer(change: Callable[[bytes, bytes], bytes]) -> Meddle:
    """Return: the card's answers are what *change* makes of command and answer."""

    def meddle(this: int, command: bytes, transmit: Transmit) -> bytes:
        return change(command, transmit(command))

    return meddle


def sends_pin(command: bytes) -> bool:
    """Return whether *command* is a VERIFY that compares a PIN: without data it asks the tries."""
    return command[1] == VERIFY and len(command) > HEADER_BYTES


def verify_number(commands: Sequence[bytes]) -> int:
    """Return which of *commands*, counted from 1, sent the PIN."""
    (number,) = (n for n, command in enumerate(commands, 1) if sends_pin(command))
    return number
