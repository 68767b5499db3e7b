"""Base64url, base64 and JSON: one accepted spelling for each value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps.authtoken.encoding import (
    MAX_CONTAINERS,
    b64_decode,
    b64_encode,
    b64url_decode,
    b64url_encode,
    parse_object,
)

_LEAVES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20)


@given(st.binary(max_size=100))
def test_both_encodings_are_read_as_they_were_written(data: bytes) -> None:
    assert b64url_decode(b64url_encode(data), length=len(data)) == data
    assert b64_decode(b64_encode(data)) == data


@given(st.text(alphabet="AQgw_-+/=. \n", max_size=12))
def test_whatever_is_read_has_no_second_spelling(text: str) -> None:
    for decode, encode in ((b64url_decode, b64url_encode), (b64_decode, b64_encode)):
        try:
            data = decode(text)
        except ValueError:
            continue
        assert encode(data) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("AA==", id="padding"),
        pytest.param("A", id="one character"),
        pytest.param("AB", id="bits that count for nothing"),
        pytest.param("+/8", id="the other alphabet"),
        pytest.param("AA A", id="a space"),
        pytest.param("AAAA\n", id="a line end"),
        pytest.param("ÀAAA", id="not ASCII"),
    ],
)
def test_other_spellings_of_base64url_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        b64url_decode(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("AA", id="no padding"),
        pytest.param("AB==", id="bits that count for nothing"),
        pytest.param("_-8=", id="the other alphabet"),
        pytest.param("AAAA\n", id="a line end"),
        pytest.param("AA==AA==", id="padding in the middle"),
        pytest.param("ÀAAA", id="not ASCII"),
    ],
)
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        b64_decode(text)


def test_another_count_of_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="2 bytes where 3 are wanted"):
        b64url_decode(b64url_encode(bytes(2)), length=3)


@given(st.dictionaries(st.text(max_size=10), _LEAVES, max_size=10))
def test_an_object_is_read_as_it_was_written(members: dict[str, object]) -> None:
    raw = json.dumps(members, ensure_ascii=False).encode("utf-8", "replace")
    assert parse_object(raw, max_bytes=100_000) == json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"a":1', id="truncated"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b'"a"', id="a text"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a":1}{}', id="two objects"),
        pytest.param(b'{"a":1,}', id="a comma too many"),
        pytest.param(b"{'a':1}", id="the wrong quotes"),
        pytest.param(b'{"a":1,"a":1}', id="a member twice"),
        pytest.param(b'{"a":1,"\\u0061":1}', id="a member twice, once escaped"),
        pytest.param(b'{"b":{"a":1,"a":2}}', id="a member twice further in"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":-Infinity}', id="infinity by name"),
        pytest.param(b'{"a":1e999}', id="infinity by size"),
        pytest.param(b'{"a":"\\ud800"}', id="half a surrogate pair"),
        pytest.param(b'{"\\udfff":1}', id="half a surrogate pair as name"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a":"\n"}', id="a line end in a text"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="a number of 5000 digits"),
    ],
)
def test_what_leaves_room_for_interpretation_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|UTF-8"):
        parse_object(raw, max_bytes=10_000)


def test_an_oversize_body_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="11 bytes where 10 are allowed"):
        parse_object(b"\xff" * 11, max_bytes=10)


def test_a_body_may_be_as_large_as_allowed() -> None:
    assert parse_object(b'{"a":1234}', max_bytes=10) == {"a": 1234}


@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["arrays", "objects"])
def test_depth_is_counted_before_it_is_parsed(opening: str) -> None:
    raw = ('{"a":' + opening * MAX_CONTAINERS).encode()
    with pytest.raises(ValueError, match="more than 8 arrays and objects"):
        parse_object(raw, max_bytes=10_000)


def test_as_many_containers_as_allowed_are_read() -> None:
    raw = b'{"a":' + b"[" * (MAX_CONTAINERS - 1) + b"]" * (MAX_CONTAINERS - 1) + b"}"
    assert "a" in parse_object(raw, max_bytes=100)
