"""From a powered card to one that is known: by its answer to reset, then by its serial number."""

from cps.atr import CardType, recognise
from cps.card.applet import Applet
from cps.card.cache import CardCache
from cps.card.chipdoc import ChipDocApplet
from cps.card.contact import ContactCard
from cps.card.files import serial_number
from cps.card.ias import IASApplet
from cps.errors import CardContactlessError, CardUnsupportedError
from cps.transport.connection import CardConnection


def open_card(
    connection: CardConnection,
    known_serial: str | None = None,
    *,
    reset: bool = True,
    cache: CardCache | None = None,
) -> ContactCard:
    """Return the CPS card behind *connection*, a :class:`cps.card.card.CPSCard`.

    :param connection: the card's to close from now on; where this raises, still the caller's.
    :param known_serial: what a card told that did not leave the reader since; it is not asked again
        unless something does not fit.
    :param reset: whether the card is reset after each signature; see :class:`ContactCard`.
    :param cache: where what is read of cards is kept, if it is.
    :raises CardContactlessError: for a CPS without its contacts, which has no PIN: nothing is sent.
    :raises CardUnsupportedError: for any other card, also one that only looks like a CPS.
    :raises CardError: where the serial number cannot be read.
    """
    applet = open_applet(connection)
    with connection.transaction(reset=False):
        applet.open()
        serial = known_serial or serial_number(applet.read_serial())
    if serial is None:
        raise CardUnsupportedError(connection.atr)
    return ContactCard(
        connection, applet, serial, saw_serial=known_serial is None, reset=reset, cache=cache
    )


def open_applet(connection: CardConnection) -> Applet:
    """Return the way to speak to the card behind *connection*; nothing is sent yet.

    :raises CardContactlessError: for a CPS without its contacts.
    :raises CardUnsupportedError: for any other card.
    """
    match recognise(connection.atr):
        case CardType.CPS3:
            return IASApplet(connection)
        case CardType.CPS4:
            return ChipDocApplet(connection)
        case CardType.CPS3_CONTACTLESS:
            raise CardContactlessError(connection.atr)
        case _:
            raise CardUnsupportedError(connection.atr)
