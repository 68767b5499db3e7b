"""From a powered card to one that is known: by its answer to reset, then by its serial number."""

from cps.atr import CardType, recognise
from cps.card.card import CPSCard
from cps.card.files import read_serial
from cps.card.ias import IASCard
from cps.errors import CardContactlessError, CardUnsupportedError
from cps.iso7816.channel import Channel
from cps.transport.connection import CardConnection


def open_card(connection: CardConnection, *, reset: bool = True) -> CPSCard:
    """Return the CPS card behind *connection*.

    :param connection: the card's to close from now on; where this raises, still the caller's.
    :param reset: whether the card is reset after each signature; see :class:`IASCard`.
    :raises CardContactlessError: for a CPS without its contacts, which has no PIN: nothing is sent.
    :raises CardUnsupportedError: for any other card than a CPS3, also one that only looks like it.
    :raises CardError: where the serial number cannot be read.
    """
    kind = recognise(connection.atr)
    if kind is CardType.CPS3_CONTACTLESS:
        raise CardContactlessError(connection.atr)
    if kind is not CardType.CPS3:
        raise CardUnsupportedError(connection.atr)
    with connection.transaction(reset=False):
        serial = read_serial(Channel(connection))
    if serial is None:
        raise CardUnsupportedError(connection.atr)
    return IASCard(connection, serial, reset=reset)
