"""SELECT, READ BINARY and UPDATE BINARY through the chip."""

import os
from pathlib import Path

import pytest

from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from tests.support import cards
from tests.support.cards import send

SN_FCP = "62258002000C8201018302D0038801E0A1128C077BFFFFFFFFFF009C077BFFFFFFFFFF008A0105"
DF_FCP = (
    "622D82013883020001840DE828BD080F8025000001FF0010A1128C077BFFFFFFFFFF009C077BFFFFFFFFFF008A0105"
)
ODF_FCP_BEHIND_ITS_SIZE = "820101830250318800A1128C077BFFFFFFFFFF009C077BFFFFFFFFFF008A0105"
VERIFY = "00 20 00 01 04 31323334"
VERIFY_PUK = "00 20 00 02 08 3132333435363738"


@pytest.fixture
def image() -> CardImage:
    return cards.image()


@pytest.fixture
def card(image: CardImage) -> SoftwareCard:
    return cards.powered_card(image)


def content(image: CardImage, path: str) -> str:
    return image.content(bytes.fromhex(path)).hex().upper()


def test_the_parameters_of_a_file_are_those_of_a_real_card(card: SoftwareCard) -> None:
    assert send(card, "00 A4 09 04 04 3F00 D003") == SN_FCP + "9000"
    assert send(card, "00 A4 09 04 04 3F00 0001") == DF_FCP + "9000"
    assert send(card, "00 A4 09 04 02 5031") == "62248002003C" + ODF_FCP_BEHIND_ITS_SIZE + "9000"


def test_parameters_show_who_may_write(card: SoftwareCard) -> None:
    assert "8C077B45FFFFFF4500" in send(card, "00 A4 09 04 04 3F00 2F01")
    assert "8C077BFFFFFFFF1100" in send(card, "00 A4 09 04 06 3F00 0001 D107")
    assert "8C077BFFFFFFFFFF11" in send(card, "00 A4 09 04 06 3F00 0001 D120")


@pytest.mark.parametrize(
    "command",
    [
        "00 A4 00 00 02 3F00",
        "00 A4 00 04 02 3F00",
        "00 A4 00 0C 02 3F00",
        "00 A4 09 04 02 3F00",
        "00 A4 09 0C 02 3F00",
        "00 A4 02 04 02 3F00",
        "00 A4 02 0C 02 3F00",
        "00 A4 00 0C",
        "00 A4 03 04",
        "00 A4 04 00 08 8025000001FF0100",
        "00 A4 04 04 08 8025000001FF0100",
        "00 A4 04 0C 08 8025000001FF0100",
    ],
)
def test_the_mf_is_selected_from_anywhere_and_tells_nothing_of_itself(
    card: SoftwareCard, command: str
) -> None:
    send(card, "00 A4 09 0C 04 3F00 0001")

    assert send(card, command) == "9000"
    assert send(card, "00 A4 09 0C 02 2F00") == "9000"


@pytest.mark.parametrize(
    "command",
    [
        "00 A4 09 0C 06 3F00 0001 5031",
        "00 A4 09 0C 04 0001 5031",
        "00 A4 08 0C 04 0001 5031",
    ],
)
def test_a_file_is_selected_by_path_from_the_mf(
    card: SoftwareCard, image: CardImage, command: str
) -> None:
    assert send(card, command) == "9000"
    assert send(card, "00 B0 00 00 00") == content(image, "3F0000015031") + "9000"


@pytest.mark.parametrize("p1", ["00", "02", "09"])
def test_a_file_is_selected_by_its_identifier_below_the_current_df(
    card: SoftwareCard, image: CardImage, p1: str
) -> None:
    send(card, "00 A4 04 0C 0D E828BD080F8025000001FF0010")

    assert send(card, f"00 A4 {p1} 0C 02 5031") == "9000"
    assert send(card, "00 B0 00 00 00") == content(image, "3F0000015031") + "9000"


def test_a_relative_path_works_below_the_current_df_alone(card: SoftwareCard) -> None:
    assert send(card, "00 A4 09 0C 02 2F00") == "9000"
    send(card, "00 A4 09 0C 04 3F00 0001")

    assert send(card, "00 A4 09 0C 02 2F00") == "6A82"
    assert send(card, "00 A4 02 0C 02 2F00") == "6A82"
    assert send(card, "00 A4 00 0C 02 2F00") == "6A82"


