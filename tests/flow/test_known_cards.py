"""Logins of cards that the agent remembers, and of a CPS4: what they take, and how they fail."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cps.authtoken.codes import ErrorCode
from cps.card.cache import FolderCache
from cps.issuer.leaf import Holder, Purpose
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from gateway.login.challenge import ChallengeState
from tests.support import cards, pki
from tests.support.browser import Page
from tests.support.line import Desk, Line
from tests.support.meddling import (
    MeddledTerminal,
    Transmit,
    mute_at,
    removed_after,
    removed_before,
    verify_number,
)
from tests.support.person import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """How many commands logins with a kind of card take, and the kind."""

    cps4: bool
    cold: int
    """A card that nothing is known of."""
    cached: int
    """A card that was read before, just put in."""
    unmoved: int
    """A card that logged in and stayed in its reader."""

    def image(self, holder: Holder = pki.DOCTOR, *, renewed: bool = False) -> CardImage:
        """Return a card, or the same with another key and certificate."""
        key = pki.key("other card") if renewed else cards.authentication_key()
        authentication = cards.credential(holder, Purpose.AUTHENTICATION, key)
        make = cards.cps4_image if self.cps4 else cards.image
        return make(holder, authentication=authentication)

    def terminal(self, image: CardImage) -> MeddledTerminal:
        return MeddledTerminal(SoftwareCard(image))


CPS3 = Dialogue(cps4=False, cold=19, cached=7, unmoved=6)
CPS4 = Dialogue(cps4=True, cold=21, cached=9, unmoved=7)
KINDS = [pytest.param(CPS3, id="CPS3"), pytest.param(CPS4, id="CPS4")]
pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def cache(tmp_path: Path) -> FolderCache:
    return FolderCache(tmp_path / "cards")


def sign_in(line: Line, desk: Desk) -> Page:
    """Begin a login and return the agent's answer."""
    browser = line.browser()
    return browser.to_agent(browser.open("/_cps/login"), desk.port)


def commands_of_a_login(line: Line, desk: Desk) -> int:
    desk.terminal.commands.clear()
    line.log_in(line.browser(), desk)
    return len(desk.terminal.commands)


def remember(line: Line, kind: Dialogue, image: CardImage, cache: FolderCache) -> None:
    """Have the agent remember a card, which is then taken out."""
    with line.desk(image, terminal=kind.terminal(image), cache=cache) as desk:
        line.log_in(line.browser(), desk)


def test_a_card_is_read_once_and_asked_for_its_number_once_in_its_reader(
    line: Line, kind: Dialogue, cache: FolderCache
) -> None:
    image = kind.image()
    with line.desk(image, terminal=kind.terminal(image), cache=cache) as desk:
        assert commands_of_a_login(line, desk) == kind.cold
        assert commands_of_a_login(line, desk) == kind.unmoved
        desk.terminal.inner.remove()
        desk.terminal.inner.insert()
        assert commands_of_a_login(line, desk) == kind.cached
        assert commands_of_a_login(line, desk) == kind.unmoved


def test_a_renewed_certificate_logs_in_behind_one_pin(
    line: Line, kind: Dialogue, cache: FolderCache
) -> None:
    remember(line, kind, kind.image(), cache)
    image, person = kind.image(renewed=True), Person()
    with line.desk(image, terminal=kind.terminal(image), entry=person, cache=cache) as desk:
        line.log_in(line.browser(), desk)
        assert (desk.terminal.verifications, len(person.asked)) == (1, 1)
        assert commands_of_a_login(line, desk) == kind.unmoved


def test_a_card_with_another_holder_than_was_remembered_signs_for_nobody_once(
    line: Line, kind: Dialogue, cache: FolderCache
) -> None:
    remember(line, kind, kind.image(), cache)
    image = kind.image(pki.NURSE, renewed=True)
    with line.desk(image, terminal=kind.terminal(image), cache=cache) as desk:
        with line.nobody_gets_in():
            sign_in(line, desk).require_failed(ErrorCode.CARD_MALFORMED)
        assert desk.terminal.verifications == 1
        line.log_in(line.browser(), desk)


