"""EF.SN: the serial number, and what is none."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.card.files import is_serial_file, parsed, serial_number
from cps.errors import CardDataError

REAL = bytes.fromhex("5A 0A 80 25 00 00 01 99 21 38 45 0F")


def test_the_serial_number_of_a_real_card() -> None:
    assert serial_number(REAL) == "99213845"


def test_leading_zeros_are_kept() -> None:
    assert serial_number(bytes.fromhex("5A 0A 80 25 00 00 01 00 00 00 01 0F")) == "00000001"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(bytes.fromhex("5A 0A 80 25 00 00 02 99 21 38 45 0F"), id="of another issuer"),
        pytest.param(None, id="without serial number"),
    ],
)
def test_a_card_that_only_looks_alike_has_none(content: bytes | None) -> None:
    assert serial_number(content) is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("5A 0A 80 25 00 00 01 99 21 38 45", id="truncated"),
        pytest.param("5A 0A 80 25 00 00 01 99 21 38 45 0F 00", id="too long"),
        pytest.param("5B 0A 80 25 00 00 01 99 21 38 45 0F", id="another tag"),
        pytest.param("5A 0B 80 25 00 00 01 99 21 38 45 0F", id="a length past the end"),
        pytest.param("5A 0A 80 25 00 00 01 99 2A 38 45 0F", id="no digits"),
    ],
)
def test_a_serial_number_of_another_form_is_refused(content: str) -> None:
    with pytest.raises(CardDataError, match=r"EF\.SN"):
        serial_number(bytes.fromhex(content))


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=16), st.binary(min_size=5, max_size=5).map(lambda end: REAL[:7] + end)
    )
)
def test_anything_is_eight_digits_or_none_or_card_data(content: bytes) -> None:
    with suppress(CardDataError):
        serial = serial_number(content)
        assert serial is None or (len(serial) == 8 and serial.isascii() and serial.isdecimal())


def test_the_form_is_told_whatever_the_issuer() -> None:
    assert is_serial_file(REAL)
    assert is_serial_file(REAL.replace(b"\x80\x25", b"\x12\x34"))
    assert not is_serial_file(REAL[:-1])
    assert not is_serial_file(b"\x61" + REAL[1:])


def test_what_a_decoder_does_not_understand_is_the_cards_fault() -> None:
    assert parsed("a number", b"7", int) == 7
    with pytest.raises(CardDataError, match=r"a number: .*x"):
        parsed("a number", b"x", int)
