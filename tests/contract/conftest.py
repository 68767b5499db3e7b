"""The ways to a card that the card suite runs on."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cps.simulator.terminal import SoftwareTerminal
from tests.support import cards
from tests.support.card_readers import GENERATIONS, CardReader, ChangingCard, Generation
from tests.support.pcsc import VirtualReader

WAYS = ["in process", pytest.param("through pcscd", marks=pytest.mark.pcscd)]


@pytest.fixture(scope="module")
def card_in_reader(pcscd: VirtualReader) -> Iterator[ChangingCard]:
    """Give a card that stays in the virtual reader for a whole module."""
    card = ChangingCard(cards.image())
    with pcscd.holding(card):
        yield card


@pytest.fixture(params=WAYS)
def card_reader(request: pytest.FixtureRequest) -> Iterator[CardReader]:
    """Give each way to a card in turn."""
    if request.param == "in process":
        card = ChangingCard(cards.image())
        terminal = SoftwareTerminal(card)
        reader = CardReader(terminal, terminal.readers()[0].name, card)
    else:
        reader = _through_pcscd(request)
    try:
        yield reader
    finally:
        reader.close()


def _through_pcscd(request: pytest.FixtureRequest) -> CardReader:
    virtual_reader: VirtualReader = request.getfixturevalue("pcscd")
    card: ChangingCard = request.getfixturevalue("card_in_reader")
    # Only here: without pyscard there is no such module.
    from cps.transport.pcsc import PCSCTerminal

    return CardReader(PCSCTerminal(), virtual_reader.name, card)


@pytest.fixture(scope="module", params=GENERATIONS, ids=lambda generation: str(generation.name))
def generation(request: pytest.FixtureRequest) -> Generation:
    """Give each kind of card in turn."""
    kind: Generation = request.param
    return kind


@pytest.fixture(scope="module", params=WAYS)
def any_seat(request: pytest.FixtureRequest, generation: Generation) -> Iterator[CardReader]:
    """Give each way to each kind of card, which stays in its reader."""
    card = generation.card()
    if request.param == "in process":
        software = SoftwareTerminal(card)
        yield CardReader(software, software.readers()[0].name, card)
        return
    reader: VirtualReader = request.getfixturevalue("pcscd")
    # Only here: without pyscard there is no such module.
    from cps.transport.pcsc import PCSCTerminal

    with ExitStack() as stack:
        stack.enter_context(reader.holding(card))
        yield CardReader(PCSCTerminal(), reader.name, card)


@pytest.fixture
def any_card_reader(any_seat: CardReader) -> Iterator[CardReader]:
    """Give each way to each kind of card; what a test connects is closed behind it."""
    try:
        yield any_seat
    finally:
        any_seat.close()
