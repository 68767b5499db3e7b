"""The CPS4's commands: class 01, and the way back where the channel is closed."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

import pytest

from cps.card.applet import APPLICATION, EF_SN, MF
from cps.card.chipdoc import ChipDocApplet
from cps.errors import CardDataError, CardRefusedError, PINRejectedError
from cps.transport.replay import ReplayConnection
from tests.support import pki
from tests.unit.cps.card.dialogue import MESSAGE, exchange, signature_by
from tests.unit.cps.card.dialogue4 import (
    application,
    asking_tries,
    choosing,
    connection,
    select,
    serial,
    using,
)

T = TypeVar("T")
DIGEST = hashlib.sha256(MESSAGE).digest()
ISSUER_DOMAIN = exchange("01 A4 04 0C 07 A0 00 00 01 51 00 00", "6A 82")
OLD_APPLICATION = exchange("00 A4 04 0C 08 80 25 00 00 01 FF 00 02", "6E 00")


def run(script: str, work: Callable[[ChipDocApplet], T], *, t0: bool = False) -> T:
    """Return what *work* does with a card that says what *script* says, and nothing else."""
    card = ReplayConnection(script, t0=t0)
    result = work(ChipDocApplet(card))
    card.close()
    return result


def refused(script: str, work: Callable[[ChipDocApplet], object]) -> CardRefusedError:
    card = connection(script)
    with pytest.raises(CardRefusedError) as caught:
        work(ChipDocApplet(card))
    card.close()
    return caught.value


# Opening.


def test_the_application_is_selected_by_name() -> None:
    run(application(), ChipDocApplet.open)


def test_a_card_that_is_stuck_is_brought_round_by_way_of_two_others() -> None:
    script = application("6F 00") + ISSUER_DOMAIN + OLD_APPLICATION + application()
    run(script, ChipDocApplet.open)


def test_a_card_that_stays_stuck_is_refused_after_one_detour() -> None:
    script = application("6F 00") + ISSUER_DOMAIN + OLD_APPLICATION + application("6A 82")
    assert refused(script, ChipDocApplet.open).sw == 0x6A82


# EF.SN and SELECT.


def test_the_serial_number_is_read_by_its_path() -> None:
    assert run(serial(), ChipDocApplet.read_serial) == bytes.fromhex("5A0A8025000001992138450F")


def test_a_card_without_that_file_has_none() -> None:
    script = select("3F00D003").replace("90 00", "6A 82")
    assert run(script, ChipDocApplet.read_serial) is None


def test_a_serial_number_that_may_not_be_read_is_refused() -> None:
    assert refused(select("3F00D003").replace("90 00", "69 82"), ChipDocApplet.read_serial)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        pytest.param(MF, "01 A4 00 0C 02 3F 00", id="MF"),
        pytest.param(EF_SN, "01 A4 08 0C 02 D0 03", id="below the MF"),
        pytest.param(APPLICATION + b"\x70\x05", "01 A4 08 0C 04 00 01 70 05", id="deeper"),
    ],
)
@pytest.mark.parametrize("sw", ["90 00", "61 1B"], ids=["success", "an FCI on offer"])
def test_a_path_is_named_without_the_mf(path: bytes, command: str, sw: str) -> None:
    run(exchange(command, sw), lambda applet: applet.select(path))


@pytest.mark.parametrize("sw", ["68 81", "6E 00", "6D 00"])
def test_a_closed_channel_is_opened_once(sw: str) -> None:
    wrong = select("3F00").replace("90 00", sw)
    run(wrong + application() + select("3F00"), lambda applet: applet.select(MF))
    assert refused(wrong + application() + wrong, lambda applet: applet.select(MF))


WITHOUT_FCI = exchange("01 A4 00 0C 02 3F 00", "6A 86")
FCI = "6F 04 83 02 3F 00"


def with_fci(path: str, *, t0: bool) -> str:
    command = f"01 A4 {path}"
    if t0:
        return exchange(command, "61 06") + exchange("01 C0 00 00 06", f"{FCI} 90 00")
    return exchange(f"{command} 00", f"{FCI} 90 00")


@pytest.mark.parametrize("t0", [False, True], ids=["T=1", "T=0"])
def test_a_card_that_wants_to_tell_of_a_file_is_let_from_then_on(t0: bool) -> None:
    script = WITHOUT_FCI + with_fci("00 00 02 3F 00", t0=t0) + with_fci("08 00 02 D0 03", t0=t0)

    def work(applet: ChipDocApplet) -> None:
        applet.select(MF)
        applet.select(EF_SN)

    run(script, work, t0=t0)


def test_another_application_that_refuses_both_ways_is_left() -> None:
    refused_both = WITHOUT_FCI + exchange("01 A4 00 00 02 3F 00 00", "6A 86")
    run(refused_both + application() + select("3F00"), lambda applet: applet.select(MF))
    script = refused_both + application() + refused_both
    assert refused(script, lambda applet: applet.select(MF)).sw == 0x6A86


def test_another_refusal_opens_nothing() -> None:
    wrong = select("3F00").replace("90 00", "69 82")
    assert refused(wrong, lambda applet: applet.select(MF)).sw == 0x6982


# The tries left.


@pytest.mark.parametrize("left", [10, 3, 0])
def test_the_tries_left_take_one_command(left: int) -> None:
    assert run(asking_tries(left), lambda applet: applet.tries_left(1)) == left


def test_on_t0_that_command_has_its_fifth_byte() -> None:
    script = exchange("01 20 00 01 00", "63 C3")
    assert run(script, lambda applet: applet.tries_left(1), t0=True) == 3


@pytest.mark.parametrize("sw", ["68 81", "6E 00", "90 00"])
def test_a_card_that_does_not_tell_is_opened_and_asked_again(sw: str) -> None:
    script = exchange("01 20 00 01", sw) + application() + asking_tries(2)
    assert run(script, lambda applet: applet.tries_left(1)) == 2


def test_a_card_that_never_tells_is_refused() -> None:
    silent = exchange("01 20 00 01", "90 00")
    card = connection(silent + application() + silent)
    with pytest.raises(CardDataError, match="does not tell the tries"):
        ChipDocApplet(card).tries_left(1)
    card.close()


# The key.


def test_the_key_is_chosen_by_its_number() -> None:
    run(choosing(), lambda applet: applet.choose_key(0x20))
    assert refused(choosing("6A 88"), lambda applet: applet.choose_key(0x20)).sw == 0x6A88


def test_the_key_deciphers_what_the_host_padded() -> None:
    signature = signature_by(pki.key("leaf"))
    assert run(using(signature), lambda applet: applet.use_key(DIGEST, 256)) == signature


def test_on_t0_the_signature_is_fetched_on_the_same_channel() -> None:
    signature = signature_by(pki.key("leaf"))
    *before, last, answer = using(signature).splitlines()
    assert answer == f"< {signature.hex()} 90 00"
    fetched = "< 61 00\n" + exchange("01 C0 00 00 00", f"{signature.hex()} 90 00")
    script = "\n".join([*before, last.removesuffix(" 00"), fetched])
    assert run(script, lambda applet: applet.use_key(DIGEST, 256), t0=True) == signature


def test_a_longer_key_gets_a_longer_chain() -> None:
    block = b"\x00\x01" + b"\xff" * (512 - 54) + b"\x00"
    block += bytes.fromhex("3031300D060960864801650304020105000420") + DIGEST
    script = (
        exchange(f"11 2A 80 86 FF {block[:255].hex()}", "90 00")
        + exchange(f"11 2A 80 86 FF {block[255:510].hex()}", "90 00")
        + exchange(f"01 2A 80 86 02 {block[510:].hex()} 00", "AB 90 00")
    )
    assert run(script, lambda applet: applet.use_key(DIGEST, 512)) == b"\xab"


def test_a_key_too_short_for_the_padding_is_not_used() -> None:
    with pytest.raises(CardDataError, match="too short"):
        run("", lambda applet: applet.use_key(DIGEST, 61))
    with pytest.raises(AssertionError, match="behind the end"):
        run("", lambda applet: applet.use_key(DIGEST, 62))


@pytest.mark.parametrize("step", [0, 1], ids=["no chaining", "no PIN"])
def test_a_refusal_names_its_command(step: int) -> None:
    lines = using(bytes(256)).splitlines()[: 2 * step + 1]
    script = "\n".join([*lines, "< 69 82"])
    error = refused(script, lambda applet: applet.use_key(DIGEST, 256))
    assert error.command == "PERFORM SECURITY OPERATION"


# Changing and unblocking.

OLD, NEW, PUK = b"1234", b"4321", b"12345678"
VERIFY_OLD = "01 20 00 01 04 31 32 33 34"
VERIFY_PUK = "01 20 00 02 08 31 32 33 34 35 36 37 38"
CHANGE = "01 24 01 01 04 34 33 32 31"
RESET = "01 2C 03 81"


def change(applet: ChipDocApplet) -> None:
    applet.change_pin(1, OLD, NEW)


def unblock(applet: ChipDocApplet) -> None:
    applet.unblock_pin(1, NEW, puk_reference=2, puk=PUK)


def test_a_pin_is_changed_after_the_old_one_was_verified() -> None:
    run(select("3F00") + exchange(VERIFY_OLD, "90 00") + exchange(CHANGE, "90 00"), change)


def test_a_wrong_old_pin_changes_nothing() -> None:
    error = refused(select("3F00") + exchange(VERIFY_OLD, "63 C1"), change)
    assert isinstance(error, PINRejectedError)
    assert error.tries_left == 1


def test_a_pin_is_unblocked_by_the_puk_and_then_changed() -> None:
    script = (
        select("3F00")
        + exchange(VERIFY_PUK, "90 00")
        + exchange(RESET, "90 00")
        + exchange(CHANGE, "90 00")
    )
    run(script, unblock)


def test_a_wrong_puk_unblocks_nothing() -> None:
    error = refused(select("3F00") + exchange(VERIFY_PUK, "63 C9"), unblock)
    assert isinstance(error, PINRejectedError)
    assert error.tries_left == 9
