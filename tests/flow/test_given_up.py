"""A login that card or person ends: the page where it began learns why, at once."""

from collections.abc import Callable

import pytest

from cps.authtoken.codes import ErrorCode
from cps.simulator.image import CardImage
from tests.support import cards
from tests.support.line import Line
from tests.support.meddling import removed_before
from tests.support.person import CANCEL, Person


def blocked() -> CardImage:
    image = cards.image()
    image.reference_data[0].tries_left = 0
    return image


@pytest.mark.parametrize(
    ("image", "answers", "code"),
    [
        pytest.param(cards.image, (CANCEL,), ErrorCode.PIN_CANCELLED, id="cancelled"),
        pytest.param(cards.image, (cards.WRONG_PIN,), ErrorCode.PIN_BLOCKED, id="wrong to the end"),
        pytest.param(blocked, (cards.PIN,), ErrorCode.PIN_BLOCKED, id="blocked before"),
    ],
)
def test_the_page_that_began_learns_why(
    line: Line, image: Callable[[], CardImage], answers: tuple[bytes | None, ...], code: ErrorCode
) -> None:
    browser = line.browser()
    login = browser.open("/_cps/login")
    with line.desk(image(), entry=Person(*answers)) as desk, line.nobody_gets_in():
        browser.to_agent(login, desk.port).require_failed(code)
    status = browser.fetch(f"/_cps/login/status?r={login.rid}")
    assert (status.json["state"], status.json["code"]) == ("failed", code)
    assert line.audit("login_aborted")[-1]["reason"] == code


def test_a_card_that_leaves_after_the_pin_is_told_to_the_page_too(line: Line) -> None:
    browser = line.browser()
    login = browser.open("/_cps/login")

    def pull_before_the_next_command() -> None:
        desk.terminal.meddle = removed_before(desk.terminal, len(desk.terminal.commands) + 1)

    person = Person(meanwhile=pull_before_the_next_command)
    with line.desk(entry=person) as desk, line.nobody_gets_in():
        browser.to_agent(login, desk.port).require_failed(ErrorCode.CARD_REMOVED)
    status = browser.fetch(f"/_cps/login/status?r={login.rid}")
    assert (status.json["state"], status.json["code"]) == ("failed", ErrorCode.CARD_REMOVED)
