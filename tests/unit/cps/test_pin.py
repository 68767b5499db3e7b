"""A PIN: what is one, and that it goes without a trace."""

import copy
import pickle

import pytest

from cps.pin import PIN


@pytest.mark.parametrize("digits", [b"1234", b"12345678"], ids=["shortest", "longest"])
def test_digits_are_kept_until_the_block_ends(digits: bytes) -> None:
    buffer = bytearray(digits)
    with PIN(buffer) as pin:
        assert pin.digits() == digits
    assert not buffer
    with pytest.raises(ValueError, match="wiped"):
        pin.digits()


@pytest.mark.parametrize(
    "digits",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"123", id="too short"),
        pytest.param(b"123456789", id="too long"),
        pytest.param(b"12a4", id="a letter"),
        pytest.param(b"12 4", id="a space"),
        pytest.param("١٢٣٤".encode(), id="digits of another script"),
    ],
)
def test_other_input_is_refused_wiped_and_not_repeated(digits: bytes) -> None:
    buffer = bytearray(digits)
    with pytest.raises(ValueError, match="a PIN has 4 to 8 digits") as caught:
        PIN(buffer)
    assert not buffer
    assert str(caught.value) == "a PIN has 4 to 8 digits"


def test_the_buffer_is_overwritten_in_place() -> None:
    seen: list[bytes] = []

    class Watched(bytearray):
        def __delitem__(self, index: object) -> None:
            seen.append(bytes(self))
            super().__delitem__(index)  # type: ignore[arg-type]  # the one call is a slice

    PIN(Watched(b"1234")).wipe()
    assert seen == [bytes(4)]


def test_an_error_in_the_block_wipes_it_too() -> None:
    pin = PIN(bytearray(b"1234"))
    with pytest.raises(RuntimeError), pin:
        raise RuntimeError
    with pytest.raises(ValueError, match="wiped"):
        pin.digits()


def test_it_is_not_shown() -> None:
    assert "1234" not in f"{PIN(bytearray(b'1234'))!r} {PIN(bytearray(b'1234'))!s}"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_is_not_copied(duplicate: object) -> None:
    assert callable(duplicate)
    with pytest.raises(TypeError, match="not copied"):
        duplicate(PIN(bytearray(b"1234")))
