"""The chip's life and the manners of T=0; what a hostile host sends is in ``test_fuzz.py``."""

import pytest

from cps.atr import CardType, recognise
from cps.errors import CardMuteError
from cps.simulator.chip import MAX_CHAINED_BYTES, SoftwareCard
from tests.support import cards
from tests.support.cards import send

VERIFY = "00 20 00 01 04 31323334"
SELECT_SN = "00 A4 09 04 04 3F00 D003"
FCP = "62258002000C8201018302D0038801E0A1128C077BFFFFFFFFFF009C077BFFFFFFFFFF008A0105"


@pytest.fixture
def card() -> SoftwareCard:
    return cards.powered_card()


def execute(card: SoftwareCard, command: str) -> str:
    return card.execute(bytes.fromhex(command)).hex().upper()


def test_the_card_is_recognised_by_its_answer_to_reset(card: SoftwareCard) -> None:
    assert recognise(card.atr) is CardType.CPS3
    assert card.t0


def test_a_card_without_power_is_mute() -> None:
    card = SoftwareCard(cards.image())
    with pytest.raises(CardMuteError):
        card.execute(bytes.fromhex("00A40000"))

    card.power_on()
    card.power_off()
    with pytest.raises(CardMuteError):
        card.execute(bytes.fromhex("00A40000"))


def test_a_command_with_data_gets_no_data_at_once(card: SoftwareCard) -> None:
    assert execute(card, SELECT_SN) == "6127"
    assert execute(card, "00 C0 00 00 27") == FCP + "9000"


def test_an_le_behind_the_data_changes_nothing(card: SoftwareCard) -> None:
    assert execute(card, SELECT_SN + "00") == "6127"
    assert execute(card, SELECT_SN + "27") == "6127"


def test_an_answer_may_be_fetched_in_pieces(card: SoftwareCard) -> None:
    execute(card, SELECT_SN)

    assert execute(card, "00 C0 00 00 20") == FCP[:64] + "6107"
    assert execute(card, "00 C0 00 00 07") == FCP[64:] + "9000"
    assert execute(card, "00 C0 00 00 07") == "6985"


def test_a_signature_is_fetched_in_two_pieces_by_a_reader_of_231_bytes(
    card: SoftwareCard,
) -> None:
    send(card, VERIFY)
    send(card, "00 A4 09 0C 04 3F00 0001")
    send(card, "00 22 41 A4 06 800102 840182")

    assert execute(card, "00 88 00 00 01 00") == "6100"
    assert execute(card, "00 C0 00 00 E7")[-4:] == "6119"
    assert len(execute(card, "00 C0 00 00 19")) == 2 * 0x19 + 4


def test_asking_for_more_than_there_is_tells_how_much_there_is_and_loses_nothing(
    card: SoftwareCard,
) -> None:
    execute(card, SELECT_SN)

    assert execute(card, "00 C0 00 00 28") == "6C27"
    assert execute(card, "00 C0 00 00 00") == "6C27"
    assert execute(card, "00 C0 00 00") == "6C27"
    assert execute(card, "00 C0 00 00 27") == FCP + "9000"


@pytest.mark.parametrize(
    "command", ["00 A4 09 0C 02 3F00", "00 20 00 01 00", "00 FF 00 00", "A0 C0 00 00 27", "00 A4"]
)
def test_any_other_command_drops_what_was_not_fetched(card: SoftwareCard, command: str) -> None:
    execute(card, SELECT_SN)
    execute(card, command)

    assert execute(card, "00 C0 00 00 27") == "6985"


def test_reset_drops_it_too(card: SoftwareCard) -> None:
    execute(card, SELECT_SN)
    card.reset()

    assert execute(card, "00 C0 00 00 27") == "6985"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("", "6700"),
        ("00", "6700"),
        ("00 A4 00", "6700"),
        ("00 A4 00 0C 02 3F", "6700"),
        ("00 A4 00 0C 02 3F00 00 00", "6700"),
        ("00 A4 00 0C 00 00 02 3F00", "6700"),
        ("00 A4 00 0C 00 00", "6700"),
        ("00 C0 01 00 27", "6A86"),
        ("00 C0 00 01 27", "6A86"),
        ("00 C0 00 00 01 00", "6700"),
        ("00 FF 00 00", "6D00"),
        ("00 0E 00 00", "6D00"),
        ("00 70 00 00 01", "6D00"),
        ("01 A4 04 0C 08 8025000001FF0100", "6E00"),
        ("0C A4 04 0C 08 8025000001FF0100", "6E00"),
        ("80 A4 04 0C 08 8025000001FF0100", "6E00"),
        ("FF A4 04 0C 08 8025000001FF0100", "6E00"),
        ("10 A4 04 0C 08 8025000001FF0100", "6884"),
        ("10 20 00 01 04 31323334", "6884"),
    ],
)
def test_what_no_instruction_takes(card: SoftwareCard, command: str, sw: str) -> None:
    assert execute(card, command) == sw


