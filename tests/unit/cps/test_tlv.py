"""BER-TLV: round trips, truncation, and every length that lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps import tlv
from cps.tlv import TLV

_TAGS = st.sampled_from([0x02, 0x04, 0x30, 0x5A, 0x62, 0x80, 0xA1, 0x7F48, 0x9F7F, 0xBF8101])
_OBJECTS = st.builds(TLV, tag=_TAGS, value=st.binary(max_size=300))


@given(st.lists(_OBJECTS, max_size=5))
def test_a_row_is_read_as_it_was_written(objects: list[TLV]) -> None:
    raw = b"".join(each.encode() for each in objects)
    assert list(tlv.iterate(raw)) == objects


@given(_OBJECTS, st.data())
def test_a_truncated_object_is_refused(each: TLV, data: st.DataObject) -> None:
    raw = each.encode()
    cut = raw[: data.draw(st.integers(1, len(raw) - 1))]
    with pytest.raises(ValueError, match=r"end|no length"):
        list(tlv.iterate(cut))


@given(_OBJECTS)
def test_the_length_of_an_object_is_known_from_its_head(each: TLV) -> None:
    raw = each.encode()
    head = raw[: len(raw) - len(each.value)]
    assert tlv.encoded_length(head) == len(raw)


@given(st.binary(max_size=64))
def test_any_bytes_are_objects_or_refused(raw: bytes) -> None:
    try:
        objects = list(tlv.iterate(raw))
    except ValueError:
        return
    assert sum(len(each.value) for each in objects) <= len(raw)


@pytest.mark.parametrize(
    ("raw", "tag", "value"),
    [
        pytest.param("5A02AABB", 0x5A, "AABB", id="one byte of length"),
        pytest.param("5A8102AABB", 0x5A, "AABB", id="81"),
        pytest.param("5A820002AABB", 0x5A, "AABB", id="82"),
        pytest.param("5A83000002AABB", 0x5A, "AABB", id="83"),
        pytest.param("BF810101FF", 0xBF8101, "FF", id="tag of three bytes"),
        pytest.param("9F8180000100", 0x9F818000, "00", id="tag of four bytes"),
        pytest.param("0500", 0x05, "", id="empty"),
    ],
)
def test_forms_that_are_read(raw: str, tag: int, value: str) -> None:
    each, end = tlv.read(bytes.fromhex(raw))
    assert (each.tag, each.value.hex().upper(), end) == (tag, value, len(raw) // 2)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing"),
        pytest.param("5A", id="no length"),
        pytest.param("5A80" + "00" * 200, id="indefinite length"),
        pytest.param("5A8400000001FF", id="four bytes of length"),
        pytest.param("5AFF", id="reserved length"),
        pytest.param("5A82FF", id="half a length"),
        pytest.param("5A83FFFFFF00", id="sixteen megabytes that are not there"),
        pytest.param("5A03AABB", id="one byte short"),
        pytest.param("9F", id="half a tag"),
        pytest.param("9F8181810101FF", id="tag of five bytes"),
    ],
)
def test_forms_that_are_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"tag|length"):
        tlv.read(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("length", "head"),
    [
        pytest.param(0, "0400", id="0"),
        pytest.param(0x7F, "047F", id="127"),
        pytest.param(0x80, "048180", id="128"),
        pytest.param(0x100, "04820100", id="256"),
        pytest.param(0x10000, "0483010000", id="65536"),
    ],
)
def test_lengths_are_written_in_their_shortest_form(length: int, head: str) -> None:
    raw = tlv.encode(0x04, bytes(length))
    assert raw[: len(raw) - length].hex().upper() == head


def test_parts_are_joined() -> None:
    assert tlv.encode(0x30, b"\x05\x00", b"\x05\x00") == bytes.fromhex("300405000500")


@pytest.mark.parametrize(
    ("tag", "constructed"),
    [
        pytest.param(0x30, True, id="sequence"),
        pytest.param(0x04, False, id="octet string"),
        pytest.param(0xBF8101, True, id="long and constructed"),
        pytest.param(0x9F7F, False, id="long and primitive"),
    ],
)
def test_whether_an_object_holds_others(tag: int, constructed: bool) -> None:
    assert TLV(tag=tag, value=b"").constructed is constructed


def test_children_are_the_objects_inside() -> None:
    inner = TLV(tag=0x02, value=b"\x01")
    assert TLV(tag=0x30, value=inner.encode() * 2).children() == [inner, inner]
