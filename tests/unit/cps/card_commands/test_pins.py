"""Changing and unblocking: what is asked, what is sent, and that nothing is sent twice."""

import pytest

from cps.authtoken.catalogue import text
from cps.card_commands.surroundings import ToolError
from tests.support import cards
from tests.support.meddling import Transmit, sends_pin
from tests.unit.cps.card_commands.around import Desk, Typist

YES = "YES"
NEW = "4321"
PIN, PUK = cards.PIN.decode(), cards.PUK.decode()


@pytest.fixture(params=["CPS3", "CPS4"])
def desk(request: pytest.FixtureRequest) -> Desk:
    if request.param == "CPS3":
        return Desk()
    return Desk(cards.cps4_image(), t0=False)


def change(desk: Desk, *answers: str) -> int:
    desk.typist = Typist(*answers)
    return desk.run("pin", "change")


def unblock(desk: Desk, *answers: str) -> int:
    desk.typist = Typist(*answers)
    return desk.run("pin", "unblock")


def digits(desk: Desk) -> bytes:
    """Return the card's PIN."""
    return desk.image.reference_data[0].digits


def shown(desk: Desk) -> str:
    assert desk.typist is not None
    return desk.typist.shown


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_a_pin_is_changed(desk: Desk) -> None:
    assert change(desk, YES, PIN, NEW, NEW) == 0
    assert digits(desk) == NEW.encode()
    assert desk.tries_left == [3, 10]


def test_the_person_sees_whose_card_it_is_and_the_tries_left(desk: Desk) -> None:
    change(desk, YES, PIN, NEW, NEW)
    for fact in ("CAMILLE EXEMPLE", "0001", "Tries left: 3", text("card_pin.changed", "en")):
        assert fact in shown(desk)
    assert PIN not in shown(desk)


@pytest.mark.parametrize("answer", ["", "no", "y"])
def test_without_the_word_nothing_is_asked(
    desk: Desk, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert change(desk, answer) == 1
    assert unblock(desk, answer) == 1
    assert said(capsys).count(text("card_pin.cancelled", "en")) == 2
    assert desk.terminal.verifications == 0


def test_the_word_is_that_of_the_language(desk: Desk) -> None:
    desk.language = "fr"
    assert change(desk, "oui", PIN, NEW, NEW) == 0


@pytest.mark.parametrize(
    ("answers", "key"),
    [
        pytest.param([PIN, NEW, "4322"], "card_pin.different", id="two new codes"),
        pytest.param([PIN, NEW, ""], "card_pin.cancelled", id="one new code"),
        pytest.param([PIN, ""], "card_pin.cancelled", id="no new code"),
        pytest.param([""], "card_pin.cancelled", id="no code"),
        pytest.param(["12"], "card_pin.form", id="too short"),
        pytest.param(["123456789"], "card_pin.form", id="too long"),
        pytest.param(["abcd"], "card_pin.form", id="letters"),
        pytest.param([PIN, "é" * 4, NEW], "card_pin.form", id="new letters"),
    ],
)
def test_codes_that_do_not_do_are_not_sent(
    desk: Desk, answers: list[str], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert change(desk, YES, *answers) == 1
    assert text(key, "en") in said(capsys)
    assert unblock(desk, YES, *answers) == 1
    assert text(key, "en") in said(capsys)
    assert desk.tries_left == [3, 10]
    assert digits(desk) == cards.PIN


def test_a_code_of_another_length_than_the_cards_is_not_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk = Desk(cards.cps4_image(), t0=False)
    for work in (change, unblock):
        assert work(desk, YES, PUK if work is unblock else PIN, "54321", "54321") == 1
        assert text("card_pin.length", "en", digits="4") in said(capsys)
    assert desk.tries_left == [3, 10]


def test_a_wrong_pin_costs_one_try_and_is_said(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert change(desk, YES, "9999", NEW, NEW) == 1
    assert text("card_pin.wrong", "en", tries=2) in said(capsys)
    assert desk.tries_left == [2, 10]
    assert digits(desk) == cards.PIN


def test_the_last_try_wants_a_second_word(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.image.reference_data[0].tries_left = 1
    assert change(desk, YES, "no") == 1
    assert desk.tries_left[0] == 1
    assert change(desk, YES, YES, "9999", NEW, NEW) == 1
    assert text("card_pin.blocked", "en") in said(capsys)
    assert desk.tries_left[0] == 0


def test_a_blocked_pin_is_not_asked_for(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.image.reference_data[0].tries_left = 0
    assert change(desk) == 1
    assert text("card_pin.blocked", "en") in said(capsys)
    assert desk.terminal.verifications == 0


def test_a_blocked_card_is_unblocked(desk: Desk) -> None:
    desk.image.reference_data[0].tries_left = 0
    assert unblock(desk, YES, PUK, NEW, NEW) == 0
    assert digits(desk) == NEW.encode()
    assert desk.tries_left == [3, 10]
    assert "Tries left: 0" in shown(desk)
    assert text("card_pin.puk_tries", "en", tries=10) in shown(desk)


def test_a_wrong_puk_costs_one_of_its_tries(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert unblock(desk, YES, "00000000", NEW, NEW) == 1
    assert text("card_pin.wrong_puk", "en", tries=9) in said(capsys)
    assert desk.tries_left == [3, 9]


def test_the_last_try_of_the_puk_wants_a_second_word(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.image.reference_data[1].tries_left = 1
    assert unblock(desk, YES, "no") == 1
    assert unblock(desk, YES, YES, "00000000", NEW, NEW) == 1
    assert text("card_pin.puk_blocked", "en") in said(capsys)
    assert unblock(desk) == 1
    assert text("card_pin.puk_blocked", "en") in said(capsys)


def test_a_card_that_goes_is_gone_and_nothing_was_spent(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    def removed(number: int, command: bytes, transmit: Transmit) -> bytes:
        if cards.PIN in command:
            desk.terminal.inner.remove()
        return transmit(command)

    desk.readers.terminals[0].meddle = removed
    assert change(desk, YES, PIN, NEW, NEW) == 1
    assert "removed" in said(capsys)
    assert desk.tries_left == [3, 10]


def test_a_code_is_sent_once(desk: Desk) -> None:
    change(desk, YES, "9999", NEW, NEW)
    commands = [command for command in desk.terminal.commands if b"9999" in command]
    assert len(commands) == 1
    assert sends_pin(commands[0]) or commands[0][1] == 0x24


def test_without_a_terminal_nothing_is_asked(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.typist = None
    for command in ("change", "unblock"):
        assert desk.run("pin", command) == 1
        assert text("card_command.no_terminal", "en") in said(capsys)
    assert desk.terminal.commands == []


def test_a_sentence_is_made_for_each_outcome() -> None:
    assert "3" in ToolError("card_pin.wrong", tries=3).sentence("fr")
