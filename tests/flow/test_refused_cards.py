"""Refused logins: wrong and blocked PINs, and cards that leave, fall silent or are exchanged.

A removal is never counted as a wrong PIN, and no PIN is ever sent twice.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from cps.agent.file import pin_from_file
from cps.authtoken.codes import ErrorCode
from cps.issuer.leaf import Purpose
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from gateway.login.challenge import ChallengeState
from tests.support import cards, pki
from tests.support.browser import Browser, Page
from tests.support.line import Desk, Line
from tests.support.meddling import (
    MeddledTerminal,
    Transmit,
    mute_at,
    removed_after,
    removed_before,
    verify_number,
)
from tests.support.person import CANCEL, Person

COMMANDS = 19
"""Commands of a whole login, PIN and signature included."""
OTHER_SERIAL = "28000002"


def begun(line: Line, language: str = "fr") -> tuple[Browser, Page]:
    """Return a browser with a login page."""
    browser = line.browser(language=language)
    return browser, browser.open("/_cps/login")


def sign_in(line: Line, desk: Desk) -> Page:
    """Begin a login and return the agent's answer."""
    browser, login = begun(line)
    return browser.to_agent(login, desk.port)


def require_works(line: Line, desk: Desk) -> None:
    """Check that nothing is lost: a new attempt at the same desk opens the portal."""
    line.log_in(line.browser(), desk)


# --- the PIN -------------------------------------------------------------------------------------


def test_a_wrong_pin_costs_one_try_and_is_asked_again(line: Line) -> None:
    person = Person(cards.WRONG_PIN, cards.PIN)
    with line.desk(entry=person) as desk:
        require_works(line, desk)
        assert [(asked.tries_left, asked.was_wrong) for asked in person.asked] == [
            (3, False),
            (2, True),
        ]
        assert desk.terminal.verifications == 2
        assert desk.tries_left == 3, "the right PIN gives the tries back"


def test_a_cancelled_pin_costs_nothing(line: Line) -> None:
    with line.desk(entry=Person(CANCEL, cards.PIN)) as desk:
        with line.nobody_gets_in():
            sign_in(line, desk).require_failed(ErrorCode.PIN_CANCELLED)
        assert desk.terminal.verifications == 0
        assert desk.tries_left == 3
        require_works(line, desk)


def test_giving_up_after_a_wrong_pin_leaves_one_try_less(line: Line) -> None:
    with line.desk(entry=Person(cards.WRONG_PIN, CANCEL)) as desk, line.nobody_gets_in():
        sign_in(line, desk).require_failed(ErrorCode.PIN_CANCELLED)
    assert (desk.terminal.verifications, desk.tries_left) == (1, 2)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_last_wrong_pin_blocks_the_card_and_is_said(line: Line, language: str) -> None:
    person = Person(cards.WRONG_PIN)
    browser, login = begun(line, language)
    with line.desk(entry=person) as desk, line.nobody_gets_in():
        page = browser.to_agent(login, desk.port)
    page.require_failed(ErrorCode.PIN_BLOCKED, language)
    assert [asked.tries_left for asked in person.asked] == [3, 2, 1]
    assert desk.tries_left == 0


def blocked_image() -> CardImage:
    """Return a card whose PIN was wrong three times."""
    image = cards.image()
    image.reference_data[0].tries_left = 0
    return image


def test_a_blocked_card_is_sent_no_pin_and_nobody_is_asked(line: Line) -> None:
    person = Person()
    with line.desk(blocked_image(), entry=person) as desk, line.nobody_gets_in():
        sign_in(line, desk).require_failed(ErrorCode.PIN_BLOCKED)
    assert person.asked == []
    assert desk.terminal.verifications == 0


@pytest.fixture
def wrong_pin_file(tmp_path: Path) -> Path:
    file = tmp_path / "pin"
    file.touch(mode=0o600)
    file.write_bytes(cards.WRONG_PIN + b"\n")
    return file


def test_a_wrong_pin_from_a_file_is_never_tried_again(line: Line, wrong_pin_file: Path) -> None:
    with line.desk(entry=pin_from_file(wrong_pin_file)) as desk, line.nobody_gets_in():
        sign_in(line, desk).require_failed(ErrorCode.PIN_WRONG)
        for _ in range(2):
            sign_in(line, desk).require_failed(ErrorCode.PIN_CANCELLED)
    assert (desk.terminal.verifications, desk.tries_left) == (1, 2)


