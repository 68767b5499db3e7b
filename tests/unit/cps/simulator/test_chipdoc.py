"""A CPS4 through the chip: its channels, its files, its manners on both protocols."""

import pytest

from cps.atr import CPS4_ATR, CPS4_T0_ATR, CardType, recognise
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from tests.support import cards
from tests.support.cards import OPEN_CPS4

ISSUER_DOMAIN = "A4 04 0C 07 A0000001510000"
OLD_APPLICATION = "A4 04 0C 08 8025000001FF0002"
VERIFY = "01 20 00 01 04 31323334"
SELECT_SN = "01 A4 08 00 02 D003"
SN_FCI = "6F0E8002000C8201018302D0038A0105"
DF_FCI = "6F19820138830200018 40DE828BD080F8025000001FF00108A0105".replace(" ", "")
MF_FCI = "6F0A82013883023F008A0105"


@pytest.fixture
def image() -> CardImage:
    return cards.cps4_image()


@pytest.fixture(params=[False, True], ids=["T=1", "T=0"])
def card(request: pytest.FixtureRequest, image: CardImage) -> SoftwareCard:
    return cards.opened_cps4(image, t0=request.param)


@pytest.fixture
def t1(image: CardImage) -> SoftwareCard:
    return cards.opened_cps4(image)


def execute(card: SoftwareCard, command: str) -> str:
    return card.execute(bytes.fromhex(command)).hex().upper()


def test_each_protocol_has_its_answer_to_reset(image: CardImage) -> None:
    t1, t0 = SoftwareCard(image), SoftwareCard(image, t0=True)

    assert (t1.atr, t1.t0) == (CPS4_ATR, False)
    assert (t0.atr, t0.t0) == (CPS4_T0_ATR, True)
    assert recognise(t1.atr) is recognise(t0.atr) is CardType.CPS4


def test_by_radio_nothing_is_known_of_it(image: CardImage) -> None:
    with pytest.raises(ValueError, match="by contact alone"):
        SoftwareCard(image, contactless=True)


@pytest.mark.parametrize(
    "command", [SELECT_SN, "01 A4 00 00 02 3F00", VERIFY, "01 20 00 01", "01 B0 00 00 0C"]
)
def test_the_channel_is_closed_until_the_application_is_selected(
    image: CardImage, command: str
) -> None:
    card = cards.powered_card(image)
    assert execute(card, command) == "6881"

    assert execute(card, OPEN_CPS4) == "9000"
    assert execute(card, command) != "6881"

    card.reset()
    assert execute(card, command) == "6881"


def test_an_unknown_application_does_not_open_the_channel(image: CardImage) -> None:
    card = cards.powered_card(image)

    assert execute(card, "01 " + OLD_APPLICATION) == "6A82"
    assert execute(card, "01 A4 04 0C 0D E828BD080F8025000001FF0010") == "6A82"
    assert execute(card, SELECT_SN) == "6881"


def test_the_middleware_may_go_round_by_the_issuer_domain(image: CardImage) -> None:
    card = cards.powered_card(image)

    assert execute(card, "01 " + ISSUER_DOMAIN) == "9000"
    assert execute(card, SELECT_SN) == execute(card, VERIFY) == "6D00"
    assert execute(card, "00 " + OLD_APPLICATION) == "9000"
    assert execute(card, OPEN_CPS4) == "9000"
    assert execute(card, VERIFY) == "9000"


