"""One card suite, two ways to the card: in this process, and through pcscd."""

from collections.abc import Callable
from dataclasses import dataclass

from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.transport.connection import CardConnection, CardTerminal
from tests.support import cards


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A kind of card, and how it is spoken to."""

    name: str
    image: Callable[..., CardImage]
    """Makes a card; takes the arguments of :func:`tests.support.cards.image`."""
    t0: bool
    status: bytes
    """The command that asks for the tries left."""
    unverified: bytes
    """What is answered to it after a reset: the tries, or that the channel is closed."""

    def card(self) -> "ChangingCard":
        """Return a new card of this kind."""
        return ChangingCard(self.image(), t0=self.t0)


GENERATIONS = (
    Generation(
        name="CPS3",
        image=cards.image,
        t0=True,
        status=bytes.fromhex("00 20 00 01 00"),
        unverified=b"\x63\xc3",
    ),
    Generation(
        name="CPS4 on T=1",
        image=cards.cps4_image,
        t0=False,
        status=bytes.fromhex("01 20 00 01"),
        unverified=b"\x68\x81",
    ),
    Generation(
        name="CPS4 on T=0",
        image=cards.cps4_image,
        t0=True,
        status=bytes.fromhex("01 20 00 01 00"),
        unverified=b"\x68\x81",
    ),
)


class ChangingCard(SoftwareCard):
    """A card that becomes another without leaving the reader, which would take a second."""

    def become(self, image: CardImage) -> None:
        """Be the card of *image* from now on, just powered."""
        super().__init__(image, contactless=self._contactless, t0=self._t0)
        self.power_on()


class CardReader:
    """A reader with a changing card, and the way to it."""

    def __init__(self, terminal: CardTerminal, name: str, card: ChangingCard) -> None:
        self._terminal = terminal
        self._name = name
        self._card = card
        self._connections: list[CardConnection] = []

    def connect(self, image: CardImage) -> CardConnection:
        """Return a connection to a card that is *image*; :meth:`close` closes it."""
        self._card.become(image)
        connection = self._terminal.connect(self._name)
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Close all connections."""
        while self._connections:
            self._connections.pop().close()