def test_dedicated_files_beside_the_current_one_are_found_by_identifier(
    card: SoftwareCard, image: CardImage
) -> None:
    send(card, "00 A4 00 0C 02 0001")
    assert send(card, "00 A4 00 0C 02 0002") == "9000"
    assert send(card, "00 A4 00 0C 02 0002") == "9000"

    send(card, "00 A4 02 0C 02 5031")
    assert send(card, "00 B0 00 00 00") == content(image, "3F0000025031") + "9000"


def test_a_failed_select_changes_nothing(card: SoftwareCard, image: CardImage) -> None:
    send(card, "00 A4 09 0C 06 3F00 0001 5031")

    assert send(card, "00 A4 09 0C 04 3F00 D010") == "6A82"
    assert send(card, "00 A4 02 00 02 5032") == "6A86"
    assert send(card, "00 B0 00 00 00") == content(image, "3F0000015031") + "9000"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00 A4 09 04 04 3F00 D010", "6A82"),
        ("00 A4 09 04 06 3F00 0001 FFFF", "6A82"),
        ("00 A4 09 04 06 3F00 D003 D003", "6A82"),
        ("00 A4 08 04 04 3F00 D003", "6A82"),
        ("00 A4 02 04 02 0001", "6A82"),
        ("00 A4 03 0C", "6A82"),
        ("00 A4 04 04 05 8025000001", "6A82"),
        ("00 A4 04 04 08 8025000001FF0002", "6A82"),
        ("00 A4 04 04 07 A0000001510000", "6A82"),
        ("00 A4 01 04 02 D003", "6A86"),
        ("00 A4 05 04 02 D003", "6A86"),
        ("00 A4 00 08 02 D003", "6A86"),
        ("00 A4 00 01 02 D003", "6A86"),
        ("00 A4 02 00 02 D003", "6A86"),
        ("00 A4 04 00 0D E828BD080F8025000001FF0010", "6A86"),
        ("00 A4 00 04 01 3F", "6700"),
        ("00 A4 00 04 03 3F00D0", "6700"),
        ("00 A4 02 04 04 3F00D003", "6700"),
        ("00 A4 09 04 03 3F00D0", "6700"),
        ("00 A4 08 04", "6700"),
        ("00 A4 03 04 02 3F00", "6700"),
    ],
)
def test_what_cannot_be_selected(card: SoftwareCard, command: str, sw: str) -> None:
    assert send(card, command) == sw


@pytest.mark.parametrize(
    ("sfi", "path"), [("9C", "3F00D003"), ("9D", "3F002F01"), ("9E", "3F002F00")]
)
def test_a_file_is_read_by_its_short_identifier_right_after_reset(
    card: SoftwareCard, image: CardImage, sfi: str, path: str
) -> None:
    assert send(card, f"00 B0 {sfi} 00 00") == content(image, path) + "9000"
    assert send(card, "00 B0 00 01 02") == content(image, path)[2:6] + "9000"


def test_a_short_identifier_is_looked_for_in_the_current_df_alone(card: SoftwareCard) -> None:
    send(card, "00 A4 09 0C 04 3F00 0001")

    assert send(card, "00 B0 9C 00 0C") == "6A82"


def test_reading_gives_what_is_left_where_less_is_left(card: SoftwareCard) -> None:
    assert send(card, "00 B0 9C 00 C0") == "5A0A8025000001280000016F9000"
    assert send(card, "00 B0 00 0A FF") == "016F9000"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00 B0 00 0C 01", "6282"),
        ("00 B0 00 0D 01", "6B00"),
        ("00 B0 7F FF 01", "6B00"),
        ("00 B0 9C 0D 01", "6B00"),
        ("00 B0 9F 00 01", "6A82"),
        ("00 B0 BC 00 01", "6A86"),
        ("00 B0 DC 00 01", "6A86"),
        ("00 B0 00 00 01 00", "6700"),
    ],
)
def test_what_cannot_be_read(card: SoftwareCard, command: str, sw: str) -> None:
    send(card, "00 A4 09 0C 04 3F00 D003")

    assert send(card, command) == sw