def test_a_chain_is_broken_by_any_other_command(card: SoftwareCard) -> None:
    send(card, VERIFY)
    send(card, "00 A4 09 0C 04 3F00 0001")
    send(card, "00 22 41 B8 06 80011A 840182")
    for between in ("00 20 00 01 00", "00 C0 00 00 01", "10 2A 80 84 01 00"):
        assert execute(card, "10 2A 80 86 FF 81" + "00" * 254) == "9000"
        execute(card, between)
        assert execute(card, "00 2A 80 86 02 0000") == "6700"


def test_a_chain_has_a_limit(card: SoftwareCard) -> None:
    sent = 0
    while sent + 255 <= MAX_CHAINED_BYTES:
        assert execute(card, "10 2A 80 86 FF" + "00" * 255) == "9000"
        sent += 255

    assert execute(card, "10 2A 80 86 FF" + "00" * 255) == "6700"
    assert execute(card, "10 2A 80 86 FF" + "00" * 255) == "9000", "a new chain"


@pytest.fixture
def radio() -> SoftwareCard:
    card = SoftwareCard(cards.image(), contactless=True)
    card.power_on()
    return card


def test_by_radio_the_card_has_another_answer_to_reset_and_protocol(radio: SoftwareCard) -> None:
    assert recognise(radio.atr) is CardType.CPS3_CONTACTLESS
    assert not radio.t0


def test_by_radio_an_answer_comes_at_once_if_it_is_asked_for(radio: SoftwareCard) -> None:
    assert execute(radio, SELECT_SN + "00") == FCP + "9000"
    assert execute(radio, SELECT_SN + "20") == FCP[:64] + "6107"
    assert execute(radio, "00 C0 00 00 07") == FCP[64:] + "9000"
    assert execute(radio, SELECT_SN) == "9000"
    assert execute(radio, "00 C0 00 00 07") == "6985"


def test_by_radio_there_is_no_pin(radio: SoftwareCard) -> None:
    assert execute(radio, VERIFY) == "6A88"
    assert execute(radio, "00 20 00 01") == "6A88"
    assert execute(radio, "00 24 00 01 08 31323334 34333231") == "6A88"
    assert execute(radio, "00 2C 00 01 0C 3132333435363738 34333231") == "6A88"
    assert execute(radio, "00 CB 3F FF 0A 4D 08 70 06 BF8101 02 A080 00") == "6A88"


def test_by_radio_only_the_technical_key_works_and_wants_no_pin(radio: SoftwareCard) -> None:
    execute(radio, "00 A4 09 0C 04 3F00 0001")
    for command in ("00 22 41 A4 06 800102 840182", "00 22 41 B6 06 800142 840181"):
        assert execute(radio, command) == "9000"
    assert execute(radio, "00 88 00 00 01 00 00") == "6985"
    assert execute(radio, "00 2A 9E 9A 20" + "00" * 32 + "00") == "6D00"

    execute(radio, "00 A4 09 0C 04 3F00 0002")
    assert execute(radio, "00 22 41 A4 06 800102 840183") == "9000"
    answer = execute(radio, "00 88 00 00 01 00 00")
    assert len(answer) == 2 * 258
    assert answer.endswith("9000")


@pytest.mark.parametrize("path", ["0001 D120", "0001 D107"])
def test_by_radio_nothing_behind_the_pin_is_read_or_written(radio: SoftwareCard, path: str) -> None:
    assert execute(radio, f"00 A4 09 0C 06 3F00 {path}") == "9000"
    assert execute(radio, "00 D6 00 00 01 00") == "6982"
    assert execute(radio, "00 B0 00 00 01") == ("6982" if path.endswith("D120") else "009000")
    assert execute(radio, "A0 A4 00 00 02 4010 00")[-4:] == "9000"
    assert execute(radio, "A0 B0 00 00 01") == "9804"
