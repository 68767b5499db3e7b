"""Which answers to reset are CPS cards, and which only look alike."""

import pytest

from cps.atr import (
    CPS3_CONTACT_ATR,
    CPS3_CONTACTLESS_ATR,
    CPS4_ATR,
    KNOWN_ATRS,
    CardType,
    recognise,
)


@pytest.mark.parametrize(
    ("atr", "card"),
    [
        pytest.param("3BAC00402A001225006480000310009000", CardType.CPS3, id="CPS3"),
        pytest.param("3BAC00402A001225006480820212009000", CardType.CPS3, id="older mask version"),
        pytest.param(
            "3B8F80010031B86404B0ECC1739401808290000E", CardType.CPS3_CONTACTLESS, id="contactless"
        ),
        pytest.param("3B9B188001001225006480040100009044", CardType.CPS4, id="CPS4"),
        pytest.param("3B9B188001001225006480000401009044", CardType.CPS4, id="CPS4 candidate"),
        pytest.param("3BDC18FF00001225006480000401009000", CardType.CPS4, id="CPS4 T=0"),
    ],
)
def test_cards_of_the_issuer_are_recognised(atr: str, card: CardType) -> None:
    assert recognise(bytes.fromhex(atr)) is card


@pytest.mark.parametrize(
    ("atr", "position"),
    [
        pytest.param(CPS3_CONTACT_ATR, 0, id="CPS3, first byte"),
        pytest.param(CPS3_CONTACT_ATR, 7, id="CPS3, country"),
        pytest.param(CPS3_CONTACT_ATR, 15, id="CPS3, status"),
        pytest.param(CPS3_CONTACTLESS_ATR, 7, id="contactless, historical bytes"),
        pytest.param(CPS3_CONTACTLESS_ATR, 11, id="contactless, capabilities"),
        pytest.param(CPS4_ATR, 13, id="CPS4, version"),
    ],
)
def test_a_bit_that_may_not_differ_makes_another_card(atr: bytes, position: int) -> None:
    other = bytearray(atr)
    other[position] ^= 0x80
    assert recognise(bytes(other)) is None


@pytest.mark.parametrize(
    "atr",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(CPS3_CONTACT_ATR[:-1], id="one byte short"),
        pytest.param(CPS3_CONTACT_ATR + b"\x00", id="one byte long"),
        pytest.param(bytes.fromhex("3B6700000073200076"), id="a bank card"),
    ],
)
def test_other_cards_are_not_recognised(atr: bytes) -> None:
    assert recognise(atr) is None


def test_every_mask_is_as_long_as_its_answer() -> None:
    assert [len(known.atr) for known in KNOWN_ATRS] == [len(known.mask) for known in KNOWN_ATRS]
