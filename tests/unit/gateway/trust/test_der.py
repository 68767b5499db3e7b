import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from cps import tlv
from gateway.trust.der import decode, decode_identifier_pairs, decode_texts, members


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_the_members_of_a_sequence_are_found(contents: list[bytes]) -> None:
    encoded = [tlv.encode(0x04, content) for content in contents]
    assert members(tlv.encode(0x30, *encoded)) == tuple(encoded)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(der: bytes) -> None:
    try:
        found = members(der)
    except ValueError:
        return
    assert tlv.encode(0x30, *found) == der


@pytest.mark.parametrize(
    "der",
    [
        "",
        "30",
        "3001",
        "3100",
        "300000",
        "30020400ff",
        "30030402ff",
        "3080040000000000",
        "30810204 00",
        "3003 048100",
        "3004 04820000",
        "30820004 04020000",
    ],
    ids=[
        "nothing",
        "no length",
        "no content",
        "a SET",
        "a byte behind",
        "a byte behind the member",
        "member too long",
        "indefinite length",
        "long form for a short length",
        "long form in a member",
        "two bytes for nothing in a member",
        "leading zero",
    ],
)
def test_what_is_not_one_sequence_in_der_is_refused(der: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        members(bytes.fromhex(der))


def test_texts_are_read() -> None:
    der = tlv.encode(0x30, tlv.encode(0x0C, b"SM26"), tlv.encode(0x0C, "É".encode()))
    assert decode_texts(der) == ("SM26", "É")


@pytest.mark.parametrize(
    "der", ["30030401 41", "30030c01ff", "0c0141"], ids=["bytes", "not UTF-8", "no list"]
)
def test_other_lists_are_no_texts(der: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_texts(bytes.fromhex(der))


def test_pairs_of_identifiers_are_read() -> None:
    pair = x509.ObjectIdentifier("1.3.6"), x509.ObjectIdentifier("1.3.7")
    assert decode_identifier_pairs(bytes.fromhex("300a 3008 06022b06 06022b07")) == (pair,)


@pytest.mark.parametrize(
    "der",
    ["300630 04 06022b06", "300e300c 06022b06 06022b06 06022b06", "3006 3004 0c022b06"],
    ids=["one alone", "three", "a text"],
)
def test_other_lists_are_no_pairs(der: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_identifier_pairs(bytes.fromhex(der))


def test_one_value_is_decoded_strictly() -> None:
    assert decode(int, b"\x02\x01\x05") == 5
    with pytest.raises(ValueError, match=r"."):
        decode(int, b"\x02\x02\x00\x05")