def test_without_a_current_file_there_is_nothing_to_read_or_write(card: SoftwareCard) -> None:
    assert send(card, "00 B0 00 00 01") == "6986"
    send(card, "00 A4 09 0C 04 3F00 D003")
    send(card, "00 A4 09 0C 04 3F00 0001")

    assert send(card, "00 B0 00 00 01") == "6986"
    assert send(card, "00 D6 00 00 01 00") == "6986"


def test_a_long_file_is_read_piece_by_piece(card: SoftwareCard, image: CardImage) -> None:
    wanted = content(image, "3F000001C002")
    send(card, "00 A4 09 0C 06 3F00 0001 C002")
    read = ""
    while len(read) < len(wanted):
        offset = len(read) // 2
        answer = send(card, f"00 B0 {offset:04X} E7")
        assert answer.endswith("9000")
        read += answer[:-4]

    assert read == wanted


def test_a_protected_file_is_read_after_the_pin_alone(card: SoftwareCard) -> None:
    send(card, "00 A4 09 0C 06 3F00 0001 D120")
    assert send(card, "00 B0 00 00 00") == "6982"
    send(card, VERIFY_PUK)
    assert send(card, "00 B0 00 00 00") == "6982"

    send(card, VERIFY)

    assert send(card, "00 B0 00 00 00").startswith("EE")


def test_the_data_file_is_written_after_the_pin_alone(card: SoftwareCard) -> None:
    send(card, "00 A4 09 0C 06 3F00 0001 D107")
    assert send(card, "00 D6 00 00 02 ABCD") == "6982"

    send(card, VERIFY)

    assert send(card, "00 D6 00 3E 02 ABCD") == "9000"
    assert send(card, "00 B0 00 3D 00") == "00ABCD9000"


@pytest.mark.parametrize("path", ["D003", "2F00", "2F01", "0001 7005", "0001 C002", "0001 D120"])
def test_nothing_else_is_ever_written(card: SoftwareCard, path: str) -> None:
    send(card, VERIFY)
    send(card, VERIFY_PUK)
    length = 2 + len(bytes.fromhex(path))
    assert send(card, f"00 A4 09 0C {length:02X} 3F00 {path}") == "9000"

    assert send(card, "00 D6 00 00 01 00") == "6982"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00 D6 00 3F 02 ABCD", "6A84"),
        ("00 D6 00 41 01 AB", "6B00"),
        ("00 D6 00 00 00", "6700"),
    ],
)
def test_a_file_keeps_its_size(card: SoftwareCard, command: str, sw: str) -> None:
    send(card, VERIFY)
    send(card, "00 A4 09 0C 06 3F00 0001 D107")

    assert send(card, command) == sw
    assert send(card, "00 B0 00 00 00") == "00" * 64 + "9000"


def test_a_written_file_outlives_the_power(card: SoftwareCard) -> None:
    send(card, VERIFY)
    send(card, "00 A4 09 0C 06 3F00 0001 D107")
    send(card, "00 D6 00 00 02 ABCD")
    card.power_off()
    card.power_on()
    send(card, "00 A4 09 0C 06 3F00 0001 D107")

    assert send(card, "00 B0 00 00 02") == "ABCD9000"


def test_a_written_file_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    cards.image().write(path)
    with CardImage.open(path) as opened:
        card = cards.powered_card(opened)
        send(card, VERIFY)
        send(card, "00 A4 09 0C 06 3F00 0001 D107")
        assert send(card, "00 D6 00 00 02 ABCD") == "9000"

    assert CardImage.read(path).content(bytes.fromhex("3F000001D107"))[:2] == b"\xab\xcd"


def test_what_could_not_be_stored_is_not_read_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "card.json"
    cards.image().write(path)

    def refuse(descriptor: int) -> None:
        raise OSError("no room")

    with CardImage.open(path) as opened:
        card = cards.powered_card(opened)
        send(card, VERIFY)
        send(card, "00 A4 09 0C 06 3F00 0001 D107")
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", refuse)
            assert send(card, "00 D6 00 00 02 ABCD") == "6581"

        assert send(card, "00 B0 00 00 02") == "00009000"
