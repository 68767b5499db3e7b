"""Which instructions each class of a CPS3 has."""

import pytest

from cps.simulator.command import CommandRefusedError
from cps.simulator.ias import IASCard
from tests.support import cards

INSTRUCTIONS = [0x20, 0x22, 0x24, 0x2A, 0x2C, 0x84, 0x88, 0xA4, 0xB0, 0xC0, 0xCB, 0xD6]


@pytest.fixture
def card() -> IASCard:
    return IASCard(cards.image(), contactless=False)


@pytest.mark.parametrize(
    ("cla", "instructions"),
    [(0x00, INSTRUCTIONS), (0x10, INSTRUCTIONS), (0xA0, [0xA4, 0xB0, 0xC0])],
    ids=["00", "10", "A0"],
)
def test_a_class_has_these_instructions_and_no_other(
    card: IASCard, cla: int, instructions: list[int]
) -> None:
    for ins in set(range(256)) - set(instructions):
        with pytest.raises(CommandRefusedError, match="6D00"):
            card.find(cla, ins)
    for ins in instructions:
        card.find(cla, ins)


@pytest.mark.parametrize("cla", [0x00, 0x10])
def test_by_radio_there_are_no_security_operations(cla: int) -> None:
    card = IASCard(cards.image(), contactless=True)
    with pytest.raises(CommandRefusedError, match="6D00"):
        card.find(cla, 0x2A)
    for ins in set(INSTRUCTIONS) - {0x2A}:
        card.find(cla, ins)


def test_there_is_no_other_class(card: IASCard) -> None:
    for cla in set(range(256)) - {0x00, 0x10, 0xA0}:
        with pytest.raises(CommandRefusedError, match="6E00"):
            card.find(cla, 0xA4)
