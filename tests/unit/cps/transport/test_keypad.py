"""PC/SC part 10: the structures to the byte, and lists of features that readers give."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps.transport.keypad import VERIFY_PIN_DIRECT, feature_code, verify_structure

COMMAND = bytes.fromhex("00 20 00 01 08 FFFFFFFFFFFFFFFF")


def test_the_structure_is_the_one_of_part_10() -> None:
    structure = verify_structure(COMMAND, shortest=4, longest=8, language="fr")
    assert structure.hex(" ").upper() == (
        "1E "  # bTimeOut: 30 s
        "1E "  # bTimeOut2
        "82 "  # bmFormatString: ASCII, from the left, positions in bytes
        "08 "  # bmPINBlockString: no length in front, a block of 8 bytes
        "00 "  # bmPINLengthFormat
        "08 04 "  # wPINMaxExtraDigit, little-endian: at least 4, at most 8
        "02 "  # bEntryValidationCondition: the validation key
        "FF "  # bNumberMessage: the reader's own
        "0C 04 "  # wLangId 040C: French
        "00 "  # bMsgIndex
        "00 00 00 "  # bTeoPrologue
        "0D 00 00 00 "  # ulDataLength: 13
        "00 20 00 01 08 FF FF FF FF FF FF FF FF"
    )


def test_a_display_may_speak_english() -> None:
    structure = verify_structure(COMMAND, shortest=4, longest=4, language="en")
    assert structure[9:11] == b"\x09\x04"


def test_a_pin_without_padding_is_put_in_by_the_reader() -> None:
    command = bytes.fromhex("01 20 00 01 00")
    structure = verify_structure(command, shortest=4, longest=8, language="fr")
    assert structure[3] == 0
    assert structure[15:] == bytes.fromhex("05000000") + command


@pytest.mark.parametrize(
    ("command", "shortest", "longest"),
    [
        pytest.param(COMMAND[:-1], 4, 8, id="command too short"),
        pytest.param(COMMAND + b"\xff", 4, 8, id="command too long"),
        pytest.param(COMMAND[:4], 4, 8, id="no length"),
        pytest.param(COMMAND, 4, 9, id="longer than the block"),
        pytest.param(COMMAND, 5, 4, id="crossed"),
        pytest.param(COMMAND, 0, 4, id="empty"),
        pytest.param(bytes((0, 32, 0, 1, 16)) + bytes(16), 4, 8, id="no nibble for it"),
    ],
)
def test_what_does_not_fit_together_is_not_sent(
    command: bytes, shortest: int, longest: int
) -> None:
    with pytest.raises(ValueError, match="PIN"):
        verify_structure(command, shortest=shortest, longest=longest, language="fr")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param("", None, id="none"),
        pytest.param("0704 42330007", None, id="another"),
        pytest.param("0604 42330006", 0x42330006, id="alone"),
        pytest.param("0104 42000DB0 0604 42330006 0A04 42000DB4", 0x42330006, id="among others"),
    ],
)
def test_a_feature_is_found_by_its_tag(raw: str, code: int | None) -> None:
    assert feature_code(bytes.fromhex(raw), VERIFY_PIN_DIRECT) == code


@pytest.mark.parametrize(
    "raw", ["06", "0604", "060442330006FF", "0603423300", "060542330006", "0608" + "00" * 4]
)
def test_a_list_of_another_form_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="feature"):
        feature_code(bytes.fromhex(raw), VERIFY_PIN_DIRECT)


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="516 bytes"):
        feature_code(bytes.fromhex("010400000000") * 86, VERIFY_PIN_DIRECT)


@given(st.binary(max_size=600))
def test_garbage_is_a_list_or_a_value_error(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        feature_code(raw, VERIFY_PIN_DIRECT)
