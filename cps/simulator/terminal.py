"""A reader in this process, with a software card that can be put in and pulled out."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Condition, RLock

from cps.errors import CardRemovedError, CardResetError, NoCardError, NoReaderError
from cps.simulator.card import Card

# The shape in which clients expect a reader, and no more: the simulator shares no logic with them.
from cps.transport.connection import ReaderState


class SoftwareTerminal:
    """One reader; the card is in it from the beginning.

    Any thread may use it: commands wait for each other as by PC/SC, and removal waits for nobody.
    """

    def __init__(self, card: Card, *, name: str = "Software reader") -> None:
        self._card = card
        self._name = name
        self._changed = Condition(RLock())
        self._exclusive = RLock()
        self._present = False
        self._running = False
        self._events = 0
        self._resets = 0
        self.insert()

    def insert(self) -> None:
        """Put the card in; it has power from then on."""
        with self._changed:
            if not self._present:
                self._change(present=True)
                self._put_power()

    def remove(self) -> None:
        """Pull the card out, in the middle of whatever it does."""
        with self._changed:
            if self._present:
                self._change(present=False)
                self._put_power()

    def reset_by_another_program(self) -> None:
        """Reset the card as some other program may: connections learn it at their next command."""
        with self._changed:
            if self._present:
                self._resets += 1
                self._put_power()

    def readers(self) -> Sequence[ReaderState]:
        """Return the one reader."""
        with self._changed:
            return [
                ReaderState(
                    name=self._name,
                    present=self._present,
                    atr=self._card.atr if self._present else b"",
                    events=self._events,
                )
            ]

    def wait(self, known: Sequence[ReaderState], timeout: float) -> Sequence[ReaderState]:
        """Return the reader once it differs from *known*, or after *timeout* seconds."""
        with self._changed:
            self._changed.wait_for(lambda: list(self.readers()) != list(known), timeout)
            return self.readers()

    def connect(self, reader: str) -> "SoftwareConnection":
        """Return a connection to the card.

        :raises NoReaderError: for another reader's name.
        :raises NoCardError: where the card is out.
        """
        if reader != self._name:
            raise NoReaderError(f"no reader {reader!r}")
        with self._changed:
            if not self._present:
                raise NoCardError(f"no card in {reader!r}")
            return SoftwareConnection(self)

    def _run(self, command: bytes) -> bytes:
        """Return the card's answer; what happens to the card meanwhile, it learns at the end."""
        with self._changed:
            before = (self._events, self._resets)
            self._running = True
        try:
            return self._card.execute(command)
        except CardRemovedError:
            self.remove()
            raise
        except CardResetError:
            self.reset_by_another_program()
            raise
        finally:
            with self._changed:
                self._running = False
                if before != (self._events, self._resets):
                    self._put_power()

    def _put_power(self) -> None:
        """Give the card the power that it should have, anew, unless it is at work."""
        if self._running:
            return
        if self._present:
            self._card.power_on()
        else:
            self._card.power_off()

    def _change(self, *, present: bool) -> None:
        self._present = present
        self._events += 1
        self._changed.notify_all()


class SoftwareConnection:
    """A connection to the card that is in a :class:`SoftwareTerminal`."""

    def __init__(self, terminal: SoftwareTerminal) -> None:
        self._terminal = terminal
        self._events = terminal._events
        self._resets = terminal._resets

    @property
    def atr(self) -> bytes:
        """Return the card's answer to reset."""
        return self._terminal._card.atr

    @property
    def t0(self) -> bool:
        """Return whether the protocol is T=0."""
        return self._terminal._card.t0

    def transmit(self, command: bytes) -> bytes:
        """Return the raw answer to one raw command.

        :raises CardRemovedError: where the card was pulled out, even if it is back.
        :raises CardResetError: where another program reset it.
        """
        with self._terminal._exclusive:
            self._require_same_card()
            answer = self._terminal._run(command)
            self._require_same_card()
            return answer

    def transaction(self, *, reset: bool) -> AbstractContextManager[None]:
        """Hold the card against other connections; at the end reset it if *reset*.

        As by PC/SC, a reset before it began is no error: nothing of the card's state is relied on.
        """
        return self._transaction(reset)

    def close(self) -> None:
        """Leave the card as it is."""

    @contextmanager
    def _transaction(self, reset: bool) -> Iterator[None]:
        with self._terminal._exclusive:
            with self._terminal._changed:
                self._resets = self._terminal._resets
                self._require_same_card()
            try:
                yield
            finally:
                with self._terminal._changed:
                    if reset and self._events == self._terminal._events:
                        self._terminal._card.reset()

    def _require_same_card(self) -> None:
        with self._terminal._changed:
            if self._events != self._terminal._events:
                raise CardRemovedError("the card was removed")
            if self._resets != self._terminal._resets:
                raise CardResetError("another program reset the card")
