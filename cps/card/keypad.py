"""The PIN typed at the reader: VERIFY as the keypad sends it, and what its answers mean."""

import logging

from cps.errors import (
    CardDataError,
    KeypadError,
    PINCancelledError,
    PINLengthError,
)
from cps.iso7816 import pins
from cps.iso7816.channel import Channel
from cps.pin import PIN
from cps.pkcs15.directory import PINObject, PINType
from cps.transport.connection import CardConnection
from cps.transport.keypad import (
    ENTRY_SECONDS,
    FEATURE_REQUEST,
    VERIFY_PIN_DIRECT,
    KeypadEntry,
    ReaderControl,
    feature_code,
    verify_structure,
)

FEATURES_SECONDS = 5.0
"""How long a reader may take to list its features."""
VERIFY_SECONDS = ENTRY_SECONDS * (PIN.MAX_DIGITS + 2) + 10.0
"""A keypad waits anew for each key; past that it is given up, and the card reset."""
_VERIFY = 0x20
_STATUS_BYTES = 2
_READER_REFUSES = (0x6B80, 0x6D00)
"""Of the reader: the structure is not understood, or the command not sent. A card that answers
6D00 to VERIFY has no PIN either."""
_LOG = logging.getLogger(__name__)


class Keypad:
    """A reader that takes the PIN itself.

    :param reader: the connection to the card in it.
    :param code: its control for VERIFY.
    """

    def __init__(self, reader: ReaderControl, code: int) -> None:
        self._reader = reader
        self._code = code

    @classmethod
    def of(cls, connection: CardConnection) -> "Keypad | None":
        """Return the keypad behind *connection*, ``None`` where there is none that can be used."""
        if not isinstance(connection, ReaderControl):
            return None
        try:
            request = connection.control_code(FEATURE_REQUEST)
            features = connection.control(request, b"", seconds=FEATURES_SECONDS)
            code = feature_code(features, VERIFY_PIN_DIRECT)
        except (KeypadError, ValueError) as exc:
            # Most readers that have no features refuse the question.
            _LOG.debug("no features of the reader: %s", exc)
            return None
        return None if code is None else cls(connection, code)

    def verify(self, channel: Channel, pin: PINObject, entry: KeypadEntry) -> None:
        """Have the person type the PIN at the reader, and the card compare it, once.

        :raises PINCancelledError: where the person said no, or typed nothing in time.
        :raises PINLengthError: for a count of digits that the reader does not send.
        :raises PINRejectedError: wrong or blocked, with the tries left.
        :raises KeypadError: where the reader did not do it.
        """
        answer = self._reader.control(
            self._code, _structure(channel, pin, entry), seconds=VERIFY_SECONDS
        )
        if len(answer) != _STATUS_BYTES:
            raise KeypadError(f"the keypad answered {len(answer)} bytes where 2 are wanted")
        match int.from_bytes(answer, "big"):
            case 0x6400:
                raise PINCancelledError("nobody typed at the keypad in time")
            case 0x6401:
                raise PINCancelledError("cancelled at the keypad")
            case 0x6403:
                raise PINLengthError(pin.min_length, pin.longest)
            case sw if sw >> 8 == 0x64 or sw in _READER_REFUSES:
                raise KeypadError(f"the keypad answered {sw:04X}")
            case sw:
                pins.require_success("VERIFY", sw)


def takes(pin: PINObject) -> bool:
    """Return whether a keypad can write this PIN as the card wants it."""
    is_written = pin.type in (PINType.ASCII_NUMERIC, PINType.UTF8)
    return is_written and (pin.pad is not None or not pin.needs_padding)


def _structure(channel: Channel, pin: PINObject, entry: KeypadEntry) -> bytes:
    block = (pin.pad or b"") * pin.stored_length if pin.needs_padding else b""
    header = bytes((channel.cla, _VERIFY, 0x00, pin.reference, len(block)))
    try:
        return verify_structure(
            header + block,
            shortest=pin.min_length,
            longest=min(pin.longest, PIN.MAX_DIGITS),
            language=entry.language,
        )
    except ValueError as exc:
        raise CardDataError(f"AODF: {exc}") from exc
