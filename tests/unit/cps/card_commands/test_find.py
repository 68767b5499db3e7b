"""Which reader is meant."""

import pytest

from cps.atr import CPS3_CONTACT_ATR, CPS3_CONTACTLESS_ATR, CPS4_ATR
from cps.card_commands.find import choose_reader, cps_readers, kind_of
from cps.card_commands.surroundings import ToolError
from cps.errors import CardContactlessError, CardUnsupportedError, NoCardError, NoReaderError
from cps.transport.connection import ReaderState


def reader(name: str, atr: bytes = b"") -> ReaderState:
    return ReaderState(name=name, present=bool(atr), atr=atr, events=1)


CPS3, CPS4 = reader("Gemalto 00", CPS3_CONTACT_ATR), reader("Ingenico 01", CPS4_ATR)
RADIO = reader("Omnikey CL", CPS3_CONTACTLESS_ATR)
FOREIGN, EMPTY = reader("Kiosk", b"\x3b\x00"), reader("Spare")


@pytest.mark.parametrize(
    ("readers", "wanted", "found"),
    [
        pytest.param([EMPTY, CPS3], None, CPS3, id="the one with a card"),
        pytest.param([FOREIGN, CPS4], None, CPS4, id="the one with a CPS"),
        pytest.param([RADIO, CPS3], None, CPS3, id="the one with contact"),
        pytest.param([CPS3, CPS4], "Ingenico 01", CPS4, id="by name"),
        pytest.param([CPS3, CPS4], "gema", CPS3, id="by a part of the name"),
        pytest.param([CPS3, reader("Gemalto 00 more", CPS4_ATR)], "Gemalto 00", CPS3, id="exactly"),
    ],
)
def test_the_reader_that_is_meant_is_found(
    readers: list[ReaderState], wanted: str | None, found: ReaderState
) -> None:
    assert choose_reader(readers, wanted) is found


@pytest.mark.parametrize(
    ("readers", "wanted", "error"),
    [
        pytest.param([], None, NoReaderError, id="no reader"),
        pytest.param([], "Gemalto", NoReaderError, id="no reader of any name"),
        pytest.param([EMPTY], None, NoCardError, id="no card"),
        pytest.param([EMPTY, CPS3], "Spare", NoCardError, id="no card in that one"),
        pytest.param([FOREIGN], None, CardUnsupportedError, id="another card"),
        pytest.param([FOREIGN, CPS3], "Kiosk", CardUnsupportedError, id="another card there"),
        pytest.param([FOREIGN, RADIO], None, CardContactlessError, id="without contact"),
        pytest.param([CPS3, CPS4], None, ToolError, id="two of them"),
        pytest.param([CPS3], "Ingenico", ToolError, id="a name of none"),
        pytest.param([CPS3, CPS4], "o 0", ToolError, id="a part of both names"),
    ],
)
def test_what_is_in_the_way_is_said(
    readers: list[ReaderState], wanted: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        choose_reader(readers, wanted)
    assert type(caught.value) is error


def test_the_choice_is_told_where_it_must_be_made() -> None:
    with pytest.raises(ToolError) as caught:
        choose_reader([CPS3, EMPTY, CPS4], None)
    assert "Gemalto 00, Ingenico 01" in caught.value.sentence("fr")


def test_cps_cards_are_those_by_contact() -> None:
    assert cps_readers([CPS3, EMPTY, FOREIGN, RADIO, CPS4]) == [CPS3, CPS4]


def test_kinds_have_names() -> None:
    assert [kind_of(state) for state in (CPS3, CPS4, RADIO, FOREIGN)] == [
        "cps3",
        "cps4",
        "cps3-contactless",
        "other",
    ]
