"""One card suite, two ways to the card: in this process, and through pcscd."""

from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.transport.connection import CardConnection, CardTerminal


class ChangingCard(SoftwareCard):
    """A card that becomes another without leaving the reader, which would take a second."""

    def become(self, image: CardImage) -> None:
        """Be the card of *image* from now on, just powered."""
        super().__init__(image, contactless=not self.t0)
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
        for connection in self._connections:
            connection.close()
