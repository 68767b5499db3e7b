"""A PIN in memory: checked, overwritten after use, never shown."""

from types import TracebackType
from typing import Self


class PIN:
    """Digits in a buffer that is overwritten when the ``with`` block ends.

    :param digits: ASCII digits; the buffer is taken over and will be zeroed.
    :raises ValueError: for anything but 4 to 8 digits; the text never holds the value.

    Source: the card's AODF (stored length 8); the issuer's tool accepts 4 to 8 digits.
    """

    __slots__ = ("_digits",)

    MIN_DIGITS = 4
    MAX_DIGITS = 8

    def __init__(self, digits: bytearray) -> None:
        self._digits = digits
        if not self.MIN_DIGITS <= len(digits) <= self.MAX_DIGITS or not digits.isdigit():
            self.wipe()
            raise ValueError("a PIN has 4 to 8 digits")

    def digits(self) -> bytes:
        """Return the digits for the one command that needs them.

        :raises ValueError: where the PIN was wiped.
        """
        if not self._digits:
            raise ValueError("the PIN was wiped")
        return bytes(self._digits)

    def wipe(self) -> None:
        """Overwrite the buffer; the PIN cannot be used any more."""
        for index in range(len(self._digits)):
            self._digits[index] = 0
        del self._digits[:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return "PIN(hidden)"

    def __reduce__(self) -> str:
        raise TypeError("a PIN is not copied")
