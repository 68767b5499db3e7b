"""The files of class A0, through the chip."""

import pytest

from cps.simulator.chip import SoftwareCard
from tests.support import cards

VERIFY = "00 20 00 01 04 31323334"


@pytest.fixture
def card() -> SoftwareCard:
    return cards.powered_card()


def execute(card: SoftwareCard, command: str) -> str:
    return card.execute(bytes.fromhex(command)).hex().upper()


def test_each_level_is_selected_by_itself_and_says_what_it_is(card: SoftwareCard) -> None:
    for fid, described in (
        ("3F00", "850500003F0001"),
        ("7F01", "850500007F0102"),
        ("4000", "85050011400004"),
    ):
        assert execute(card, f"A0 A4 00 00 02 {fid}") == "9F07"
        assert execute(card, "A0 C0 00 00 07") == described + "9000"


def test_a_file_is_read_after_the_pin_alone(card: SoftwareCard) -> None:
    execute(card, "A0 A4 00 00 02 4010")
    assert execute(card, "A0 B0 00 00 10") == "9804"

    execute(card, VERIFY)

    assert execute(card, "A0 B0 00 00 10") == b"ACTIVITE FICTIVE".hex().upper() + "9000"
    assert execute(card, "A0 B0 00 09 07") == b"FICTIVE".hex().upper() + "9000"
    assert execute(card, "A0 B0 00 12 01") == "9402"


def test_behind_a_blocked_pin_the_reason_is_told(card: SoftwareCard) -> None:
    for _ in range(3):
        execute(card, "00 20 00 01 04 39393939")
    execute(card, "A0 A4 00 00 02 4010")

    assert execute(card, "A0 B0 00 00 10") == "9840"


def test_there_are_as_many_activities_as_the_new_application_lists(card: SoftwareCard) -> None:
    for fid, sw in (("4010", "9F07"), ("4011", "9F07"), ("4012", "9404")):
        assert execute(card, f"A0 A4 00 00 02 {fid}") == sw


def test_a_file_beside_the_current_one_is_selected_from_it(card: SoftwareCard) -> None:
    execute(card, "A0 A4 00 00 02 4010")

    assert execute(card, "A0 A4 00 00 02 7F01") == "9F07"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("A0 A4 00 00 02 4000", "9404"),
        ("A0 A4 00 00 02 D003", "9404"),
        ("A0 A4 00 00 02 0001", "9404"),
        ("A0 A4 00 00 04 3F004010", "6700"),
        ("A0 A4 04 00 02 3F00", "9240"),
        ("A0 B0 00 00 01", "9408"),
        ("A0 B0 00 00 01 00", "6700"),
        ("A0 C0 00 00 07", "6985"),
        ("A0 20 00 01 04 31323334", "6D00"),
        ("A0 D6 00 00 01 00", "6D00"),
    ],
)
def test_what_this_class_does_not_do(card: SoftwareCard, command: str, sw: str) -> None:
    assert execute(card, command) == sw


def test_the_two_classes_do_not_see_each_others_files(card: SoftwareCard) -> None:
    execute(card, "A0 A4 00 00 02 4010")

    assert execute(card, "00 B0 00 00 01") == "6986"
    assert execute(card, "00 A4 09 0C 04 3F00 4010") == "6A82"
    assert execute(card, "A0 A4 00 00 02 4010") == "9F07"


def test_what_one_class_left_is_not_fetched_by_the_other(card: SoftwareCard) -> None:
    execute(card, "A0 A4 00 00 02 4010")
    assert execute(card, "00 C0 00 00 07") == "6985"
    assert execute(card, "A0 C0 00 00 07") == "6985"
