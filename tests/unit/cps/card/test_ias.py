"""The CPS3's commands: one where one is enough, and the way back from any other application."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

import pytest

from cps.card.applet import MF
from cps.card.ias import IASApplet
from cps.errors import CardDataError, CardRefusedError, PINRejectedError
from cps.transport.replay import ReplayConnection
from tests.support import pki
from tests.unit.cps.card.dialogue import (
    MESSAGE,
    asking_data_object,
    asking_tries,
    choosing,
    exchange,
    pin_object,
    select,
    signature_by,
    using,
)

SERIAL = "5A 0A 80 25 00 00 01 99 21 38 45 0F"
T = TypeVar("T")
SELECT_MF = "> 00 A4 09 0C 02 3F 00\n"
SELECT_ROOT = "> 00 A4 04 0C 08 80 25 00 00 01 FF 01 00\n"


def run(script: str, work: Callable[[IASApplet], T]) -> T:
    """Return what *work* does with a card that says what *script* says, and nothing else."""
    card = ReplayConnection(script)
    result = work(IASApplet(card))
    card.close()
    return result


def refused(script: str, work: Callable[[IASApplet], object]) -> CardRefusedError:
    card = ReplayConnection(script)
    with pytest.raises(CardRefusedError) as caught:
        work(IASApplet(card))
    card.close()
    return caught.value


# EF.SN.


def test_the_serial_number_takes_one_command() -> None:
    script = exchange("00 B0 9C 00 0C", f"{SERIAL} 90 00")
    assert run(script, IASApplet.read_serial) == bytes.fromhex(SERIAL)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("6A 82", id="no such file here"),
        pytest.param("6A 86", id="no short identifiers"),
        pytest.param("6E 00", id="another application"),
        pytest.param("90 00", id="an empty file"),
        pytest.param("12 34 56 90 00", id="another file"),
    ],
)
def test_where_one_command_does_not_do_the_file_is_selected(answer: str) -> None:
    script = (
        exchange("00 B0 9C 00 0C", answer)
        + select("3F00D003")
        + exchange("00 B0 00 00 0C", f"{SERIAL} 90 00")
    )
    assert run(script, IASApplet.read_serial) == bytes.fromhex(SERIAL)


def test_a_card_without_that_file_has_none() -> None:
    script = exchange("00 B0 9C 00 0C", "6A 82") + select("3F00D003").replace("90 00", "6A 82")
    assert run(script, IASApplet.read_serial) is None


def test_a_serial_number_that_may_not_be_read_is_refused() -> None:
    script = exchange("00 B0 9C 00 0C", "69 82") + select("3F00D003")
    error = refused(script + exchange("00 B0 00 00 0C", "69 82"), IASApplet.read_serial)
    assert error.command == "READ BINARY"


# SELECT.


@pytest.mark.parametrize("sw", ["6E 00", "6A 86"])
def test_a_card_left_in_another_application_is_brought_back(sw: str) -> None:
    script = SELECT_MF + f"< {sw}\n" + SELECT_ROOT + "< 90 00\n" + SELECT_MF + "< 90 00"
    run(script, lambda applet: applet.select(MF))


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("< 6A 82", id="no root application"),
        pytest.param("< 90 00\n" + SELECT_MF + "< 6E 00", id="root application without file"),
    ],
)
def test_a_card_is_brought_back_once(rest: str) -> None:
    script = SELECT_MF + "< 6E 00\n" + SELECT_ROOT + rest
    refused(script, lambda applet: applet.select(MF))


@pytest.mark.parametrize("sw", ["6A 82", "69 82", "6D 00"])
def test_another_refusal_brings_nothing_back(sw: str) -> None:
    refused(SELECT_MF + f"< {sw}", lambda applet: applet.select(MF))


# The tries left.


@pytest.mark.parametrize("left", [15, 3, 1, 0])
def test_the_tries_left_take_one_command(left: int) -> None:
    assert run(asking_tries(left), lambda applet: applet.tries_left(1)) == left


def test_a_blocked_pin_has_no_tries_left() -> None:
    assert run(exchange("00 20 00 01 00", "69 83"), lambda applet: applet.tries_left(1)) == 0


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("90 00", id="another program left the PIN verified"),
        pytest.param("67 00", id="the question is not known"),
        pytest.param("6A 86", id="nor is it in that form"),
        pytest.param("6A 88", id="the PIN is not known here"),
        pytest.param("6E 00", id="another application"),
        pytest.param("63 00", id="a warning without count"),
        pytest.param("69 84", id="used up, says a word of many meanings"),
    ],
)
def test_a_card_that_does_not_tell_is_asked_for_the_data_object(before: str) -> None:
    script = asking_data_object(pin_object(2), before)
    assert run(script, lambda applet: applet.tries_left(1)) == 2


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        pytest.param(
            "70 16 BF 81 01 12 A0 10 9A 01 03 9B 01 03 A1 08 8C 06 F3 00 00 13 FF 00",
            3,
            id="a real card",
        ),
        pytest.param(pin_object(1), 1, id="one left"),
        pytest.param(pin_object(15), 15, id="fifteen left"),
        pytest.param(pin_object(0), 0, id="blocked"),
        pytest.param(pin_object(3, "9D 02 00 64"), 3, id="100 uses left"),
        pytest.param(pin_object(3, "9D 02 00 00"), 0, id="no uses left"),
        pytest.param("70 09 BF 81 01 05 A0 03 9B 01 02", 2, id="no more than the count"),
    ],
)
def test_the_data_object_tells_them(answer: str, left: int) -> None:
    assert run(asking_data_object(answer), lambda applet: applet.tries_left(1)) == left


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("00", id="nothing"),
        pytest.param("70 7F BF 81 01", id="a length that lies"),
        pytest.param("70 09 BF 81 02 05 A0 03 9B 01 03", id="another PIN"),
        pytest.param("70 09 BF 81 01 05 A0 03 9A 01 03", id="only the maximum"),
        pytest.param("70 08 BF 81 01 04 A0 02 9B 00", id="an empty count"),
        pytest.param("70 09 BF 81 01 05 A0 03 9B 01 10", id="sixteen tries"),
        pytest.param("70 0A BF 81 01 06 A0 04 9B 02 01 00", id="two hundred fifty-six tries"),
        pytest.param("70 00", id="no PIN"),
    ],
)
def test_a_count_that_makes_no_sense_is_refused(answer: str) -> None:
    card = ReplayConnection(asking_data_object(answer))
    with pytest.raises(CardDataError, match="GET DATA"):
        IASApplet(card).tries_left(1)
    card.close()


def test_a_card_that_tells_the_tries_in_no_way_is_refused() -> None:
    script = exchange("00 20 00 01 00", "6A 88") + select("3F00")
    script += exchange("00 CB 3F FF 0A 4D 08 70 06 BF 81 01 02 A0 80", "6A 88")
    assert refused(script, lambda applet: applet.tries_left(1)).command == "GET DATA"


# The key.


def test_the_key_is_chosen_by_its_number() -> None:
    run(choosing(), lambda applet: applet.choose_key(0x82))
    assert refused(choosing("6A 88"), lambda applet: applet.choose_key(0x82)).sw == 0x6A88


def test_the_key_signs_what_the_host_hashed() -> None:
    digest = hashlib.sha256(MESSAGE).digest()
    signature = signature_by(pki.key("leaf"))
    assert run(using(signature), lambda applet: applet.use_key(digest, 256)) == signature


# Changing and unblocking.

OLD, NEW, PUK = b"1234", b"4321", b"12345678"
CHANGE = "00 24 00 01 08 31 32 33 34 34 33 32 31"
VERIFY_PUK = "00 20 00 02 08 31 32 33 34 35 36 37 38"
RESET = "00 2C 02 01 04 34 33 32 31"


def change(applet: IASApplet) -> None:
    applet.change_pin(1, OLD, NEW)


def unblock(applet: IASApplet) -> None:
    applet.unblock_pin(1, NEW, puk_reference=2, puk=PUK)


def test_a_pin_is_changed_by_one_command_from_the_mf() -> None:
    run(select("3F00") + exchange(CHANGE, "90 00"), change)


@pytest.mark.parametrize(("sw", "left"), [("63 C2", 2), ("63 C0", 0), ("69 83", 0)])
def test_a_wrong_old_pin_tells_the_tries_left_and_is_not_sent_again(sw: str, left: int) -> None:
    error = refused(select("3F00") + exchange(CHANGE, sw), change)
    assert isinstance(error, PINRejectedError)
    assert (error.command, error.tries_left) == ("CHANGE REFERENCE DATA", left)


def test_a_new_pin_that_the_card_does_not_take_is_no_wrong_pin() -> None:
    error = refused(select("3F00") + exchange(CHANGE, "6A 80"), change)
    assert not isinstance(error, PINRejectedError)


def test_a_pin_is_unblocked_by_the_puk_and_a_new_one() -> None:
    run(select("3F00") + exchange(VERIFY_PUK, "90 00") + exchange(RESET, "90 00"), unblock)


@pytest.mark.parametrize(("sw", "left"), [("63 C9", 9), ("69 83", 0), ("69 84", 0)])
def test_a_wrong_puk_unblocks_nothing(sw: str, left: int) -> None:
    error = refused(select("3F00") + exchange(VERIFY_PUK, sw), unblock)
    assert isinstance(error, PINRejectedError)
    assert (error.command, error.tries_left) == ("VERIFY", left)


def test_a_card_that_does_not_unblock_says_so() -> None:
    script = select("3F00") + exchange(VERIFY_PUK, "90 00") + exchange(RESET, "69 85")
    assert refused(script, unblock).command == "RESET RETRY COUNTER"
