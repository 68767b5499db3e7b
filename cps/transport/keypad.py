"""The PIN typed at the reader's own keypad: the codecs of PC/SC part 10, and who can use them.

The reader puts the digits into the command and sends it; this program never has them.

Source: PC/SC specification part 10, revision 2.02.
"""

import struct
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

FEATURE_REQUEST = 3400
"""The number of the control that asks for a reader's features; see :meth:`control_code`."""
VERIFY_PIN_DIRECT = 0x06
"""The feature: take a PIN at the keypad and send it in VERIFY."""
MAX_FEATURES_BYTES = 512
ENTRY_SECONDS = 30
"""How long a person may look for the next key; what readers are commonly set to."""

_FEATURE_BYTES = 4
_COMMAND_HEADER_BYTES = 5
_MAX_BLOCK_BYTES = 15
"""What half a byte of bmPINBlockString can say."""
_LANGUAGES = {"fr": 0x040C, "en": 0x0409}
_ASCII_LEFT_BYTES = 0x82
"""bmFormatString: positions in bytes, the PIN from the first data byte on, from the left, ASCII."""
_AT_VALIDATION_KEY = 0x02
_READERS_OWN_MESSAGE = 0xFF
_HEADER = struct.Struct("<BBBBBHBBHB3sI")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypadEntry:
    """Stands for a PIN that is typed at the reader."""

    language: str
    """``fr`` or ``en``, for a reader with a display."""


@runtime_checkable
class ReaderControl(Protocol):
    """A connection whose reader takes commands of its own, beside those for the card."""

    def control_code(self, number: int) -> int:
        """Return how this system writes the control of that *number*."""

    def control(self, code: int, data: bytes, *, seconds: float) -> bytes:
        """Return the reader's own answer.

        :param seconds: how long it may take.
        :raises cps.errors.KeypadError: where the reader refuses.
        :raises cps.errors.TransportError: where card or reader are gone, or do not answer.
        """


def feature_code(raw: bytes, feature: int) -> int | None:
    """Return the control of *feature* in a reader's list of features.

    :param raw: entries of one byte tag, one byte length 4, four bytes control code, big-endian.
    :returns: ``None`` where the reader does not have it.
    :raises ValueError: for a list of another form.
    """
    if len(raw) > MAX_FEATURES_BYTES or len(raw) % (2 + _FEATURE_BYTES):
        raise ValueError(f"a list of features of {len(raw)} bytes")
    found = None
    for start in range(0, len(raw), 2 + _FEATURE_BYTES):
        tag, length = raw[start], raw[start + 1]
        if length != _FEATURE_BYTES:
            raise ValueError(f"feature {tag:02X}: {length} bytes where 4 are wanted")
        if tag == feature:
            found = int.from_bytes(raw[start + 2 : start + 2 + _FEATURE_BYTES], "big")
    return found


def verify_structure(command: bytes, *, shortest: int, longest: int, language: str) -> bytes:
    """Return PIN_VERIFY_STRUCTURE for a PIN of ASCII digits.

    :param command: VERIFY: five bytes of header, then padding for as many bytes as the PIN has in
        the card, which the reader writes over from the left; or the header alone with length 0,
        where the reader puts as many bytes as there are digits.
    :param shortest: digits; so *longest*, at most 15, and no more than there is padding.
    :param language: ``fr`` or ``en``, for a reader with a display.
    :raises ValueError: where these do not fit together.
    """
    block = len(command) - _COMMAND_HEADER_BYTES
    if not 0 <= block <= _MAX_BLOCK_BYTES or command[_COMMAND_HEADER_BYTES - 1] != block:
        raise ValueError("VERIFY is not as long as the PIN is in the card")
    if not 1 <= shortest <= longest <= (block or _MAX_BLOCK_BYTES):
        raise ValueError(f"a PIN of {shortest} to {longest} digits in {block} bytes")
    return (
        _HEADER.pack(
            ENTRY_SECONDS,
            ENTRY_SECONDS,
            _ASCII_LEFT_BYTES,
            block,
            0,
            shortest << 8 | longest,
            _AT_VALIDATION_KEY,
            _READERS_OWN_MESSAGE,
            _LANGUAGES[language],
            0,
            bytes(3),
            len(command),
        )
        + command
    )
