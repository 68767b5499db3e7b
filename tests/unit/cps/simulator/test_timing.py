"""How long an exchange takes, counted by hand, and that the card takes that long."""

import pytest

from cps.simulator.card import Card
from cps.simulator.chip import SoftwareCard
from cps.simulator.timing import TimedCard, Timing, bit_rate, realistic
from tests.support import cards

# One etu lasts a second, and nothing else takes any time.
ETUS = Timing(bit_rate=1, command=0.0, key_operation=0.0)
SERIAL = "00B09C000C"


def timed(card: Card, timing: Timing) -> tuple[TimedCard, list[float]]:
    slept: list[float] = []
    return TimedCard(card, timing, slept.append), slept


@pytest.mark.parametrize(
    ("command", "answer", "characters"),
    [
        ("00200001", "63C3", 5 + 2),
        ("0020000100", "63C3", 5 + 2),
        (SERIAL, "00" * 12 + "9000", 5 + 1 + 12 + 2),
        ("00A4090C023F00", "9000", 5 + 1 + 2 + 2),
        ("00C0000000", "00" * 256 + "9000", 5 + 1 + 256 + 2),
    ],
    ids=["case 1", "case 2, refused", "case 2", "case 3", "256 bytes"],
)
def test_on_t0_a_character_takes_twelve_etus(command: str, answer: str, characters: int) -> None:
    seconds = ETUS.exchange(bytes.fromhex(command), bytes.fromhex(answer), t0=True)

    assert seconds == 12 * characters


@pytest.mark.parametrize(
    ("command", "answer", "characters", "blocks"),
    [
        (4, 2, 4 + 2, 2),
        (32, 254, 32 + 254, 2),
        (33, 2, 33 + 2, 4),
        (261, 258, 261 + 258, 2 * (9 + 2) - 2),
    ],
    ids=["short", "one block each", "two blocks there", "the longest"],
)
def test_on_t1_each_block_has_four_more_and_turns_round(
    command: int, answer: int, characters: int, blocks: int
) -> None:
    seconds = ETUS.exchange(bytes(command), bytes(answer), t0=False)

    assert seconds == 12 * (characters + 4 * blocks) + 22 * (blocks - 1)


@pytest.mark.parametrize(
    ("command", "answer", "uses_key"),
    [
        ("0088000001FF", "6100", True),
        ("008800000100", "6982", False),
        ("002A9E9A00", "9000", True),
        ("002A9E9A2000", "6100", True),
        ("002A90A00590008001FF", "9000", False),
        ("102A8086FF00", "9000", False),
        ("002A8086020000", "6130", True),
        ("012A8086016700", "9000", True),
        ("00B0000000", "9000", False),
        ("00A4", "6700", False),
        ("", "6700", False),
    ],
)
def test_a_key_operation_costs_its_time_when_it_was_done(
    command: str, answer: str, uses_key: bool
) -> None:
    timing = Timing(bit_rate=10**12, command=0.0, key_operation=1.0)

    seconds = timing.exchange(bytes.fromhex(command), bytes.fromhex(answer), t0=True)

    assert round(seconds) == uses_key


def test_the_card_sleeps_that_long_and_answers_the_same() -> None:
    bare = cards.powered_card()
    card, slept = timed(SoftwareCard(cards.image()), Timing(bit_rate=9600, command=0.08))
    card.power_on()

    answer = card.execute(bytes.fromhex(SERIAL))

    assert answer == bare.execute(bytes.fromhex(SERIAL))
    assert slept == [pytest.approx(0.08 + 20 * 12 / 9600)]


def test_an_exchange_of_a_real_card_takes_as_long_as_in_a_published_trace() -> None:
    cps3 = Timing(bit_rate=9600)
    select = cps3.exchange(bytes.fromhex("00A40904043F00D003"), bytes.fromhex("6127"), t0=True)
    fetch = cps3.exchange(bytes.fromhex("00C0000027"), bytes(39 + 2), t0=True)

    assert 0.095 <= select <= 0.130
    assert 0.095 <= fetch <= 0.140


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (SoftwareCard(cards.image()), 9600),
        (SoftwareCard(cards.image(), contactless=True), 106_000),
        (SoftwareCard(cards.cps4_image()), 115_200),
        (SoftwareCard(cards.cps4_image(), t0=True), 115_200),
    ],
    ids=["CPS3", "CPS3 by radio", "CPS4 on T=1", "CPS4 on T=0"],
)
def test_each_card_speaks_as_fast_as_its_answer_to_reset_says(
    card: SoftwareCard, expected: int
) -> None:
    assert realistic(card).bit_rate == expected


@pytest.mark.parametrize(
    ("atr", "expected"),
    [("3B80", 9600), ("3B1011", 9600), ("3B1018", 115_200), ("3B1096", 223_200)],
    ids=["none", "default", "CPS4", "faster"],
)
def test_the_bit_rate_is_worked_out_of_the_answer_to_reset(atr: str, expected: int) -> None:
    assert bit_rate(bytes.fromhex(atr)) == expected


def test_what_is_around_the_card_passes_its_nature_on() -> None:
    card, _ = timed(SoftwareCard(cards.image()), ETUS)

    card.power_on()
    card.execute(bytes.fromhex("0020000104 31323334"))
    assert card.execute(bytes.fromhex("0020000100")) == b"\x90\x00"
    card.reset()
    assert card.execute(bytes.fromhex("0020000100")) == b"\x63\xc3"
    card.power_off()
    assert card.atr == SoftwareCard(cards.image()).atr
    assert card.t0
