"""What every way to a card offers: readers to look at, and a connection that carries APDUs."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderState:
    """One reader at one moment."""

    name: str
    present: bool
    """Whether a card is in it."""
    atr: bytes
    """The card's answer to reset; empty without a card."""
    events: int
    """The reader's count of insertions and removals: a fast swap shows here and nowhere else."""


class CardConnection(Protocol):
    """A powered card that answers raw APDUs.

    Every method may raise a :class:`cps.errors.TransportError`; a connection that raised one is
    not used again.
    """

    @property
    def atr(self) -> bytes:
        """Return the card's answer to reset, 2 to 33 bytes."""

    @property
    def t0(self) -> bool:
        """Return whether the protocol is T=0, where answer data must be fetched."""

    def transmit(self, command: bytes) -> bytes:
        """Return the raw answer, 2 to 258 bytes, to one raw command APDU."""

    def transaction(self, *, reset: bool) -> AbstractContextManager[None]:
        """Hold the card against other programs; at the end reset it if *reset*, else leave it."""

    def close(self) -> None:
        """Let the card go as it is; safe to call twice."""


class CardTerminal(Protocol):
    """The readers of this workstation.

    :raises cps.errors.NoServiceError: from each method, where PC/SC is not there.
    """

    def readers(self) -> Sequence[ReaderState]:
        """Return every reader, empty where there is none."""

    def wait(self, known: Sequence[ReaderState], timeout: float) -> Sequence[ReaderState]:
        """Return the readers once they differ from *known*, or after *timeout* seconds."""

    def connect(self, reader: str) -> CardConnection:
        """Power the card in the named reader and return the connection."""
