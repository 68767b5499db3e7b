"""PIN and PUK of a CPS3 through the chip, which is where their status words show."""

import pytest

from cps.simulator.chip import SoftwareCard
from tests.support import cards
from tests.support.cards import send

VERIFY = "00 20 00 01 04 31323334"
VERIFY_PADDED = "00 20 00 01 08 31323334FFFFFFFF"
VERIFY_WRONG = "00 20 00 01 04 39393939"
VERIFY_PUK = "00 20 00 02 08 3132333435363738"
VERIFY_WRONG_PUK = "00 20 00 02 08 3030303030303030"
STATUS = "00 20 00 01 00"
PIN_COUNTER = "00 CB 3F FF 0A 4D 08 70 06 BF 81 01 02 A0 80"
PUK_COUNTER = "00 CB 3F FF 0A 4D 08 70 06 BF 81 02 02 A0 80"


@pytest.fixture
def card() -> SoftwareCard:
    return cards.powered_card()


def block(card: SoftwareCard) -> None:
    for _ in range(3):
        send(card, VERIFY_WRONG)
    assert send(card, STATUS) == "6983"


@pytest.mark.parametrize("command", [VERIFY, VERIFY_PADDED], ids=["bare", "padded"])
def test_the_right_pin_is_verified_bare_or_padded(card: SoftwareCard, command: str) -> None:
    assert send(card, STATUS) == "63C3"
    assert send(card, command) == "9000"
    assert send(card, STATUS) == "9000"


@pytest.mark.parametrize(
    "data",
    [
        "03 313233",
        "05 31323334FF",
        "07 31323334FFFFFF",
        "09 31323334FFFFFFFFFF",
        "08 3132333400000000",
    ],
    ids=["short", "padded to five", "to seven", "to nine", "with another byte"],
)
def test_a_pin_of_another_length_or_padding_is_a_wrong_one(card: SoftwareCard, data: str) -> None:
    assert send(card, f"00 20 00 01 {data}") == "63C2"


def test_wrong_pins_count_down_and_then_even_the_right_one_is_refused(card: SoftwareCard) -> None:
    assert [send(card, VERIFY_WRONG) for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]
    assert send(card, VERIFY) == "6983"
    assert send(card, STATUS) == "6983"


def test_a_right_pin_gives_all_tries_back(card: SoftwareCard) -> None:
    send(card, VERIFY_WRONG)
    send(card, VERIFY)

    assert send(card, VERIFY_WRONG) == "63C2"


def test_asking_for_the_status_costs_no_try_with_or_without_a_fifth_byte(
    card: SoftwareCard,
) -> None:
    for _ in range(5):
        assert send(card, STATUS) == "63C3"
        assert send(card, "00 20 00 01") == "63C3"


def test_a_wrong_pin_ends_what_a_right_one_began(card: SoftwareCard) -> None:
    send(card, VERIFY)
    send(card, VERIFY_WRONG)

    assert send(card, STATUS) == "63C2"


def test_reset_and_power_off_end_it_too_and_select_does_not(card: SoftwareCard) -> None:
    send(card, VERIFY)
    send(card, "00 A4 09 0C 04 3F00 0001")
    assert send(card, STATUS) == "9000"

    card.reset()
    assert send(card, STATUS) == "63C3"

    send(card, VERIFY)
    card.power_off()
    card.power_on()
    assert send(card, STATUS) == "63C3"


def test_reset_gives_no_try_back(card: SoftwareCard) -> None:
    send(card, VERIFY_WRONG)
    card.reset()

    assert send(card, STATUS) == "63C2"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00 20 01 01 04 31323334", "6A86"),
        ("00 20 00 03 04 31323334", "6A88"),
        ("00 20 00 81 04 31323334", "6A88"),
        ("00 24 02 01 08 3132333434333231", "6A86"),
        ("00 24 00 03 08 3132333434333231", "6A88"),
        ("00 24 00 01 07 31323334343332", "6700"),
        ("00 24 00 01 0C 313233343433323131313131", "6700"),
        ("00 24 00 01 08 3132333441424344", "6A80"),
        ("00 24 00 01 10 31323334FFFFFFFF 343332FFFFFFFFFF", "6A80"),
        ("00 24 00 01 10 31323334FFFFFFFF 3433323135FFFFFF", "6A80"),
        ("00 2C 01 01 08 3132333435363738", "6A86"),
        ("00 2C 02 04 04 34333231", "6A88"),
        ("00 2C 00 01 08 3132333435363738", "6700"),
        ("00 2C 00 01 0C 3132333435363738 41424344", "6A80"),
    ],
)
def test_a_malformed_command_is_refused_and_costs_no_try(
    card: SoftwareCard, command: str, sw: str
) -> None:
    assert send(card, command) == sw
    assert send(card, STATUS) == "63C3"


def test_change_wants_the_old_pin_and_the_new_one_holds(card: SoftwareCard) -> None:
    assert send(card, "00 24 00 01 08 31323334 34333231") == "9000"

    assert send(card, VERIFY) == "63C2"
    assert send(card, "00 20 00 01 04 34333231") == "9000"


def test_change_takes_both_padded(card: SoftwareCard) -> None:
    assert send(card, "00 24 00 01 10 31323334FFFFFFFF 34333231FFFFFFFF") == "9000"
    assert send(card, "00 20 00 01 04 34333231") == "9000"


