"""What stands in the few files that every CPS card has in the same place."""

from collections.abc import Callable
from typing import TypeVar

from cps.errors import CardDataError

ISSUER = bytes.fromhex("8025000001")
"""80 health, 250 France, 00001 the Agence du Numérique en Santé."""
SERIAL_FILE_BYTES = 12

_SERIAL_TAG = bytes.fromhex("5A0A")
_SERIAL = slice(7, 11)

_T = TypeVar("_T")


def is_serial_file(content: bytes) -> bool:
    """Return whether *content* has the form of EF.SN, of whatever issuer."""
    return len(content) == SERIAL_FILE_BYTES and content.startswith(_SERIAL_TAG)


def serial_number(content: bytes | None) -> str | None:
    """Return the chip's serial number, or ``None`` where the card is of another issuer.

    :param content: of EF.SN; ``None`` where the card has none.
    :returns: 8 digits.
    :raises CardDataError: where it has not the form of a serial number.
    """
    if content is None:
        return None
    if not is_serial_file(content):
        raise CardDataError(f"EF.SN: {content[:SERIAL_FILE_BYTES].hex()} is no serial number")
    if not content[len(_SERIAL_TAG) :].startswith(ISSUER):
        return None
    digits = content[_SERIAL].hex()
    if not digits.isdecimal():
        raise CardDataError(f"EF.SN: serial number {digits} has other characters than digits")
    return digits


def parsed(name: str, raw: bytes, decode: Callable[[bytes], _T]) -> _T:
    """Return what *decode* reads in *raw*, which came from the card.

    :param name: what *raw* is, for the error.
    :raises CardDataError: for the ValueError of *decode*.
    """
    try:
        return decode(raw)
    except ValueError as exc:
        raise CardDataError(f"{name}: {exc}") from exc
