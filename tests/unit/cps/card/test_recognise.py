"""Which card is opened, and why another one is not."""

import pytest

from cps.atr import CPS3_CONTACTLESS_ATR, CPS4_ATR
from cps.card.recognise import open_card
from cps.errors import (
    CardContactlessError,
    CardDataError,
    CardError,
    CardRemovedError,
    CardUnsupportedError,
)
from cps.transport.replay import ReplayConnection
from tests.unit.cps.card import dialogue


def test_a_cps3_is_opened_by_its_serial_number() -> None:
    connection = ReplayConnection(dialogue.opening())
    card = open_card(connection)
    assert (card.serial, card.interface, card.atr) == ("99213845", "contact", connection.atr)
    card.close()


def test_a_cps3_of_another_mask_version_is_opened() -> None:
    atr = bytes.fromhex("3BAC00402A001225006480820212009000")
    open_card(ReplayConnection(dialogue.opening(), atr=atr)).close()


@pytest.mark.parametrize(
    ("atr", "error"),
    [
        pytest.param(CPS3_CONTACTLESS_ATR, CardContactlessError, id="CPS3 contactless"),
        pytest.param(CPS4_ATR, CardUnsupportedError, id="CPS4"),
        pytest.param(
            bytes.fromhex("3BDC18FF00001225006480000401009000"),
            CardUnsupportedError,
            id="CPS4 that the mask of the CPS3 fits",
        ),
        pytest.param(bytes.fromhex("3B6700000073200076"), CardUnsupportedError, id="a bank card"),
        pytest.param(b"", CardUnsupportedError, id="no answer to reset"),
    ],
)
def test_another_card_is_refused_before_anything_is_sent(
    atr: bytes, error: type[CardUnsupportedError]
) -> None:
    connection = ReplayConnection("", atr=atr)
    with pytest.raises(CardUnsupportedError) as caught:
        open_card(connection)
    assert type(caught.value) is error
    assert caught.value.atr == atr
    connection.close()


SELECT_SN = dialogue.select("3F00D003")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param(
            SELECT_SN.replace("90 00", "6A 82") + "end leave",
            CardUnsupportedError,
            id="a card without serial number",
        ),
        pytest.param(
            SELECT_SN + "> 00 B0 00 00 0C\n< 5A 0A 80 25 00 00 02 99 21 38 45 0F 90 00\nend leave",
            CardUnsupportedError,
            id="a card of another issuer",
        ),
        pytest.param(
            SELECT_SN + "> 00 B0 00 00 0C\n< 5A 7F 90 00\nend leave",
            CardDataError,
            id="a serial number of another form",
        ),
        pytest.param(SELECT_SN.replace("< 90 00", "! removed"), CardRemovedError, id="removed"),
    ],
)
def test_a_card_that_only_looks_like_one_is_refused(script: str, error: type[CardError]) -> None:
    connection = ReplayConnection(f"begin\n{script}")
    with pytest.raises(CardError) as caught:
        open_card(connection)
    assert type(caught.value) is error
    connection.close()
