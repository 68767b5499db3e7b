"""Where a CPS card keeps its files, and how to reach them from whatever state it was left in."""

from collections.abc import Callable
from typing import TypeVar

from cps.errors import CardDataError, CardRefusedError
from cps.iso7816 import commands
from cps.iso7816.channel import Channel
from cps.status import SW

MF = bytes.fromhex("3F00")
EF_SN = bytes.fromhex("3F00D003")
ROOT_AID = bytes.fromhex("80250000 01FF0100")
"""The application that holds the MF."""

ISSUER = bytes.fromhex("8025000001")
"""80 health, 250 France, 00001 the Agence du Numérique en Santé."""

_SERIAL_FILE_BYTES = 12
_SERIAL_TAG = bytes.fromhex("5A0A")
_SERIAL = slice(7, 11)

_ELSEWHERE = (SW.CLA_NOT_SUPPORTED, SW.INCORRECT_P1_P2)

_T = TypeVar("_T")


def select_file(channel: Channel, path: bytes) -> None:
    """Make the file at *path* the current one, wherever another program left the card.

    A card that stands in another application does not know the command. Then its root application
    is selected, once, and the file again.

    :param path: from the MF on.
    :raises CardRefusedError: FILE_NOT_FOUND where there is none.
    """
    try:
        commands.select(channel, path)
    except CardRefusedError as exc:
        if exc.sw not in _ELSEWHERE:
            raise
        commands.select_application(channel, ROOT_AID)
        commands.select(channel, path)


def read_serial(channel: Channel) -> str | None:
    """Return the chip's serial number, or ``None`` where the card is of another issuer.

    :returns: 8 digits.
    :raises CardDataError: where the file has not the form of a serial number.
    """
    try:
        select_file(channel, EF_SN)
    except CardRefusedError as exc:
        if exc.sw == SW.FILE_NOT_FOUND:
            return None
        raise
    content = commands.read_binary(channel, offset=0, ne=_SERIAL_FILE_BYTES)
    if len(content) != _SERIAL_FILE_BYTES or not content.startswith(_SERIAL_TAG):
        raise CardDataError(f"EF.SN: {content.hex()} is no serial number")
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
