import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trust.serial_table import (
    SERIAL_BYTES,
    SerialTable,
    decode_serial,
    encode_serial,
)

LARGEST = (1 << 8 * SERIAL_BYTES - 1) - 1
SERIALS = st.integers(-(1 << 160), 1 << 160)


def table(*serials: int) -> SerialTable:
    records = [encode_serial(each) + bytes((number % 256,)) for number, each in enumerate(serials)]
    return SerialTable.of(records, value_bytes=1)


@given(st.lists(SERIALS, unique=True, max_size=40), SERIALS)
def test_what_is_in_it_is_found_and_nothing_else(serials: list[int], other: int) -> None:
    found = table(*serials)
    assert len(found) == len(serials)
    for number, serial in enumerate(serials):
        assert found.find(serial) == (bytes((number,)),)
    if other not in serials:
        assert found.find(other) == ()


def test_an_empty_table_has_nothing() -> None:
    assert table().find(1) == ()


def test_all_values_of_a_serial_number_are_found() -> None:
    assert table(5, 7, 7, 7, 9).find(7) == (b"\x01", b"\x02", b"\x03")


@pytest.mark.parametrize("serial", [LARGEST, -LARGEST - 1], ids=["largest", "smallest"])
def test_the_longest_serial_numbers_fit(serial: int) -> None:
    assert table(serial).find(serial)


@pytest.mark.parametrize("serial", [LARGEST + 1, -LARGEST - 2], ids=["above", "below"])
def test_a_serial_number_that_fits_no_record_is_in_none(serial: int) -> None:
    assert table(LARGEST, -LARGEST - 1, 0).find(serial) == ()
    with pytest.raises(OverflowError):
        encode_serial(serial)


def test_a_table_begins_where_it_is_said_to() -> None:
    first, second = table(1, 2), table(3)
    both = first.packed() + second.packed()
    one = SerialTable(memory=both, start=0, count=2, value_bytes=1)
    other = SerialTable(memory=both, start=len(first.packed()), count=1, value_bytes=1)
    assert one.find(3) == ()
    assert one.find(2) == (b"\x01",)
    assert other.find(3) == (b"\x00",)
    assert other.find(2) == ()
    assert list(map(decode_serial, other.records())) == [3]


@given(st.lists(SERIALS, unique=True, max_size=40))
def test_records_come_back_as_they_went_in(serials: list[int]) -> None:
    assert set(map(decode_serial, table(*serials).records())) == set(serials)


@given(st.sets(SERIALS, max_size=300), st.sets(SERIALS, max_size=20), st.sets(SERIALS, max_size=20))
def test_what_another_table_does_not_have_is_missing_from_it(
    common: set[int], ours: set[int], theirs: set[int]
) -> None:
    one, other = (
        SerialTable.of([encode_serial(each) + b"a" for each in serials], value_bytes=1)
        for serials in (common | ours, common | theirs)
    )
    missing = one.missing_from(other)
    assert set(map(decode_serial, missing)) == ours - theirs - common
    assert len(missing) == len(set(missing))


def test_a_record_with_another_value_is_missing() -> None:
    one = SerialTable.of([encode_serial(5) + b"a", encode_serial(6) + b"a"], value_bytes=1)
    other = SerialTable.of([encode_serial(5) + b"b", encode_serial(6) + b"a"], value_bytes=1)
    assert one.missing_from(other) == [encode_serial(5) + b"a"]
    assert other.missing_from(one) == [encode_serial(5) + b"b"]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 129])
def test_equal_tables_miss_nothing_and_an_empty_one_everything(count: int) -> None:
    one = table(*range(count))
    assert one.missing_from(one) == []
    assert one.missing_from(table()) == one.records()
    assert table().missing_from(one) == []
