"""Which card is opened, and why another one is not."""

import pytest

from cps.atr import CPS3_CONTACTLESS_ATR, CPS4_ATR, CPS4_T0_ATR
from cps.card.recognise import open_card
from cps.errors import (
    CardContactlessError,
    CardDataError,
    CardError,
    CardRemovedError,
    CardUnsupportedError,
)
from cps.transport.replay import ReplayConnection
from tests.unit.cps.card import dialogue, dialogue4


def test_a_cps3_is_opened_by_its_serial_number() -> None:
    connection = ReplayConnection(dialogue.opening())
    card = open_card(connection)
    assert (card.serial, card.interface, card.atr) == ("99213845", "contact", connection.atr)
    card.close()


@pytest.mark.parametrize(
    ("atr", "t0"),
    [
        pytest.param(CPS4_ATR, False, id="on T=1"),
        pytest.param(CPS4_ATR, True, id="on T=0"),
        pytest.param(
            bytes.fromhex("3B9B188001001225006480000401009044"), False, id="release candidate"
        ),
        pytest.param(CPS4_T0_ATR, True, id="that the mask of the CPS3 fits"),
    ],
)
def test_a_cps4_is_opened_by_its_application_and_its_serial_number(atr: bytes, t0: bool) -> None:
    card = open_card(ReplayConnection(dialogue4.opening(), atr=atr, t0=t0))
    assert (card.serial, card.interface, card.atr) == ("99213845", "contact", atr)
    card.close()


def test_a_cps3_of_another_mask_version_is_opened() -> None:
    atr = bytes.fromhex("3BAC00402A001225006480820212009000")
    open_card(ReplayConnection(dialogue.opening(), atr=atr)).close()


@pytest.mark.parametrize(
    ("atr", "error"),
    [
        pytest.param(CPS3_CONTACTLESS_ATR, CardContactlessError, id="CPS3 contactless"),
        pytest.param(
            bytes.fromhex("3B9B188001001225006480040200009044"),
            CardUnsupportedError,
            id="a CPS4 of another version",
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


READ_SN = "> 00 B0 9C 00 0C\n"
SELECT_SN = dialogue.select("3F00D003")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param(
            READ_SN + "< 6A 82\n" + SELECT_SN.replace("90 00", "6A 82") + "end leave",
            CardUnsupportedError,
            id="a card without serial number",
        ),
        pytest.param(
            READ_SN + "< 5A 0A 80 25 00 00 02 99 21 38 45 0F 90 00\nend leave",
            CardUnsupportedError,
            id="a card of another issuer",
        ),
        pytest.param(
            READ_SN + "< 6A 82\n" + SELECT_SN + "> 00 B0 00 00 0C\n< 5A 7F 90 00\nend leave",
            CardDataError,
            id="a serial number of another form",
        ),
        pytest.param(READ_SN + "! removed", CardRemovedError, id="removed"),
    ],
)
def test_a_card_that_only_looks_like_one_is_refused(script: str, error: type[CardError]) -> None:
    connection = ReplayConnection(f"begin\n{script}")
    with pytest.raises(CardError) as caught:
        open_card(connection)
    assert type(caught.value) is error
    connection.close()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param(
            dialogue4.application()
            + dialogue4.select("3F00D003").replace("90 00", "6A 82")
            + "end leave",
            CardUnsupportedError,
            id="a card without serial number",
        ),
        pytest.param(
            dialogue4.application()
            + dialogue4.serial().replace("80 25 00 00 01", "80 25 00 00 02")
            + "end leave",
            CardUnsupportedError,
            id="a card of another issuer",
        ),
        pytest.param(
            dialogue4.application().replace("< 90 00", "! removed"), CardRemovedError, id="removed"
        ),
    ],
)
def test_a_card_that_only_looks_like_a_cps4_is_refused(script: str, error: type[CardError]) -> None:
    connection = dialogue4.connection(f"begin\n{script}")
    with pytest.raises(CardError) as caught:
        open_card(connection)
    assert type(caught.value) is error
    connection.close()
