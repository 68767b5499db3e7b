"""From an exception to the code, and so to the sentence, that a person is shown."""

from collections.abc import Callable
from dataclasses import dataclass

from cps.agent.errors import PortInUseError, SignInError
from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode
from cps.errors import (
    CardBusyError,
    CardContactlessError,
    CardDataError,
    CardMuteError,
    CardRefusedError,
    CardRemovedError,
    CardResetError,
    CardUnsupportedError,
    CertificateMissingError,
    KeypadError,
    NoCardError,
    NoReaderError,
    NoServiceError,
    PINCancelledError,
    PINLengthError,
    PINRejectedError,
    TransportError,
)

# The most specific class comes first.
_CODES: tuple[tuple[type[Exception], ErrorCode], ...] = (
    (NoServiceError, ErrorCode.NO_SERVICE),
    (NoReaderError, ErrorCode.NO_READER),
    (NoCardError, ErrorCode.NO_CARD),
    (CardRemovedError, ErrorCode.CARD_REMOVED),
    (CardResetError, ErrorCode.CARD_BUSY),
    (CardMuteError, ErrorCode.CARD_MUTE),
    (CardBusyError, ErrorCode.CARD_BUSY),
    (TransportError, ErrorCode.CARD_MUTE),
    (CardContactlessError, ErrorCode.CARD_CONTACTLESS),
    (CardUnsupportedError, ErrorCode.CARD_UNSUPPORTED),
    (PINRejectedError, ErrorCode.PIN_WRONG),
    (PINLengthError, ErrorCode.PIN_WRONG),
    (CardRefusedError, ErrorCode.CARD_REFUSED),
    (CertificateMissingError, ErrorCode.CERT_MISSING),
    (CardDataError, ErrorCode.CARD_MALFORMED),
    (PINCancelledError, ErrorCode.PIN_CANCELLED),
    (KeypadError, ErrorCode.PINPAD_FAILED),
    (PortInUseError, ErrorCode.PORT_IN_USE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A title of a few words, and what to do."""

    title: str
    sentence: str


Tell = Callable[[Words], None]
"""Shows a person a title and a sentence, without waiting."""


def code_for(exc: BaseException) -> ErrorCode:
    """Return the one code of *exc*; what nobody foresaw is ``internal``."""
    if isinstance(exc, SignInError):
        return exc.code
    if isinstance(exc, PINRejectedError) and exc.tries_left == 0:
        return ErrorCode.PIN_BLOCKED
    return next((code for kind, code in _CODES if isinstance(exc, kind)), ErrorCode.INTERNAL)


def words(table: str, name: str, language: str) -> Words:
    """Return the text *name* of *table*, whose titles are in the table ``…_title``.

    :param table: ``error`` for an :class:`ErrorCode`, ``agent`` for the agent's own.
    """
    return Words(
        title=text(f"{table}_title.{name}", language), sentence=text(f"{table}.{name}", language)
    )
