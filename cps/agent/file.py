"""The PIN without a person: from a private file or an open file descriptor, for tests and demos."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from cps.agent.errors import ConfigurationError
from cps.agent.owned_file import read_owned
from cps.agent.pin_entry import PINRequest, Wanted
from cps.errors import PINCancelledError
from cps.pin import PIN

MAX_PIN_FILE_BYTES = 64


class UnattendedPINEntry:
    """A PIN that is at hand, given out until the card calls it wrong once.

    A wrong PIN here would be wrong again at each try, and block the card in three logins; so
    after one rejection, and with one try left, nothing is given out.

    :param read: returns the PIN's digits in a buffer of the caller's own.
    :param forget: overwrites what *read* holds.
    """

    interactive = False

    def __init__(self, read: Callable[[], bytearray], forget: Callable[[], None]) -> None:
        self._read = read
        self._forget = forget
        self._rejected = False

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        if self._rejected:
            raise PINCancelledError("this PIN was wrong before; restart the agent with another")
        if request.tries_left == 1:
            raise PINCancelledError("one try is left, which only a person may spend")
        if not wanted():
            raise PINCancelledError("nobody waits for the sign-in any more")
        try:
            return PIN(self._read())
        except (ConfigurationError, ValueError) as exc:
            raise PINCancelledError(f"no PIN to be had: {exc}") from exc

    def at_keypad(self, request: PINRequest, wanted: Wanted) -> AbstractContextManager[None]:
        raise PINCancelledError("nobody is there who could type at a keypad")

    def confirms(self, origin: str, language: str, wanted: Wanted) -> bool:
        return False

    def tell_blocked(self, request: PINRequest) -> None:
        """Nobody is there to be told."""

    def rejected(self) -> None:
        self._rejected = True

    def close(self) -> None:
        self._forget()


def pin_from_file(path: Path) -> UnattendedPINEntry:
    """Return the entry that reads the PIN from a file at each sign-in, and keeps nothing.

    :param path: a regular file of this user's, mode 0600 or stricter: digits, and at most an end
        of line.
    :raises ConfigurationError: where the file is not that.
    """

    def read() -> bytearray:
        return _without_end_of_line(
            read_owned(path, forbidden_mode=0o177, max_bytes=MAX_PIN_FILE_BYTES)
        )

    _require_pin(f"--pin-file {path}", read())
    return UnattendedPINEntry(read, forget=lambda: None)


def pin_from_descriptor(descriptor: int) -> UnattendedPINEntry:
    """Return the entry that holds the PIN read, once, from an open descriptor, which is closed.

    :raises ConfigurationError: where the descriptor is not open or holds no PIN.
    """
    where = f"--pin-fd {descriptor}"
    digits = bytearray(MAX_PIN_FILE_BYTES)
    filled = 0
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as file, memoryview(digits) as view:
            while filled < len(digits) and (count := file.readinto(view[filled:])):
                filled += count
                if b"\n" in digits:
                    break
    except OSError as exc:
        raise ConfigurationError(where, exc.strerror or "cannot be read") from exc
    del digits[filled:]
    _without_end_of_line(digits)
    _require_pin(where, bytearray(digits))

    def forget() -> None:
        digits[:] = bytes(len(digits))
        digits.clear()

    return UnattendedPINEntry(lambda: bytearray(digits), forget)


def _without_end_of_line(digits: bytearray) -> bytearray:
    while digits.endswith((b"\n", b"\r")):
        del digits[-1]
    return digits


def _require_pin(where: str, digits: bytearray) -> None:
    try:
        PIN(digits).wipe()
    except ValueError as exc:
        raise ConfigurationError(where, str(exc)) from exc
