"""From an exception to one code, and from there to two sentences."""

import inspect

import pytest

import cps.errors
from cps.agent.errors import PortInUseError, SignInError
from cps.agent.progress import Stage
from cps.agent.texts import code_for, words
from cps.authtoken.catalogue import LANGUAGES
from cps.authtoken.codes import ErrorCode
from cps.errors import (
    CardBusyError,
    CardContactlessError,
    CardDataError,
    CardError,
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

CASES: list[tuple[Exception, ErrorCode]] = [
    (NoServiceError(), ErrorCode.NO_SERVICE),
    (NoReaderError(), ErrorCode.NO_READER),
    (NoCardError(), ErrorCode.NO_CARD),
    (CardRemovedError(), ErrorCode.CARD_REMOVED),
    (CardResetError(), ErrorCode.CARD_BUSY),
    (CardMuteError(), ErrorCode.CARD_MUTE),
    (CardBusyError(), ErrorCode.CARD_BUSY),
    (TransportError(), ErrorCode.CARD_MUTE),
    (CardUnsupportedError(b"\x3b\x00"), ErrorCode.CARD_UNSUPPORTED),
    (CardContactlessError(b"\x3b\x00"), ErrorCode.CARD_CONTACTLESS),
    (CardRefusedError("SELECT", 0x6A82), ErrorCode.CARD_REFUSED),
    (PINRejectedError("VERIFY", 0x63C1, 1), ErrorCode.PIN_WRONG),
    (PINRejectedError("VERIFY", 0x6983, 0), ErrorCode.PIN_BLOCKED),
    (CardDataError(), ErrorCode.CARD_MALFORMED),
    (CertificateMissingError(), ErrorCode.CERT_MISSING),
    (PINLengthError(4, 4), ErrorCode.PIN_WRONG),
    (PINCancelledError(), ErrorCode.PIN_CANCELLED),
    (KeypadError(), ErrorCode.PINPAD_FAILED),
    (PortInUseError({}), ErrorCode.PORT_IN_USE),
    (SignInError(ErrorCode.TLS_ERROR, ""), ErrorCode.TLS_ERROR),
    (ZeroDivisionError(), ErrorCode.INTERNAL),
]


@pytest.mark.parametrize(
    ("exc", "code"), CASES, ids=[f"{type(exc).__name__}-{code}" for exc, code in CASES]
)
def test_each_exception_has_one_code(exc: Exception, code: ErrorCode) -> None:
    assert code_for(exc) is code


def test_no_card_error_is_left_without_a_case() -> None:
    known = {
        kind
        for _, kind in inspect.getmembers(cps.errors, inspect.isclass)
        if issubclass(kind, CardError) and kind is not CardError
    }
    assert known == {type(exc) for exc, _ in CASES if isinstance(exc, CardError)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_and_stage_has_a_title_and_a_sentence(language: str) -> None:
    said = [words("error", code, language) for code in ErrorCode]
    said += [words("agent", stage, language) for stage in Stage]
    assert all(entry.title and entry.sentence for entry in said)
