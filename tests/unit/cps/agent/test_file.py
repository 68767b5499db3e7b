"""The PIN without a person: private, from one place, and never wrong twice."""

import os
from pathlib import Path

import pytest

from cps.agent.errors import ConfigurationError
from cps.agent.file import UnattendedPINEntry, pin_from_descriptor, pin_from_file
from cps.errors import PINCancelledError
from tests.unit.cps.agent.test_pin_entry import pin_request


def pin_file(folder: Path, content: bytes = b"1234", mode: int = 0o600) -> Path:
    file = folder / "pin"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def pipe(content: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def digits(entry: UnattendedPINEntry) -> bytes:
    with entry.ask(pin_request(), lambda: True) as pin:
        return pin.digits()


@pytest.mark.parametrize("content", [b"1234", b"1234\n", b"1234\r\n", b"12345678"])
def test_a_private_file_gives_the_pin_each_time(tmp_path: Path, content: bytes) -> None:
    entry = pin_from_file(pin_file(tmp_path, content))
    assert digits(entry) == digits(entry) == content.strip()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o700])
def test_a_file_that_others_may_read_is_refused_at_the_start(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="at most 0600"):
        pin_from_file(pin_file(tmp_path, mode=mode))


def test_a_file_that_was_opened_to_others_later_gives_nothing(tmp_path: Path) -> None:
    file = pin_file(tmp_path)
    entry = pin_from_file(file)
    file.chmod(0o644)
    with pytest.raises(PINCancelledError, match="at most 0600"):
        digits(entry)


@pytest.mark.parametrize("content", [b"", b"123", b"123456789", b"12a4", b"1234\n5678", b"9" * 65])
def test_a_file_that_holds_no_pin_is_refused_without_showing_it(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pin_from_file(pin_file(tmp_path, content))
    assert content.decode() == "" or content.decode() not in str(caught.value)


@pytest.mark.parametrize("content", [b"1234", b"1234\n", b"1234\nand more"])
def test_a_descriptor_gives_its_first_line_and_is_closed(content: bytes) -> None:
    reading = pipe(content)
    if content.endswith(b"more"):
        with pytest.raises(ConfigurationError):
            pin_from_descriptor(reading)
    else:
        entry = pin_from_descriptor(reading)
        assert digits(entry) == digits(entry) == b"1234"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)


def test_a_descriptor_that_stays_open_is_read_to_the_end_of_the_line() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"1234\n")
        assert digits(pin_from_descriptor(reading)) == b"1234"
    finally:
        os.close(writing)


def test_a_descriptor_that_is_not_open_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--pin-fd 987"):
        pin_from_descriptor(987)


def test_after_one_rejection_nothing_is_given_out(tmp_path: Path) -> None:
    entry = pin_from_file(pin_file(tmp_path))
    digits(entry)
    entry.rejected()
    with pytest.raises(PINCancelledError, match="wrong before"):
        digits(entry)


def test_the_last_try_is_left_to_a_person(tmp_path: Path) -> None:
    entry = pin_from_file(pin_file(tmp_path))
    with pytest.raises(PINCancelledError, match="one try is left"):
        entry.ask(pin_request(tries_left=1), lambda: True)


def test_nothing_is_given_out_when_nobody_waits(tmp_path: Path) -> None:
    with pytest.raises(PINCancelledError):
        pin_from_file(pin_file(tmp_path)).ask(pin_request(), lambda: False)


def test_a_closed_entry_has_forgotten_the_pin() -> None:
    entry = pin_from_descriptor(pipe(b"1234"))
    entry.close()
    entry.close()
    with pytest.raises(PINCancelledError):
        digits(entry)


def test_the_callers_buffer_is_its_own() -> None:
    entry = pin_from_descriptor(pipe(b"1234"))
    pin = entry.ask(pin_request(), lambda: True)
    pin.wipe()
    assert digits(entry) == b"1234"
