"""One process that holds a card in the virtual reader, and takes it out or swaps it when told."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cps.errors import CardBusyError, CardError
from cps.simulator.card import Card
from cps.simulator.image import CardImage
from cps.simulator.vpcd import VPCDReader
from cps.virtual.control import ANSWER_SECONDS, ControlSocket, ask
from cps.virtual.errors import VirtualCardError
from cps.virtual.store import VirtualCards

SWAP_SECONDS = 1.5
"""pcscd looks for the card twice a second: a faster swap it would not see."""

STATUS, REMOVE, SWAP = "status", "remove", "swap"


@dataclass(slots=True, kw_only=True)
class _Seat:
    """A card on its way into the reader, in it, or out again."""

    name: str
    image: CardImage
    reader: VPCDReader
    inserted: bool = False
    settled: threading.Event = field(default_factory=threading.Event)
    """Set once the card is inserted, or never will be."""


class Insertion:
    """A card in the virtual reader, until :meth:`stop` or a word from another process.

    :param make: makes a card of an image; raises ValueError where it cannot.
    :param say: receives ``inserted NAME`` and ``removed NAME``.
    """

    def __init__(
        self,
        cards: VirtualCards,
        *,
        port: int,
        make: Callable[[CardImage], Card],
        say: Callable[[str], None],
    ) -> None:
        self._cards = cards
        self._port = port
        self._make = make
        self._say = say
        # Held for moments only, but also by a signal's handler in the midst of them.
        self._changing = threading.RLock()
        self._current: _Seat | None = None
        self._next: _Seat | None = None
        self._stopped = threading.Event()
        self._over = threading.Event()

    def run(self, name: str) -> None:
        """Insert the card *name*, and return when it, or the one it was swapped for, is removed.

        :raises VirtualCardError: where there is no such card, or it cannot be such a one.
        :raises CardBusyError: where another process runs it, or another card is in the reader.
        :raises NoServiceError: where no virtual reader listens, or it goes away.
        """
        home = self._cards.path(name).parent
        control = ControlSocket(home, self._port, self._answer)
        try:
            self._listen(control, home, name)
            self._next = self._opened(name)
            while (seat := self._take_next()) is not None:
                self._hold(seat)
        finally:
            self._stopped.set()
            if self._next is not None:
                self._give_up(self._next)
            self._over.set()
            control.close()

    def stop(self) -> None:
        """Make :meth:`run` end; any thread and any signal handler may call it."""
        self._stopped.set()
        with self._changing:
            if self._current is not None:
                self._current.reader.stop()

    def _listen(self, control: ControlSocket, home: Path, name: str) -> None:
        try:
            control.open()
        except CardBusyError as exc:
            other = ask(home, self._port, STATUS)
            raise CardBusyError(
                f"{other or 'another card'} is in the virtual reader: `cps virtual remove` "
                f"takes it out, `cps virtual swap {name}` puts this one in its place"
            ) from exc

    def _take_next(self) -> _Seat | None:
        with self._changing:
            if self._stopped.is_set():
                return None
            self._current, self._next = self._next, None
            return self._current

    def _hold(self, seat: _Seat) -> None:
        """Hold one card in the reader until it is removed."""

        def inserted() -> None:
            seat.inserted = True
            seat.settled.set()
            self._say(f"inserted {seat.name}")

        try:
            seat.reader.run(inserted)
        finally:
            self._give_up(seat)
        self._say(f"removed {seat.name}")
        if self._next is not None:
            self._stopped.wait(SWAP_SECONDS)

    def _answer(self, words: list[str]) -> str:
        """Do what another process asks for, and return what it is told."""
        match words:
            case ["status"]:
                return self._current_name()
            case ["remove"]:
                name = self._current_name()
                self.stop()
                if not self._over.wait(ANSWER_SECONDS):
                    raise VirtualCardError(f"{name} does not leave the reader")
                return name
            case ["swap", name]:
                return self._swap(name)
            case _:
                raise VirtualCardError("nothing is known by that word")

    def _swap(self, name: str) -> str:
        if name == self._current_name():
            raise VirtualCardError(f"{name} is in the virtual reader already")
        try:
            seat = self._opened(name)
        except CardError as exc:
            raise VirtualCardError(str(exc)) from exc
        with self._changing:
            leaving = self._current
            if self._stopped.is_set() or leaving is None:
                self._give_up(seat)
                raise VirtualCardError("the card is about to leave the reader")
            self._next = seat
            leaving.reader.stop()
        seat.settled.wait(ANSWER_SECONDS)
        if not seat.inserted:
            raise VirtualCardError(f"{leaving.name} was removed, {name} could not be inserted")
        return leaving.name

    def _current_name(self) -> str:
        with self._changing:
            if self._current is None:
                raise VirtualCardError("no card is in the reader yet")
            return self._current.name

    def _opened(self, name: str) -> _Seat:
        image = CardImage.open(self._cards.path(name))
        try:
            card = self._make(image)
        except ValueError as exc:
            image.close()
            raise VirtualCardError(f"{name}: {exc}") from exc
        return _Seat(name=name, image=image, reader=VPCDReader(card, port=self._port))

    def _give_up(self, seat: _Seat) -> None:
        seat.image.close()
        seat.settled.set()
