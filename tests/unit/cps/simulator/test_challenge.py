"""GET CHALLENGE through the chip."""

from tests.support import cards
from tests.support.cards import send


def test_challenges_differ_and_are_as_long_as_wanted() -> None:
    card = cards.powered_card()
    first, second = (send(card, "00 84 00 00 08") for _ in range(2))

    assert len(first) == len(second) == 2 * 8 + 4
    assert first != second
    assert send(card, "00 84 01 00 08") == "6A86"
    assert send(card, "00 84 00 00 01 00") == "6700"
