"""Which of the readers holds the one CPS card; the waiting is tested with the whole sign-in."""

import pytest

from cps.agent.card_finder import choose_reader
from cps.agent.progress import Stage
from cps.atr import CPS3_CONTACT_ATR, CPS3_CONTACTLESS_ATR, CPS4_ATR
from cps.errors import CardContactlessError, CardUnsupportedError
from cps.transport.connection import ReaderState
from tests.unit.cps.agent.fakes import reader

VITALE_ATR = bytes.fromhex("3B7513000043090EA09000")


@pytest.mark.parametrize(
    ("readers", "choice"),
    [
        pytest.param([reader("a", CPS3_CONTACT_ATR)], "a", id="cps3"),
        pytest.param([reader("a"), reader("b", CPS4_ATR)], "b", id="cps4-second-reader"),
        pytest.param(
            [reader("a", VITALE_ATR), reader("b", CPS3_CONTACT_ATR)], "b", id="beside-another-card"
        ),
        pytest.param(
            [reader("a", CPS3_CONTACTLESS_ATR), reader("b", CPS3_CONTACT_ATR)],
            "b",
            id="both-interfaces",
        ),
    ],
)
def test_the_one_cps_card_is_chosen(readers: list[ReaderState], choice: str) -> None:
    chosen = choose_reader(readers)
    assert isinstance(chosen, ReaderState)
    assert chosen.name == choice


def test_a_patients_card_beside_a_free_slot_is_no_error() -> None:
    choice = choose_reader([reader("a", VITALE_ATR), reader("b")])
    assert isinstance(choice, tuple)
    assert choice[0] is Stage.CARD


def test_a_foreign_card_in_the_only_slot_is_said_at_once() -> None:
    with pytest.raises(CardUnsupportedError) as caught:
        choose_reader([reader("a", VITALE_ATR)])
    assert not isinstance(caught.value, CardContactlessError)


def test_a_card_on_a_contactless_reader_is_said_at_once() -> None:
    with pytest.raises(CardContactlessError):
        choose_reader([reader("a", CPS3_CONTACTLESS_ATR), reader("b")])