def test_another_card_behind_the_readers_back_is_found_out(
    line: Line, kind: Dialogue, cache: FolderCache
) -> None:
    image = kind.image()
    with line.desk(image, terminal=kind.terminal(image), cache=cache) as desk:
        line.log_in(line.browser(), desk)
        other = kind.image(pki.NURSE, renewed=True)
        (file,) = (each for each in other.files if each.path == bytes.fromhex("3F00D003"))
        assert file.content is not None
        file.content = file.content.replace(b"\x28\x00\x00\x01", b"\x28\x00\x00\x02")
        desk.terminal.replace_unnoticed(SoftwareCard(other))
        with line.nobody_gets_in():
            sign_in(line, desk).require_failed(ErrorCode.CARD_REMOVED)
        line.log_in(line.browser(), desk)


def test_a_damaged_memory_is_no_hindrance(line: Line, kind: Dialogue, tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "cards")
    remember(line, kind, kind.image(), cache)
    (file,) = (tmp_path / "cards").iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    image = kind.image()
    with line.desk(image, terminal=kind.terminal(image), cache=cache) as desk:
        assert commands_of_a_login(line, desk) == kind.cold


# Cards that go, at each step of each dialogue.


def steps(name: str) -> list[object]:
    return [
        pytest.param(number, id=f"{name} {number}") for number in range(1, getattr(CPS4, name) + 1)
    ]


@pytest.mark.parametrize("number", steps("cold"))
def test_a_card_removed_before_a_command_costs_nothing(
    line: Line, kind: Dialogue, number: int
) -> None:
    if number > kind.cold:
        pytest.skip("this kind needs fewer commands")
    image = kind.image()
    browser = line.browser()
    login = browser.open("/_cps/login")
    with line.desk(image, terminal=kind.terminal(image)) as desk:
        desk.terminal.meddle = removed_before(desk.terminal, number)
        with line.nobody_gets_in():
            browser.to_agent(login, desk.port).require_failed(ErrorCode.CARD_REMOVED)
        assert len(desk.terminal.commands) == number
    assert desk.tries_left == 3
    assert line.state(login.rid) in (ChallengeState.NEW, ChallengeState.FAILED)


@pytest.mark.parametrize("number", steps("cached"))
@pytest.mark.parametrize("way", ["removed", "mute", "reset"])
def test_a_remembered_card_that_fails_at_a_command_costs_nothing(
    line: Line, kind: Dialogue, cache: FolderCache, number: int, way: str
) -> None:
    if number > kind.cached:
        pytest.skip("this kind needs fewer commands")
    remember(line, kind, kind.image(), cache)
    image = kind.image()
    with line.desk(image, terminal=kind.terminal(image), cache=cache) as desk:
        terminal = desk.terminal

        def reset_at(this: int, command: bytes, transmit: Transmit) -> bytes:
            if this == number:
                terminal.inner.reset_by_another_program()
            return transmit(command)

        meddles = {
            "removed": (removed_after(terminal, number), ErrorCode.CARD_REMOVED),
            "mute": (mute_at(number), ErrorCode.CARD_MUTE),
            "reset": (reset_at, ErrorCode.CARD_BUSY),
        }
        terminal.meddle, code = meddles[way]
        opening = kind.cached - kind.unmoved + (1 if kind.cps4 else 0)
        if way == "reset" and number <= opening:
            line.log_in(line.browser(), desk)  # It is opened once more: nothing was spent.
        else:
            with line.nobody_gets_in():
                sign_in(line, desk).require_failed(code)
        assert terminal.verifications <= 1
    assert desk.tries_left == 3


def test_a_wrong_pin_costs_one_try_and_the_card_is_read_before_the_next(
    line: Line, kind: Dialogue, cache: FolderCache
) -> None:
    remember(line, kind, kind.image(), cache)
    image, person = kind.image(), Person(cards.WRONG_PIN, cards.PIN)
    with line.desk(image, terminal=kind.terminal(image), entry=person, cache=cache) as desk:
        line.log_in(line.browser(), desk)
        assert [asked.tries_left for asked in person.asked] == [3, 2]
        assert desk.terminal.verifications == 2
        assert len(desk.terminal.commands) > kind.cached + kind.unmoved


def test_the_pin_is_sent_where_it_should_be(line: Line, kind: Dialogue) -> None:
    image = kind.image()
    with line.desk(image, terminal=kind.terminal(image)) as desk:
        line.log_in(line.browser(), desk)
        commands = desk.terminal.commands
    number = verify_number(commands)
    # The key is chosen just before: that tells that the card stands in its application.
    assert commands[number - 2][1] == 0x22
    assert number > kind.cold - 4
