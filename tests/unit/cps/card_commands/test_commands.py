"""`cps card` as people call it: what is printed, what is masked, and the exit codes."""

import json

import pytest

from cps.authtoken.catalogue import text
from cps.card_commands.commands import TRIAL
from cps.errors import NoServiceError
from tests.support import cards
from tests.support.meddling import removed_before
from tests.unit.cps.card_commands.around import EMPTY, FOREIGN, GHOST, READER, Desk, Readers, Typist


@pytest.fixture
def desk() -> Desk:
    return Desk()


Printed = pytest.CaptureFixture[str]


# readers


def test_readers_are_listed_with_what_is_in_them(desk: Desk, capsys: Printed) -> None:
    desk.readers.others = [EMPTY, FOREIGN, GHOST]
    assert desk.run("readers") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Empty reader: empty",
        "Other reader: another card",
        "Windows Hello for Business 1: passed over, no card can be put into it",
        "Software reader: CPS3",
    ]


@pytest.mark.parametrize("others", [[], [GHOST]], ids=["none", "a ghost alone"])
def test_without_a_reader_it_is_said_what_to_do(
    desk: Desk, others: list[object], capsys: Printed
) -> None:
    desk.readers = Readers(others=others)  # type: ignore[arg-type]
    assert desk.run("readers") == 1
    assert text("card_readers.none", "en") in capsys.readouterr().out


# read


def test_a_card_is_shown_to_people(desk: Desk, capsys: Printed) -> None:
    assert desk.run("read") == 0
    printed = capsys.readouterr().out
    for fact in (cards.SERIAL, "CPS_PRIV_AUT", "CAMILLE", "RSA 2048"):
        assert fact in printed


def test_a_card_is_shown_to_programs(desk: Desk, capsys: Printed) -> None:
    assert desk.run("read", "--json") == 0
    assert json.loads(capsys.readouterr().out)["serial"] == cards.SERIAL


def test_a_card_with_a_fault_is_shown_and_ends_with_1(desk: Desk, capsys: Printed) -> None:
    (file,) = (each for each in desk.image.files if each.path.hex() == "3f0000015032")
    file.content = b"\x30\x7f"
    assert desk.run("read", "--json") == 1
    assert json.loads(capsys.readouterr().out)["faults"]


def test_nothing_is_spent_by_looking(desk: Desk) -> None:
    for command in ("read", "doctor", "trace", "readers"):
        desk.run(command)
    assert desk.tries_left == [3, 10]
    assert desk.terminal.verifications == 0


# doctor


def test_the_doctor_says_each_thing_in_a_line(desk: Desk, capsys: Printed) -> None:
    assert desk.run("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("[ OK ]") for line in lines[:-1])
    assert lines[-1] == text("card_doctor.well", "en")


def test_the_doctor_ends_with_1_where_no_login_is_possible(desk: Desk, capsys: Printed) -> None:
    desk.image.reference_data[0].tries_left = 0
    assert desk.run("doctor") == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("[ X  ]") for line in lines)
    assert lines[-1] == text("card_doctor.unwell", "en")


def test_what_is_only_odd_is_no_failure(desk: Desk) -> None:
    desk.image.reference_data[0].tries_left = 1
    assert desk.run("doctor") == 0


# trace


def test_a_trace_shows_every_exchange(desk: Desk, capsys: Printed) -> None:
    assert desk.run("trace") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "> 00 B0 9C 00 0C" in lines
    assert sum(line.startswith(">") for line in lines) == len(desk.terminal.commands)
    assert not any(line.startswith(">") and line[5:7] == "88" for line in lines)


def test_a_trace_with_a_signature_masks_the_pin(desk: Desk, capsys: Printed) -> None:
    desk.typist = Typist(cards.PIN.decode())
    assert desk.run("trace", "--sign") == 0
    printed = capsys.readouterr().out
    assert "> 00 20 00 01 ** ** ** ** ** ** ** ** **" in printed
    assert cards.PIN.hex(" ").upper() not in printed
    assert text("card_trace.signed", "en") in printed
    assert desk.terminal.verifications == 1


@pytest.mark.parametrize("typed", ["", "12", "9999"], ids=["nothing", "no PIN", "a wrong one"])
def test_a_trace_without_the_pin_ends_with_1(desk: Desk, typed: str) -> None:
    desk.typist = Typist(typed)
    assert desk.run("trace", "--sign") == 1
    assert desk.tries_left[0] == (2 if typed == "9999" else 3)


def test_the_last_try_of_a_trace_is_confirmed_and_a_blocked_card_is_not_tried(desk: Desk) -> None:
    desk.image.reference_data[0].tries_left = 1
    desk.typist = Typist("no", cards.WRONG_PIN.decode())
    assert desk.run("trace", "--sign") == 1
    desk.typist = Typist("YES", cards.WRONG_PIN.decode())
    assert desk.run("trace", "--sign") == 1
    assert (desk.tries_left[0], desk.terminal.verifications) == (0, 1)

    desk.typist = Typist(cards.PIN.decode())
    assert desk.run("trace", "--sign") == 1
    assert desk.terminal.verifications == 1


def test_a_pin_that_is_too_long_for_the_card_is_not_called_wrong(capsys: Printed) -> None:
    desk = Desk(cards.cps4_image(), t0=False)
    desk.typist = Typist("12345")
    assert desk.run("trace", "--sign") == 1
    assert text("card_pin.length", "en", digits="4") in capsys.readouterr().err
    assert desk.terminal.verifications == 0


def test_a_trace_shows_how_a_card_went(desk: Desk, capsys: Printed) -> None:
    desk.terminal.meddle = removed_before(desk.terminal, 3)
    assert desk.run("trace") == 1
    assert "! CardRemovedError" in capsys.readouterr().out


def test_a_trial_is_no_bytes_that_a_protocol_signs() -> None:
    for beginning in (b"CPS-GATEWAY", b"\x20" * 4, b"\x01", b"\x30", b"\x31"):
        assert not TRIAL.startswith(beginning)
    assert TRIAL.endswith(b"\x00")


# Failures.


@pytest.mark.parametrize("command", [["readers"], ["read"], ["trace"], ["pin", "change"]])
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_failure_is_a_sentence_with_its_code(
    desk: Desk, command: list[str], language: str, capsys: Printed
) -> None:
    desk.language = language
    desk.readers.fails = NoServiceError("stopped")
    assert desk.run(*command) == 1
    said = capsys.readouterr().err
    assert text("error.no_service", language) in said
    assert "no_service" in said


def test_the_reader_can_be_named(desk: Desk, capsys: Printed) -> None:
    desk.readers.others = [EMPTY]
    assert desk.run("read", "--reader", "software") == 0
    assert desk.run("read", "--reader", "nothing of that name") == 1
    assert f"Readers: Empty reader, {READER}." in capsys.readouterr().err
