"""PIN and PUK of a CPS4 through the chip."""

import pytest

from cps.simulator.chip import SoftwareCard
from tests.support import cards
from tests.support.cards import send

VERIFY = "01 20 00 01 04 31323334"
VERIFY_WRONG = "01 20 00 01 04 39393939"
VERIFY_NEW = "01 20 00 01 04 34333231"
VERIFY_PUK = "01 20 00 02 08 3132333435363738"
VERIFY_WRONG_PUK = "01 20 00 02 08 3030303030303030"
STATUS = "01 20 00 01"
PUK_STATUS = "01 20 00 02"
UNBLOCK = "01 2C 03 81"
CHANGE = "01 24 01 01 04 34333231"


@pytest.fixture(params=[False, True], ids=["T=1", "T=0"])
def card(request: pytest.FixtureRequest) -> SoftwareCard:
    return cards.opened_cps4(t0=request.param)


def block(card: SoftwareCard) -> None:
    for _ in range(3):
        send(card, VERIFY_WRONG)


def test_the_status_is_the_tries_left_even_when_verified(card: SoftwareCard) -> None:
    assert send(card, STATUS) == "63C3"
    assert send(card, PUK_STATUS) == "63CA"
    assert send(card, VERIFY) == "9000"
    assert send(card, VERIFY_PUK) == "9000"

    assert send(card, STATUS) == "63C3"
    assert send(card, PUK_STATUS) == "63CA"


def test_wrong_pins_count_down_and_then_even_the_right_one_is_refused(card: SoftwareCard) -> None:
    assert [send(card, VERIFY_WRONG) for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]
    assert send(card, STATUS) == "6983"
    assert send(card, VERIFY) == "6983"


@pytest.mark.parametrize(
    "command",
    ["01 20 00 01 03 313233", "01 20 00 01 05 3132333400", "01 20 00 01 08 31323334FFFFFFFF"],
    ids=["short", "long", "padded"],
)
def test_a_pin_of_another_length_is_a_wrong_one(card: SoftwareCard, command: str) -> None:
    assert send(card, command) == "63C2"


def test_a_wrong_pin_ends_what_a_right_one_began(card: SoftwareCard) -> None:
    send(card, VERIFY)
    send(card, VERIFY_WRONG)

    assert send(card, CHANGE) == "6982"


def test_a_pin_is_changed_after_it_was_verified(card: SoftwareCard) -> None:
    assert send(card, CHANGE) == "6982"
    send(card, VERIFY)

    assert send(card, CHANGE) == "9000"
    card.reset()
    send(card, cards.OPEN_CPS4)
    assert send(card, VERIFY) == "63C2"
    assert send(card, VERIFY_NEW) == "9000"


def test_the_puk_unblocks_and_then_the_pin_is_set_once_without_the_old_one(
    card: SoftwareCard,
) -> None:
    block(card)
    assert send(card, UNBLOCK) == "6982"
    assert send(card, VERIFY_PUK) == "9000"

    assert send(card, UNBLOCK) == "9000"
    assert send(card, CHANGE) == "9000"
    assert send(card, STATUS) == "63C3"
    assert send(card, "01 24 01 01 04 31313131") == "6982"
    assert send(card, VERIFY_NEW) == "9000"


def test_unblocking_alone_leaves_the_pin_as_it_was(card: SoftwareCard) -> None:
    block(card)
    send(card, VERIFY_PUK)
    send(card, UNBLOCK)

    assert send(card, VERIFY) == "9000"


@pytest.mark.parametrize("restart", ["reset", "selection"])
def test_what_unblocking_allows_ends_with(card: SoftwareCard, restart: str) -> None:
    send(card, VERIFY_PUK)
    send(card, UNBLOCK)
    if restart == "reset":
        card.reset()
    send(card, cards.OPEN_CPS4)

    assert send(card, CHANGE) == "6982"
    assert send(card, UNBLOCK) == "6982"


def test_wrong_puks_count_down(card: SoftwareCard) -> None:
    answers = [send(card, VERIFY_WRONG_PUK) for _ in range(11)]

    assert answers == [f"63C{left}" for left in range(9, -1, -1)] + ["6983"]
    assert send(card, VERIFY_PUK) == "6983"
    assert send(card, UNBLOCK) == "6982"


def test_the_puk_is_never_changed_nor_unblocked(card: SoftwareCard) -> None:
    send(card, VERIFY_PUK)

    assert send(card, "01 24 01 02 08 3031323334353637") == "6982"
    assert send(card, "01 2C 03 82") == "6982"


def test_the_puk_does_not_open_what_the_pin_does(card: SoftwareCard) -> None:
    send(card, VERIFY_PUK)
    send(card, "01 A4 08 0C 04 0001 D120")

    assert send(card, "01 B0 00 00 01") == "6982"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("01 20 01 01 04 31323334", "6A86"),
        ("01 20 00 03 04 31323334", "6A88"),
        ("01 20 00 81 04 31323334", "6A88"),
        ("01 24 00 01 08 31323334 34333231", "6A86"),
        ("01 24 01 03 04 34333231", "6A88"),
        ("01 2C 00 81 0C 3132333435363738 34333231", "6A86"),
        ("01 2C 02 81 04 34333231", "6A86"),
        ("01 2C 03 01", "6A86"),
        ("01 2C 03 84", "6A88"),
        ("01 2C 03 81 04 34333231", "6700"),
    ],
)
def test_a_command_of_another_form_is_refused_and_costs_no_try(
    card: SoftwareCard, command: str, sw: str
) -> None:
    assert send(card, command) == sw
    assert send(card, STATUS) == "63C3"


@pytest.mark.parametrize(("new", "sw"), [("343332", "6700"), ("34333241", "6A80")])
def test_a_new_pin_has_four_digits(card: SoftwareCard, new: str, sw: str) -> None:
    send(card, VERIFY)

    assert send(card, f"01 24 01 01 {len(new) // 2:02X} {new}") == sw
    assert send(card, VERIFY) == "9000"
