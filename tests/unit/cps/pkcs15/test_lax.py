"""Primitive types as real cards write them, and how far that goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps import tlv
from cps.pkcs15 import lax
from cps.tlv import TLV

ENTRY = TLV(tag=0x30, value=b"\x05\x00")


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        pytest.param("0560", {1, 2}, id="sign and decipher"),
        pytest.param("06 0040", {9}, id="non-repudiation"),
        pytest.param("00 01", {7}, id="the last bit of a byte"),
        pytest.param("04 0C10", {4, 5, 11}, id="flags of a real PIN"),
        pytest.param("08", set(), id="real cards: nothing, eight bits unused"),
        pytest.param("08 00", set(), id="real cards: one byte, all of it unused"),
        pytest.param("08 FF", set(), id="unused bits that are set"),
        pytest.param("04 FF", {0, 1, 2, 3}, id="half a byte"),
        pytest.param("00", set(), id="empty"),
    ],
)
def test_bits_are_counted_from_the_left(value: str, bits: set[int]) -> None:
    assert lax.bits(bytes.fromhex(value)) == bits


@given(st.frozensets(st.integers(0, 63)))
def test_bits_are_read_as_they_were_written(bits: frozenset[int]) -> None:
    value = bytearray(8)
    for bit in bits:
        value[bit // 8] |= 0x80 >> bit % 8
    assert lax.bits(b"\x00" + value) == bits


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="no count"),
        pytest.param("09 00", id="nine bits unused"),
        pytest.param("00" + "FF" * 9, id="nine bytes"),
    ],
)
def test_other_bit_strings_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="BIT STRING"):
        lax.bits(bytes.fromhex(value))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        pytest.param("00", 0, id="zero"),
        pytest.param("0082", 0x82, id="a key reference"),
        pytest.param("000082", 0x82, id="a zero too many"),
        pytest.param("7FFFFFFF", 2**31 - 1, id="the largest"),
    ],
)
def test_natural_numbers(value: str, number: int) -> None:
    assert lax.natural(bytes.fromhex(value)) == number


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("82", id="negative"),
        pytest.param("0000000001", id="five bytes"),
    ],
)
def test_other_numbers_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="INTEGER"):
        lax.natural(bytes.fromhex(value))


@pytest.mark.parametrize(
    ("data", "count"),
    [
        pytest.param(b"", 0, id="an empty file"),
        pytest.param(b"\x00" * 100, 0, id="a file of zeros"),
        pytest.param(b"\xff" * 100, 0, id="an erased file"),
        pytest.param(ENTRY.encode() * 2, 2, id="two entries"),
        pytest.param(ENTRY.encode() + b"\x00" * 20, 1, id="zeros behind"),
        pytest.param(ENTRY.encode() + b"\xff" * 20, 1, id="erased behind"),
        pytest.param(b"\x00" + ENTRY.encode() + b"\x00" + ENTRY.encode(), 2, id="zeros between"),
        pytest.param(ENTRY.encode() * lax.MAX_ENTRIES + b"\x00", 64, id="as many as allowed"),
    ],
)
def test_filling_is_passed_over(data: bytes, count: int) -> None:
    assert list(lax.entries(data)) == [ENTRY] * count


def test_one_entry_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 64 entries"):
        list(lax.entries(ENTRY.encode() * (lax.MAX_ENTRIES + 1)))


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_truncated_entry_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match=r"end|no length"):
        list(lax.entries(ENTRY.encode()[:cut]))


def test_the_first_object_of_a_tag_is_taken() -> None:
    objects = [TLV(tag=0x02, value=b"\x01"), TLV(tag=0x04, value=b"a"), TLV(tag=0x04, value=b"b")]
    assert lax.first(objects, 0x04) == objects[1]
    assert lax.first(objects, 0x30) is None


def test_a_missing_object_is_named() -> None:
    with pytest.raises(ValueError, match="the path is missing"):
        lax.required([], tlv.encode(0x04)[0], "the path")