def test_a_file_does_not_spend_the_last_try(line: Line, wrong_pin_file: Path) -> None:
    wrong_pin_file.write_bytes(cards.PIN)
    image = cards.image()
    image.reference_data[0].tries_left = 1
    with line.desk(image, entry=pin_from_file(wrong_pin_file)) as desk, line.nobody_gets_in():
        sign_in(line, desk).require_failed(ErrorCode.PIN_CANCELLED)
    assert (desk.terminal.verifications, desk.tries_left) == (0, 1)


# --- the card leaves -----------------------------------------------------------------------------


def test_a_login_takes_so_many_commands(line: Line) -> None:
    with line.desk() as desk:
        require_works(line, desk)
    assert len(desk.terminal.commands) == COMMANDS
    assert 1 < verify_number(desk.terminal.commands) < COMMANDS


@pytest.mark.parametrize("number", range(1, COMMANDS + 1))
def test_a_card_removed_before_a_command_ends_the_login_and_costs_nothing(
    line: Line, number: int
) -> None:
    browser, login = begun(line)
    with line.desk() as desk:
        desk.terminal.meddle = removed_before(desk.terminal, number)
        with line.nobody_gets_in():
            browser.to_agent(login, desk.port).require_failed(ErrorCode.CARD_REMOVED)
        assert len(desk.terminal.commands) == number, "nothing is sent to a card that is gone"
    assert desk.tries_left == 3
    assert line.state(login.rid) in (ChallengeState.NEW, ChallengeState.FAILED)


@pytest.mark.parametrize("number", range(1, COMMANDS + 1))
def test_a_card_removed_before_its_answer_is_read_ends_the_login_and_costs_nothing(
    line: Line, number: int
) -> None:
    with line.desk() as desk:
        desk.terminal.meddle = removed_after(desk.terminal, number)
        with line.nobody_gets_in():
            sign_in(line, desk).require_failed(ErrorCode.CARD_REMOVED)
    assert desk.tries_left == 3


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_removal_after_a_wrong_pin_is_a_removal(line: Line, language: str) -> None:
    """The card counted the PIN before it left: that try is gone, and must not become two."""
    person = Person(cards.WRONG_PIN)
    browser, login = begun(line, language)
    with line.desk(entry=person) as desk:
        number = count_to_verify(line)
        desk.terminal.meddle = removed_after(desk.terminal, number)
        with line.nobody_gets_in():
            page = browser.to_agent(login, desk.port)
    page.require_failed(ErrorCode.CARD_REMOVED, language)
    assert (len(person.asked), desk.terminal.verifications, desk.tries_left) == (1, 1, 2)


def count_to_verify(line: Line) -> int:
    """Return the number of the command that sends the PIN."""
    with line.desk() as desk:
        require_works(line, desk)
    return verify_number(desk.terminal.commands)


def test_after_a_removal_before_the_claim_the_same_link_still_works(line: Line) -> None:
    browser, login = begun(line)
    with line.desk() as desk:
        desk.terminal.meddle = removed_before(desk.terminal, 1)
        browser.to_agent(login, desk.port).require_failed(ErrorCode.CARD_REMOVED)
        desk.terminal.inner.insert()
        assert browser.follow(browser.to_agent(login, desk.port)).status == 303


def test_after_a_removal_while_signing_a_new_login_works(line: Line) -> None:
    browser, login = begun(line)
    with line.desk() as desk:
        desk.terminal.meddle = removed_before(desk.terminal, COMMANDS)
        browser.to_agent(login, desk.port).require_failed(ErrorCode.CARD_REMOVED)
        desk.terminal.inner.insert()
        browser.to_agent(login, desk.port).require_failed(ErrorCode.RID_USED)
        require_works(line, desk)


def once(work: Callable[[], None]) -> Callable[[], None]:
    """Return what does *work* the first time it is called."""
    left = [work]

    def call() -> None:
        if left:
            left.pop()()

    return call