def test_on_the_basic_channel_only_two_applications_are_selected(card: SoftwareCard) -> None:
    assert execute(card, "00 " + ISSUER_DOMAIN) == "9000"
    assert execute(card, "00 " + OPEN_CPS4[3:]) == "6A82"
    assert execute(card, "00 A4 00 0C 02 3F00") == "6A86"
    assert execute(card, "00 A4 04 04 08 8025000001FF0002") == "6A86"
    assert execute(card, "00 20 00 01 04 31323334") == "6D00"
    assert execute(card, "00 B0 9C 00 0C") == "6D00"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("A0 A4 00 00 02 3F00", "6E00"),
        ("02 A4 00 00 02 3F00", "6E00"),
        ("10 2A 80 86 01 00", "6E00"),
        ("11 20 00 01 04 31323334", "6884"),
        ("11 A4 08 0C 02 D003", "6884"),
        ("01 88 00 00 01 00", "6D00"),
        ("01 CB 3F FF 0A 4D 08 70 06 BF8101 02 A080", "6D00"),
        ("01 70 00 00 01", "6D00"),
        ("01 C0 00 00 01", "6985"),
        ("01 A4 09 0C 04 3F00D003", "6A86"),
        ("01 A4 02 0C 02 D003", "6A86"),
        ("01 A4 08 04 02 D003", "6A86"),
        ("01 A4 04 04 08 8025000001FF0100", "6A86"),
        ("01 A4 08 0C 02 D010", "6A82"),
        ("01 A4 08 0C 02 2F01", "6A82"),
        ("01 A4 08 0C 02 0002", "6A82"),
        ("01 B0 9C 00 0C", "6A82"),
    ],
)
def test_what_it_does_not_do(card: SoftwareCard, command: str, sw: str) -> None:
    assert execute(card, command) == sw


def test_what_is_told_of_a_file_stands_in_a_template_6f(t1: SoftwareCard) -> None:
    assert execute(t1, SELECT_SN + "00") == SN_FCI + "9000"
    assert execute(t1, "01 A4 08 00 02 0001 00") == DF_FCI + "9000"
    assert execute(t1, "01 A4 00 00 02 3F00 00") == MF_FCI + "9000"


def test_an_answer_nobody_asked_for_waits_to_be_fetched(card: SoftwareCard) -> None:
    assert execute(card, "01 A4 08 00 02 0001") == "611B"
    assert execute(card, "01 C0 00 00 1B") == DF_FCI + "9000"
    assert execute(card, "01 A4 00 00 02 3F00") == "610C"
    assert execute(card, "01 A4 00 0C 02 3F00") == "9000"
    assert execute(card, "01 A4 04 00 08 8025000001FF0100") == "610C"


def test_what_was_left_is_fetched_on_its_own_channel_alone(card: SoftwareCard) -> None:
    execute(card, "01 A4 08 00 02 0001")

    assert execute(card, "00 C0 00 00 1B") == "6D00"
    assert execute(card, "01 C0 00 00 1B") == "6985"


def test_on_t0_the_answer_to_data_waits_even_if_it_was_asked_for(image: CardImage) -> None:
    card = cards.opened_cps4(image, t0=True)

    assert execute(card, SELECT_SN + "00") == "6110"
    assert execute(card, "01 C0 00 00 10") == SN_FCI + "9000"


def test_files_are_read_in_pieces_of_256(card: SoftwareCard, image: CardImage) -> None:
    certificate = image.content(bytes.fromhex("3F000001C002"))
    assert execute(card, "01 A4 08 0C 04 0001 C002") == "9000"

    content = b""
    while len(content) < len(certificate):
        answer = card.execute(bytes.fromhex(f"01B0{len(content):04X}00"))
        assert answer[-2:] == b"\x90\x00"
        content += answer[:-2]

    assert content == certificate


def test_what_was_verified_outlives_the_selection_of_files_and_not_of_applications(
    card: SoftwareCard,
) -> None:
    read_activity = ("01 A4 08 0C 04 0001 D120", "01 B0 00 00 02")
    execute(card, VERIFY)
    execute(card, "01 A4 00 0C 02 3F00")
    assert execute(card, read_activity[0]) == "9000"
    assert execute(card, read_activity[1])[-4:] == "9000"

    execute(card, OPEN_CPS4)
    assert execute(card, read_activity[0]) == "9000"
    assert execute(card, read_activity[1]) == "6982"


def test_only_the_data_file_is_written_and_only_after_the_pin(
    card: SoftwareCard, image: CardImage
) -> None:
    assert execute(card, "01 A4 08 0C 04 0001 D107") == "9000"
    assert execute(card, "01 D6 00 00 02 ABCD") == "6982"
    execute(card, VERIFY)
    assert execute(card, "01 D6 00 00 02 ABCD") == "9000"
    assert image.content(bytes.fromhex("3F000001D107")).startswith(b"\xab\xcd")

    assert execute(card, "01 A4 08 0C 04 0001 D101") == "9000"
    assert execute(card, "01 D6 00 00 02 ABCD") == "6982"
