"""The card's errors: one root, facts as attributes, no builtin parents, no secrets."""

import inspect

import pytest

from cps import errors
from cps.errors import (
    CardContactlessError,
    CardError,
    CardRefusedError,
    CardUnsupportedError,
    PINLengthError,
    PINRejectedError,
    TransportError,
)


def _classes() -> list[type[Exception]]:
    return [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if each.__module__ == errors.__name__ and issubclass(each, Exception)
    ]


@pytest.mark.parametrize("kind", _classes(), ids=lambda kind: str(kind.__name__))
def test_every_class_stands_under_the_one_root(kind: type[Exception]) -> None:
    assert issubclass(kind, CardError)
    builtin = [each for each in kind.__mro__ if each.__module__ == "builtins"]
    assert builtin == [Exception, BaseException, object]


@pytest.mark.parametrize("kind", _classes(), ids=lambda kind: str(kind.__name__))
def test_every_class_is_drawn_in_the_tree(kind: type[Exception]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


def test_a_removed_card_is_not_a_wrong_pin() -> None:
    assert not issubclass(PINRejectedError, TransportError)
    assert not issubclass(errors.CardRemovedError, CardRefusedError)


def test_a_refusal_names_command_and_status_word() -> None:
    error = CardRefusedError("READ BINARY", 0x6982)
    assert (error.command, error.sw, str(error)) == (
        "READ BINARY",
        0x6982,
        "READ BINARY: the card answered 6982",
    )


def test_a_wrong_pin_names_the_tries_left() -> None:
    error = PINRejectedError("VERIFY", 0x63C2, 2)
    assert (error.tries_left, error.sw) == (2, 0x63C2)


def test_an_unknown_card_is_named_by_its_answer_to_reset() -> None:
    error = CardContactlessError(b"\x3b\x00")
    assert isinstance(error, CardUnsupportedError)
    assert (error.atr, str(error)) == (b"\x3b\x00", "unknown card, ATR 3B 00")


def test_a_pin_of_another_length_names_the_lengths_that_are_taken() -> None:
    error = PINLengthError(4, 8)
    assert (error.shortest, error.longest) == (4, 8)
    assert "4 to 8" in str(error)