def test_a_card_removed_while_the_pin_is_typed_gets_no_pin(line: Line) -> None:
    def remove_for_a_moment() -> None:
        desk.terminal.inner.remove()
        desk.terminal.inner.insert()

    person = Person(cards.PIN, CANCEL, meanwhile=once(remove_for_a_moment))
    with line.desk(entry=person) as desk, line.nobody_gets_in():
        sign_in(line, desk).require_failed(ErrorCode.PIN_CANCELLED)
    assert len(person.asked) == 2, "the question is put anew"
    assert desk.terminal.verifications == 0
    assert desk.tries_left == 3


# --- the card is another one, or silent ----------------------------------------------------------


def other_image() -> CardImage:
    """Return the card of somebody else, with the same PIN."""
    key = pki.key("other card")
    return cards.image(
        pki.NURSE,
        serial=OTHER_SERIAL,
        authentication=cards.credential(pki.NURSE, Purpose.AUTHENTICATION, key),
    )


def test_a_card_swapped_while_the_pin_is_typed_starts_over_with_its_own_holder(
    line: Line,
) -> None:
    other = other_image()

    def swap() -> None:
        desk.terminal.swap(SoftwareCard(other))

    person = Person(meanwhile=once(swap))
    with line.desk(entry=person) as desk:
        require_works(line, desk)
        assert (desk.tries_left, other.reference_data[0].tries_left) == (3, 3)
    first, second = person.asked
    assert first.holder != second.holder
    assert desk.terminal.verifications == 1


def test_a_card_swapped_behind_the_readers_back_signs_for_nobody(line: Line) -> None:
    other = other_image()
    person = Person(meanwhile=lambda: desk.terminal.replace_unnoticed(SoftwareCard(other)))
    with line.desk(entry=person) as desk, line.nobody_gets_in():
        sign_in(line, desk).require_failed(ErrorCode.CARD_REMOVED)
    assert desk.terminal.verifications == 1


@pytest.mark.parametrize("number", [1, COMMANDS - 3, COMMANDS - 1, COMMANDS])
def test_a_mute_card_ends_the_login(line: Line, number: int) -> None:
    with line.desk() as desk:
        desk.terminal.meddle = mute_at(number)
        with line.nobody_gets_in():
            sign_in(line, desk).require_failed(ErrorCode.CARD_MUTE)
        assert len(desk.terminal.commands) == number, "nothing is tried twice"
    assert desk.tries_left == 3


def test_a_card_that_another_program_resets_is_opened_once_more(line: Line) -> None:
    with line.desk() as desk:

        def reset_first(number: int, command: bytes, transmit: Transmit) -> bytes:
            if number == 1:
                desk.terminal.inner.reset_by_another_program()
            return transmit(command)

        desk.terminal.meddle = reset_first
        require_works(line, desk)


def test_a_reset_by_another_program_while_the_pin_is_typed_does_not_matter(line: Line) -> None:
    person = Person(meanwhile=lambda: desk.terminal.inner.reset_by_another_program())
    with line.desk(entry=person) as desk:
        require_works(line, desk)
    assert desk.terminal.verifications == 1


@pytest.mark.parametrize("number", range(COMMANDS - 4, COMMANDS + 1))
def test_a_reset_by_another_program_while_signing_sends_no_second_pin(
    line: Line, number: int
) -> None:
    with line.desk() as desk:

        def reset_then(this: int, command: bytes, transmit: Transmit) -> bytes:
            if this == number:
                desk.terminal.inner.reset_by_another_program()
            return transmit(command)

        desk.terminal.meddle = reset_then
        with line.nobody_gets_in():
            sign_in(line, desk).require_failed(ErrorCode.CARD_BUSY)
        assert desk.terminal.verifications <= 1
        assert desk.tries_left == 3


def test_a_contactless_card_opens_nothing(line: Line) -> None:
    card = SoftwareCard(cards.image(), contactless=True)
    browser, login = begun(line)
    with line.desk(terminal=MeddledTerminal(card)) as desk, line.nobody_gets_in():
        browser.to_agent(login, desk.port).require_failed(ErrorCode.CARD_CONTACTLESS)
    assert desk.terminal.commands == [], "nothing is even asked of it"
    assert line.state(login.rid) is ChallengeState.NEW
