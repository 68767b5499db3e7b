"""GET DATA through the chip."""

import pytest

from cps.simulator.chip import SoftwareCard
from tests.support import cards
from tests.support.cards import send

SELECT_APPLICATION = "00 A4 09 0C 04 3F00 0001"


@pytest.fixture
def card() -> SoftwareCard:
    return cards.powered_card()


def test_a_pin_object_says_how_long_a_pin_is(card: SoftwareCard) -> None:
    pin = send(card, "00 CB 3F FF 0B 4D 09 70 07 BF8101 03 7F4180")
    puk = send(card, "00 CB 3F FF 0B 4D 09 70 07 BF8102 03 7F4180")

    assert pin == "700DBF8101097F41068001048101049000"
    assert puk == "700DBF8102097F41068001088101089000"


def test_pin_objects_are_known_from_the_mf_alone(card: SoftwareCard) -> None:
    send(card, SELECT_APPLICATION)

    assert send(card, "00 CB 3F FF 0A 4D 08 70 06 BF8101 02 A080") == "6A88"


def test_a_key_object_tells_size_and_rules(card: SoftwareCard) -> None:
    send(card, SELECT_APPLICATION)

    authentication = send(card, "00 CB 3F FF 0A 4D 08 70 06 BF9002 02 A080")
    signature = send(card, "00 CB 3F FF 0A 4D 08 70 06 BF9001 02 A080")

    assert authentication == "7015BF900211A00F80020100A1098C077BFF1111FFFF009000"
    assert signature == "7015BF900111A00F80020100A1098C077B11FFFFFFFF009000"
    assert send(card, "00 CB 3F FF 0B 4D 09 70 07 BF9002 03 7F4880") == (
        "700ABF9002067F48038001059000"
    )


def test_key_objects_are_known_from_their_application_alone(card: SoftwareCard) -> None:
    command = "00 CB 3F FF 0A 4D 08 70 06 BF9002 02 A080"
    assert send(card, command) == "6A88"
    send(card, "00 A4 09 0C 04 3F00 0002")
    assert send(card, command) == "6A88"


@pytest.mark.parametrize(
    ("number", "pin"), [("01", "01"), ("03", "02")], ids=["the PIN's", "the PUK's"]
)
def test_a_security_environment_names_the_pin_it_stands_for(
    card: SoftwareCard, number: str, pin: str
) -> None:
    command = f"00 CB 3F FF 0A 4D 08 70 06 BFFB{number} 02 7B80"

    assert send(card, command) == f"700EBFFB{number}0A7B08A4069501088301{pin}9000"
    send(card, SELECT_APPLICATION)
    assert send(card, command) == "6A88"


def test_by_radio_no_security_environment_is_known() -> None:
    card = SoftwareCard(cards.image(), contactless=True)
    card.power_on()

    assert send(card, "00 CB 3F FF 0A 4D 08 70 06 BFFB01 02 7B80 00") == "6A88"


@pytest.mark.parametrize(
    ("data", "sw"),
    [
        ("4D 08 70 06 BF8103 02 A080", "6A88"),
        ("4D 08 70 06 BF8100 02 A080", "6A88"),
        ("4D 08 70 06 BF8101 02 A180", "6A88"),
        ("4D 09 70 07 BFA001 03 7F4980", "6A88"),
        ("4D 08 70 06 BFFB00 02 7B80", "6A88"),
        ("4D 08 70 06 BFFB02 02 7B80", "6A88"),
        ("4D 08 70 06 BFFB11 02 7B80", "6A88"),
        ("4D 08 70 06 BFFB01 02 A080", "6A88"),
        ("4D 08 70 06 BF8101 03 A080", "6A80"),
        ("4D 09 70 06 BF8101 02 A080", "6A80"),
        ("4D 08 70 06 BF8101 02 A080 00", "6A80"),
        ("4D 08 71 06 BF8101 02 A080", "6A80"),
        ("5C 08 70 06 BF8101 02 A080", "6A80"),
        ("4D 00", "6A80"),
        ("4D", "6A80"),
        ("", "6A80"),
    ],
)
def test_what_is_not_there_or_not_well_asked(card: SoftwareCard, data: str, sw: str) -> None:
    length = len(bytes.fromhex(data))

    assert send(card, f"00 CB 3F FF {length:02X} {data}") == sw


def test_only_one_place_is_looked_at(card: SoftwareCard) -> None:
    assert send(card, "00 CB 3F 00 0A 4D 08 70 06 BF8101 02 A080") == "6A86"
    assert send(card, "00 CB 00 FF 0A 4D 08 70 06 BF8101 02 A080") == "6A86"
