"""VERIFY and the others: what each answer means, and that nothing is sent a second time."""

from collections.abc import Callable

import pytest

from cps.errors import CardRefusedError, PINRejectedError
from cps.iso7816 import pins
from cps.iso7816.channel import Channel
from cps.transport.replay import ReplayConnection


def run(script: str, call: Callable[[Channel], object], *, number: int = 0) -> object:
    card = ReplayConnection(script)
    result = call(Channel(card, number=number))
    card.close()
    return result


def refused(script: str, call: Callable[[Channel], object]) -> CardRefusedError:
    card = ReplayConnection(script)
    with pytest.raises(CardRefusedError) as caught:
        call(Channel(card))
    card.close()
    return caught.value


# VERIFY.


def verify(channel: Channel) -> None:
    pins.verify(channel, reference=0x81, block=b"1234".ljust(8, b"\xff"))


VERIFY = "> 00 20 00 81 08 31 32 33 34 FF FF FF FF\n"


def test_a_right_pin_is_accepted() -> None:
    run(VERIFY + "< 90 00", verify)


@pytest.mark.parametrize(
    ("sw", "tries"),
    [
        pytest.param("63 C2", 2, id="two left"),
        pytest.param("63 C0", 0, id="none left"),
        pytest.param("69 83", 0, id="blocked"),
        pytest.param("69 84", 0, id="used up"),
    ],
)
def test_wrong_pin_tells_the_tries_left_and_is_not_retried(sw: str, tries: int) -> None:
    error = refused(VERIFY + f"< {sw}", verify)
    assert isinstance(error, PINRejectedError)
    assert error.tries_left == tries


@pytest.mark.parametrize("sw", ["63 00", "67 00", "69 82", "69 85", "6A 88", "6E 00", "61 10"])
def test_any_other_answer_to_a_pin_is_a_refusal_and_no_wrong_pin(sw: str) -> None:
    error = refused(VERIFY + f"< {sw}", verify)
    assert not isinstance(error, PINRejectedError)


def test_no_error_tells_the_pin() -> None:
    for sw in ("63 C2", "69 85"):
        assert "1234" not in repr(refused(VERIFY + f"< {sw}", verify))


def test_an_empty_pin_is_not_sent() -> None:
    with pytest.raises(ValueError, match="empty VERIFY"):
        pins.verify(Channel(ReplayConnection("")), reference=1, block=b"")


# The tries left.


@pytest.mark.parametrize(
    ("sw", "left"),
    [
        pytest.param("63 C3", 3, id="three"),
        pytest.param("63 C0", 0, id="none"),
        pytest.param("63 CF", 15, id="fifteen"),
        pytest.param("69 83", 0, id="blocked"),
        pytest.param("90 00", None, id="verified"),
        pytest.param("63 00", None, id="a warning without count"),
        pytest.param("67 00", None, id="a question unknown"),
        pytest.param("6A 88", None, id="a PIN unknown"),
        pytest.param("68 81", None, id="a closed channel"),
    ],
)
def test_the_question_for_the_tries_holds_no_pin(sw: str, left: int | None) -> None:
    script = f"> 00 20 00 01 00\n< {sw}"
    assert run(script, lambda channel: pins.count_tries(channel, reference=1)) == left


# CHANGE REFERENCE DATA and RESET RETRY COUNTER.


@pytest.mark.parametrize(
    ("script", "call"),
    [
        pytest.param(
            "> 00 24 00 01 08 31 32 33 34 34 33 32 31",
            lambda channel: pins.change(channel, reference=1, old=b"1234", new=b"4321"),
            id="old and new",
        ),
        pytest.param(
            "> 00 24 01 01 04 34 33 32 31",
            lambda channel: pins.change(channel, reference=1, old=b"", new=b"4321"),
            id="the new one alone",
        ),
        pytest.param(
            "> 00 2C 02 01 04 34 33 32 31",
            lambda channel: pins.reset_retry_counter(channel, reference=1, new=b"4321"),
            id="tries and a new PIN",
        ),
        pytest.param(
            "> 00 2C 03 81 00",
            lambda channel: pins.reset_retry_counter(channel, reference=0x81, new=b""),
            id="tries alone",
        ),
    ],
)
def test_a_command_about_a_pin_is_sent_once(script: str, call: Callable[[Channel], object]) -> None:
    run(script + "\n< 90 00", call)
    assert isinstance(refused(script + "\n< 63 C1", call), PINRejectedError)
    assert not isinstance(refused(script + "\n< 69 82", call), PINRejectedError)
    assert not isinstance(refused(script + "\n< 6C 08", call), PINRejectedError)


@pytest.mark.parametrize(
    ("script", "call"),
    [
        pytest.param(
            "> 01 20 00 01 04 31 32 33 34",
            lambda channel: pins.verify(channel, reference=1, block=b"1234"),
            id="VERIFY",
        ),
        pytest.param(
            "> 01 24 01 01 04 31 32 33 34",
            lambda channel: pins.change(channel, reference=1, old=b"", new=b"1234"),
            id="CHANGE REFERENCE DATA",
        ),
        pytest.param(
            "> 01 2C 03 81 00",
            lambda channel: pins.reset_retry_counter(channel, reference=0x81, new=b""),
            id="RESET RETRY COUNTER",
        ),
    ],
)
def test_the_class_is_that_of_the_channel(script: str, call: Callable[[Channel], object]) -> None:
    run(script + "\n< 90 00", call, number=1)
