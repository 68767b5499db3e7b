"""The serial number, and the way back from wherever another program left the card."""

import pytest

from cps.card.files import MF, parsed, read_serial, select_file
from cps.errors import CardDataError, CardRefusedError
from cps.iso7816.channel import Channel
from cps.transport.replay import ReplayConnection

SELECT_SN = "> 00 A4 09 0C 04 3F 00 D0 03\n"
READ_SN = SELECT_SN + "< 90 00\n> 00 B0 00 00 0C\n"
SELECT_MF = "> 00 A4 09 0C 02 3F 00\n"
SELECT_ROOT = "> 00 A4 04 0C 08 80 25 00 00 01 FF 01 00\n"


def serial(script: str) -> str | None:
    card = ReplayConnection(script)
    result = read_serial(Channel(card))
    card.close()
    return result


def test_the_serial_number_of_a_real_card() -> None:
    assert serial(READ_SN + "< 5A 0A 80 25 00 00 01 99 21 38 45 0F 90 00") == "99213845"


def test_leading_zeros_are_kept() -> None:
    assert serial(READ_SN + "< 5A 0A 80 25 00 00 01 00 00 00 01 0F 90 00") == "00000001"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            READ_SN + "< 5A 0A 80 25 00 00 02 99 21 38 45 0F 90 00", id="of another issuer"
        ),
        pytest.param(SELECT_SN + "< 6A 82", id="without serial number"),
    ],
)
def test_a_card_that_only_looks_alike_has_none(script: str) -> None:
    assert serial(script) is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("5A 0A 80 25 00 00 01 99 21 38 45", id="truncated"),
        pytest.param("5B 0A 80 25 00 00 01 99 21 38 45 0F", id="another tag"),
        pytest.param("5A 0B 80 25 00 00 01 99 21 38 45 0F", id="a length past the end"),
        pytest.param("5A 0A 80 25 00 00 01 99 2A 38 45 0F", id="no digits"),
    ],
)
def test_a_serial_number_of_another_form_is_refused(content: str) -> None:
    with pytest.raises(CardDataError, match=r"EF\.SN"):
        serial(READ_SN + f"< {content} 90 00")


def test_a_serial_number_that_may_not_be_read_is_refused() -> None:
    with pytest.raises(CardRefusedError, match="READ BINARY"):
        serial(READ_SN + "< 69 82")


@pytest.mark.parametrize("sw", ["6E 00", "6A 86"])
def test_a_card_left_in_another_application_is_brought_back(sw: str) -> None:
    card = ReplayConnection(
        SELECT_MF + f"< {sw}\n" + SELECT_ROOT + "< 90 00\n" + SELECT_MF + "< 90 00"
    )
    select_file(Channel(card), MF)
    card.close()


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("< 6A 82", id="no root application"),
        pytest.param("< 90 00\n" + SELECT_MF + "< 6E 00", id="root application without file"),
    ],
)
def test_a_card_is_brought_back_once(rest: str) -> None:
    card = ReplayConnection(SELECT_MF + "< 6E 00\n" + SELECT_ROOT + rest)
    with pytest.raises(CardRefusedError):
        select_file(Channel(card), MF)
    card.close()


@pytest.mark.parametrize("sw", ["6A 82", "69 82", "6D 00"])
def test_another_refusal_brings_nothing_back(sw: str) -> None:
    card = ReplayConnection(SELECT_MF + f"< {sw}")
    with pytest.raises(CardRefusedError):
        select_file(Channel(card), MF)
    card.close()


def test_what_a_decoder_does_not_understand_is_the_cards_fault() -> None:
    assert parsed("a number", b"7", int) == 7
    with pytest.raises(CardDataError, match=r"a number: .*x"):
        parsed("a number", b"x", int)
