import json
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.line import (
    MAX_ITEMS,
    MAX_LINE_BYTES,
    MAX_TEXT_CHARS,
    START,
    FieldValue,
    decode,
    decode_whole,
    encode,
)

HOSTILE = {
    "newline": "a\nb",
    "return": "a\r\nb",
    "escape": "\x1b[2Jb",
    "nul": "a\0b",
    "line separator": "a\u2028b",
    "direction": "a\u202eb",
    "quote": 'a","event":"x',
    "surrogate": "a\ud800b",
    "invalid UTF-8": b"a\xff\xfeb".decode("utf-8", "surrogateescape"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_content_stays_one_valid_line(text: str) -> None:
    content, _ = encode({"event": "seen", "record": text}, START)
    assert content.count(b"\n") == 1
    assert content.isascii()
    assert json.loads(content)["record"] == text


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8).filter(lambda x: x not in ("n", "prev")), st.text()))
def test_what_is_written_is_read(fields: dict[str, str]) -> None:
    content, link = encode(cast("dict[str, FieldValue]", fields), START)
    line = decode_whole(content)
    assert line.link == link
    assert line.prev == START.digest
    assert line.fields == {name: value[:MAX_TEXT_CHARS] for name, value in fields.items()}


def test_the_same_fields_give_the_same_bytes() -> None:
    assert encode({"a": 1, "b": 2}, START) == encode({"b": 2, "a": 1}, START)


def test_huge_content_is_cut() -> None:
    content, _ = encode({"text": "x" * 10_000_000, "items": ["y" * 10_000_000] * 1000}, START)
    assert len(content) < MAX_LINE_BYTES
    members = json.loads(content)
    assert len(members["text"]) == MAX_TEXT_CHARS
    assert len(members["items"]) == MAX_ITEMS


@pytest.mark.parametrize(
    "fields",
    [{"n": 1}, {"prev": "0"}, {"x": 1.5}, {"x": b"bytes"}, {"x": [1]}, {"x": {}}],
    ids=["own number", "own link", "float", "bytes", "list of numbers", "object"],
)
def test_what_no_line_holds_is_refused(fields: dict[str, FieldValue]) -> None:
    with pytest.raises(TypeError):
        encode(fields, START)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        b"\xff",
        b'{"n":1}',
        b'{"prev":"00"}',
        b'{"n":true,"prev":"00"}',
        b'{"n":1,"prev":7}',
        b"[" * 100_000,
        b'{"n":1,"prev":"00","x":"%s"}' % (b"x" * MAX_LINE_BYTES),
    ],
    ids=[
        *("empty", "list", "cut", "null", "not UTF-8", "no link", "no number", "true for a number"),
        *("number for a link", "deep", "long"),
    ],
)
def test_what_is_no_line_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds, with several texts
        decode(content)


def test_a_line_without_its_end_is_none() -> None:
    content, _ = encode({"event": "seen"}, START)
    with pytest.raises(ValueError, match="has no end"):
        decode_whole(content[:-1])
