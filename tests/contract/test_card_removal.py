"""Cards pulled out or reset by another program, in process and through pcscd."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from cps.card.recognise import open_card
from cps.errors import CardRemovedError, CardResetError, NoCardError
from cps.pin import PIN
from cps.simulator.terminal import SoftwareTerminal
from cps.transport.connection import CardConnection, CardTerminal
from tests.contract.conftest import WAYS
from tests.support import cards
from tests.support.card_readers import Generation
from tests.support.pcsc import VirtualReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A reader of which the card can be pulled."""

    terminal: CardTerminal
    name: str
    remove: Callable[[], None]

    def connect(self) -> CardConnection:
        return self.terminal.connect(self.name)


@pytest.fixture(params=WAYS)
def seat(request: pytest.FixtureRequest, generation: Generation) -> Iterator[Seat]:
    """Give a reader with each kind of card in it, in each way."""
    card = generation.card()
    if request.param == "in process":
        software = SoftwareTerminal(card)
        yield Seat(terminal=software, name=software.readers()[0].name, remove=software.remove)
        return
    reader: VirtualReader = request.getfixturevalue("pcscd")
    # Only here: without pyscard there is no such module.
    from cps.transport.pcsc import PCSCTerminal

    with ExitStack() as stack:
        stack.enter_context(reader.holding(card))
        yield Seat(terminal=PCSCTerminal(), name=reader.name, remove=stack.close)


def present(seat: Seat) -> bool:
    return any(state.present for state in seat.terminal.readers() if state.name == seat.name)


def test_a_card_pulled_out_is_told_as_such_and_shown_as_gone(seat: Seat) -> None:
    connection = seat.connect()
    card = open_card(connection)
    assert present(seat)

    seat.remove()

    assert not present(seat)
    with pytest.raises(CardRemovedError):
        card.sign(PIN(bytearray(cards.PIN)), lambda certificate: b"message")
    card.close()
    with pytest.raises(NoCardError):
        seat.connect()


def test_a_reset_by_another_program_is_told_outside_a_transaction(
    seat: Seat, generation: Generation
) -> None:
    ours, other = seat.connect(), seat.connect()
    if isinstance(seat.terminal, SoftwareTerminal):
        seat.terminal.reset_by_another_program()
    else:
        with other.transaction(reset=True):
            other.transmit(generation.status)

    with pytest.raises(CardResetError):
        ours.transmit(generation.status)
    with ours.transaction(reset=False):
        assert ours.transmit(generation.status) == generation.unverified
    for connection in (ours, other):
        connection.close()
