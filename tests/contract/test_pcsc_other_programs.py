"""Other programs at the same card, and a card swapped behind their back: real PC/SC only."""

import pytest

from cps.card.recognise import open_card
from cps.errors import CardBusyError, CardRemovedError
from cps.pin import PIN
from cps.simulator.chip import SoftwareCard
from cps.transport.connection import CardTerminal
from tests.support import cards
from tests.support.pcsc import VirtualReader

pytestmark = pytest.mark.pcscd

MESSAGE = b"message"


@pytest.fixture
def terminal(pcscd: VirtualReader) -> CardTerminal:
    """Give the readers of the running service."""
    assert pcscd.name
    # Only here: without pyscard there is no such module.
    from cps.transport.pcsc import PCSCTerminal

    return PCSCTerminal()


def same_message(certificate: bytes) -> bytes:
    return MESSAGE


def pin() -> PIN:
    return PIN(bytearray(cards.PIN))


def test_a_card_that_another_program_holds_is_busy_and_comes_back(
    pcscd: VirtualReader, terminal: CardTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cps.transport.pcsc.LOCK_SECONDS", 0.3)
    with pcscd.holding(SoftwareCard(cards.image())):
        other = terminal.connect(pcscd.name)
        card = open_card(terminal.connect(pcscd.name))
        with other.transaction(reset=False), pytest.raises(CardBusyError):
            card.sign(pin(), same_message)
        card.close()
        other.close()
        card = open_card(terminal.connect(pcscd.name))
        assert card.sign(pin(), same_message)
        card.close()


def test_a_reset_by_another_program_before_the_pin_harms_nothing(
    pcscd: VirtualReader, terminal: CardTerminal
) -> None:
    with pcscd.holding(SoftwareCard(cards.image())):
        other = terminal.connect(pcscd.name)
        card = open_card(terminal.connect(pcscd.name))
        card.authentication_certificate()
        with other.transaction(reset=True):
            pass
        assert card.sign(pin(), same_message)
        card.close()
        other.close()


def test_a_reset_by_another_program_does_not_hide_a_swap(
    pcscd: VirtualReader, terminal: CardTerminal
) -> None:
    with pcscd.holding(SoftwareCard(cards.image())):
        card = open_card(terminal.connect(pcscd.name))
        card.authentication_certificate()
    second = SoftwareCard(cards.image(serial="28000002"))
    with pcscd.holding(second):
        other = terminal.connect(pcscd.name)
        with other.transaction(reset=True):
            pass
        with pytest.raises(CardRemovedError):
            card.sign(pin(), same_message)
        # The PIN of the first card was not tried on the second.
        new = open_card(other)
        assert new.serial == "28000002"
        assert new.tries_left() == 3
        new.close()
    card.close()
