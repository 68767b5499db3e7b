"""The one CPS card of this workstation: waited for, chosen among the readers, opened."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from cps.agent.progress import Progress, Stage
from cps.atr import CardType, recognise
from cps.card.card import CPSCard
from cps.errors import (
    CardContactlessError,
    CardError,
    CardResetError,
    CardUnsupportedError,
    NoCardError,
    NoReaderError,
    PINCancelledError,
)
from cps.transport.connection import CardConnection, CardTerminal, ReaderState

LOOK_SECONDS = 0.5
"""How often a sign-in that waits for a card asks whether it is still wanted."""
_LOG = logging.getLogger(__name__)


class CardFinder:
    """Finds and opens the card of each sign-in.

    :param terminal: the readers.
    :param open_card: recognises the card behind a connection; it may be given the serial number of
        one that was read there before and did not leave the reader since.
    :param clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        terminal: CardTerminal,
        open_card: Callable[[CardConnection, str | None], CPSCard],
        clock: Callable[[], float],
    ) -> None:
        self._terminal = terminal
        self._open_card = open_card
        self._clock = clock
        self._last: tuple[ReaderState, str] | None = None
        """The last card that signed: its reader as it was then, and its serial number."""

    @contextmanager
    def opened(self, progress: Progress, ends_at: float) -> Iterator[tuple[CPSCard, ReaderState]]:
        """Open the card; with it comes its reader as it was before, to tell a swap by.

        :param ends_at: when the clock says that, nobody waits for a card any longer.
        :raises CardError: where there is no card of use.
        """
        card, place = self._open(progress, ends_at)
        try:
            yield card, place
        finally:
            card.close()

    def remember(self, card: CPSCard, place: ReaderState) -> None:
        """Take *card* for the same one the next time, unless it leaves its reader before."""
        self._last = place, card.serial

    def holds(self, place: ReaderState) -> bool:
        """Return whether the reader is as it was: the same card, never taken out."""
        try:
            return place in self._terminal.readers()
        except CardError:
            return False

    def _open(self, progress: Progress, ends_at: float) -> tuple[CPSCard, ReaderState]:
        """Return the card, opened once more where another program reset it meanwhile."""
        try:
            return self._connect(self._await_card(progress, ends_at))
        except CardResetError:
            _LOG.info("another program reset the card; it is opened once more")
            return self._connect(self._await_card(progress, ends_at))

    def _connect(self, place: ReaderState) -> tuple[CPSCard, ReaderState]:
        """Return the card in the reader, with all that is to be read of it."""
        # Only a card that signs is taken for the same one the next time.
        serial, self._last = self._known_serial(place), None
        with ExitStack() as failed:
            connection = self._terminal.connect(place.name)
            failed.callback(connection.close)
            card = self._open_card(connection, serial)
            failed.callback(card.close)
            card.authentication_certificate()
            failed.pop_all()
            return card, place

    def _known_serial(self, place: ReaderState) -> str | None:
        """Return the serial number of the card in the reader, if it did not leave it since.

        The reader's count of events tells, where it counts: on some systems it does not.
        """
        if self._last is None or place.events == 0 or self._last[0] != place:
            return None
        return self._last[1]

    def _await_card(self, progress: Progress, ends_at: float) -> ReaderState:
        """Return the reader that holds the one CPS card, waiting for it to come."""
        readers = self._terminal.readers()
        while True:
            choice = choose_reader(readers)
            if isinstance(choice, ReaderState):
                progress.show(Stage.WORKING)
                return choice
            stage, error = choice
            progress.show(stage)
            if self._clock() >= ends_at:
                raise error
            if not progress.wanted():
                raise PINCancelledError("nobody waits for the sign-in any more")
            readers = self._terminal.wait(readers, LOOK_SECONDS)


def choose_reader(readers: Sequence[ReaderState]) -> ReaderState | tuple[Stage, CardError]:
    """Return the reader that holds the one CPS card, else what is missing.

    A card of another kind is no error while a slot is free: many readers hold the patient's card
    in a second slot.

    :returns: the reader, or what to wait for and the error once nobody waits any longer.
    :raises CardContactlessError: for a CPS that lies on a contactless reader.
    :raises CardUnsupportedError: for another card, where there is no free slot for the right one.
    """
    if not readers:
        return Stage.READER, NoReaderError("no reader")
    present = [state for state in readers if state.present]
    kinds = {state.name: recognise(state.atr) for state in present}
    contactless = [state for state in present if kinds[state.name] is CardType.CPS3_CONTACTLESS]
    contact = [state for state in present if kinds[state.name] and state not in contactless]
    if len(contact) == 1:
        return contact[0]
    if contact:
        return Stage.CARDS, NoCardError("several CPS cards")
    if contactless:
        raise CardContactlessError(contactless[0].atr)
    if present and len(present) == len(readers):
        raise CardUnsupportedError(present[0].atr)
    return Stage.CARD, NoCardError("no CPS card in a reader")