def test_a_wrong_old_pin_costs_a_try_and_ends_a_verification(card: SoftwareCard) -> None:
    send(card, VERIFY)

    assert send(card, "00 24 00 01 08 30303030 31313131") == "63C2"
    assert send(card, STATUS) == "63C2"
    assert send(card, VERIFY) == "9000"


def test_change_neither_verifies_nor_ends_a_verification(card: SoftwareCard) -> None:
    send(card, "00 24 00 01 08 31323334 34333231")
    assert send(card, STATUS) == "63C3"

    send(card, "00 20 00 01 04 34333231")
    send(card, "00 24 00 01 08 34333231 31323334")
    assert send(card, STATUS) == "9000"


def test_change_with_the_new_pin_alone_wants_a_verification(card: SoftwareCard) -> None:
    assert send(card, "00 24 01 01 04 34333231") == "6982"

    send(card, VERIFY)
    assert send(card, "00 24 01 01 04 34333231") == "9000"
    card.reset()
    assert send(card, "00 20 00 01 04 34333231") == "9000"


def test_a_blocked_pin_cannot_be_changed(card: SoftwareCard) -> None:
    block(card)

    assert send(card, "00 24 00 01 08 31323334 34333231") == "6983"


def test_the_puk_is_never_changed_nor_its_counter_reset(card: SoftwareCard) -> None:
    send(card, VERIFY_PUK)

    assert send(card, "00 24 00 02 10 3132333435363738 3031323334353637") == "6982"
    assert send(card, "00 24 01 02 08 3031323334353637") == "6982"
    assert send(card, "00 2C 02 02 08 3031323334353637") == "6982"
    assert send(card, "00 2C 00 02 10 3132333435363738 3031323334353637") == "6982"


@pytest.mark.parametrize(
    ("command", "pin"),
    [
        ("00 2C 02 01 04 34333231", "34333231"),
        ("00 2C 02 01 08 34333231FFFFFFFF", "34333231"),
        ("00 2C 03 01", "31323334"),
    ],
    ids=["new pin", "new pin padded", "old pin"],
)
def test_after_the_puk_a_blocked_pin_is_unblocked(
    card: SoftwareCard, command: str, pin: str
) -> None:
    block(card)
    assert send(card, command) == "6982"

    send(card, VERIFY_PUK)
    assert send(card, command) == "9000"

    assert send(card, STATUS) == "63C3"
    assert send(card, f"00 20 00 01 04 {pin}") == "9000"


def test_unblocking_without_a_new_pin_takes_no_data(card: SoftwareCard) -> None:
    send(card, VERIFY_PUK)

    assert send(card, "00 2C 03 01 04 34333231") == "6700"


@pytest.mark.parametrize(
    "command",
    [
        "00 2C 00 01 10 3132333435363738 34333231FFFFFFFF",
        "00 2C 00 01 0C 3132333435363738 34333231",
    ],
    ids=["padded", "bare"],
)
def test_the_puk_may_come_in_the_same_command(card: SoftwareCard, command: str) -> None:
    block(card)

    assert send(card, command) == "9000"
    assert send(card, "00 20 00 01 04 34333231") == "9000"


def test_a_wrong_puk_in_the_same_command_costs_one_of_its_tries(card: SoftwareCard) -> None:
    assert send(card, "00 2C 00 01 0C 3030303030303030 34333231") == "63C9"
    assert send(card, "00 20 00 02 00") == "63C9"


def test_ten_wrong_puks_end_the_card(card: SoftwareCard) -> None:
    block(card)
    answers = [send(card, VERIFY_WRONG_PUK) for _ in range(11)]

    assert answers[0] == "63C9"
    assert answers[-2:] == ["63C0", "6983"]
    assert send(card, VERIFY_PUK) == "6983"
    assert send(card, "00 2C 02 01 04 34333231") == "6982"


def test_the_puk_wears_out(card: SoftwareCard) -> None:
    for _ in range(100):
        assert send(card, VERIFY_PUK) == "9000"

    assert send(card, VERIFY_PUK) == "6983"


def test_a_puk_that_is_used_up_is_not_verified_any_more_once_it_was_refused(
    card: SoftwareCard,
) -> None:
    for _ in range(100):
        send(card, VERIFY_PUK)
    assert send(card, "00 2C 03 01") == "9000"

    assert send(card, VERIFY_PUK) == "6983"

    assert send(card, "00 2C 03 01") == "6982"


def test_the_verified_puk_is_not_the_pin(card: SoftwareCard) -> None:
    send(card, VERIFY_PUK)
    send(card, "00 A4 09 0C 04 3F00 0001")
    send(card, "00 22 41 A4 06 800102 840182")

    assert send(card, "00 88 00 00 01 00") == "6982"
    assert send(card, STATUS) == "63C3"


def test_the_counters_show_maximum_and_what_is_left(card: SoftwareCard) -> None:
    send(card, VERIFY_WRONG)
    send(card, VERIFY_WRONG_PUK)
    send(card, VERIFY_PUK)

    assert send(card, PIN_COUNTER) == "7016BF810112A0109A01039B0102A1088C06F3000013FF009000"
    assert send(card, PUK_COUNTER) == "701ABF810216A0149A010A9B010A9D020063A1088C06F3FF00FFFF009000"
