"""A session that somebody else uses: while the card is in its reader, and once it is out.

The other attack that this gateway answers, the robot with a real session, is ``test_robot.py``.
What both come to stands in ``docs/reference/two-attacks.md``. Run with ``-s`` to see the numbers.
"""

import http.client
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cps.authtoken.codes import ErrorCode
from gateway.edge.feed import POLL_SECONDS
from gateway.session.cookie import SESSION_COOKIE
from tests.support import pki
from tests.support.browser import Browser
from tests.support.line import Desk, Line, running_line

ELSEWHERE = "127.0.9.9"
"""An address of this machine that is of another network than the one of the other requests."""
RIGHTS: Mapping[str, object] = {"routes": [{"name": "rights", "path": "/rights/{record}"}]}
GONE_SECONDS = 2.0
"""From pulling the card to the first refusal elsewhere, at the longest."""
ROUNDS = 20
WAIT_SECONDS = 10.0


def guarded(effect: str) -> Mapping[str, object]:
    """Return guard settings with one rule, on networks."""
    return {**RIGHTS, "rules": [{"count": "new_network", "effect": effect}]}


@pytest.fixture(scope="module")
def shared_unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with running_line(tmp_path_factory.mktemp("unguarded"), guard=RIGHTS) as line:
        yield line


@pytest.fixture
def unguarded(shared_unguarded: Line) -> Line:
    """Return a gateway with the guard's own rules."""
    shared_unguarded.clock.now = pki.NOW
    return shared_unguarded


class Thief:
    """Another machine, which has somebody's cookie and nothing else."""

    def __init__(self, line: Line, cookie: str) -> None:
        self._line = line
        self._fields = {"Cookie": f"{SESSION_COOKIE}={cookie}", "Accept": "application/json"}

    def ask(self, target: str = "/") -> int:
        """Ask on a new connection; return the status."""
        host = urlsplit(self._line.origin).netloc
        connection = http.client.HTTPSConnection(
            host, timeout=WAIT_SECONDS, context=self._line.tls, source_address=(ELSEWHERE, 0)
        )
        with closing(connection):
            connection.request("GET", target, headers=self._fields)
            answer = connection.getresponse()
            answer.read()
            return answer.status

    def last_let_in(self) -> float:
        """Ask until refused; return when the last request was sent that was let in."""
        deadline, last = time.monotonic() + WAIT_SECONDS, 0.0
        while True:
            sent = time.monotonic()
            if self.ask() == 401:
                return last
            assert sent < deadline, "it is never refused"
            last = sent


def log_in(line: Line, browser: Browser, desk: Desk) -> Thief:
    """Log in, and return somebody who copied the cookie."""
    browser.follow(browser.to_agent(browser.open("/_cps/login"), desk.port))
    assert browser.fetch("/rights/1").status == 200
    return Thief(line, browser.cookies[SESSION_COOKIE])


def guard_events(line: Line) -> list[tuple[object, object]]:
    return [(event["effect"], event["client"]) for event in line.audit("guard")]


def test_while_the_card_is_in_the_cookie_works_elsewhere_and_it_is_written_down(
    unguarded: Line,
) -> None:
    line, browser = unguarded, unguarded.browser()
    with line.desk(watched=True) as desk:
        thief = log_in(line, browser, desk)
        assert thief.ask() == 200
        assert thief.ask("/rights/2") == 200
        assert ("log", ELSEWHERE) in guard_events(line)


def test_once_the_card_is_out_the_cookie_is_dead_elsewhere_too(unguarded: Line) -> None:
    line, times = unguarded, []
    for number in range(ROUNDS):
        browser = line.browser()
        with line.desk(watched=True) as desk:
            thief = log_in(line, browser, desk)
            assert thief.ask() == 200
            # All phases of the gateway's own look at what ended are met.
            time.sleep(POLL_SECONDS * number / ROUNDS)
            began = time.monotonic()
            desk.terminal.inner.remove()
            times.append(max(0.0, thief.last_let_in() - began))
            # Putting the card back gives nothing back.
            desk.terminal.inner.insert()
            assert thief.ask() == 401
            assert thief.ask("/rights/3") == 401
    ends = [event["reason"] for event in line.audit("session_ended")]
    assert ends.count("card_removed") == ROUNDS
    median, worst = statistics.median(times), max(times)
    print(
        f"\nstolen cookie, card out to the last request let in: {ROUNDS} times, "
        f"median {1000 * median:.0f} ms, worst {1000 * worst:.0f} ms"
    )
    assert worst <= GONE_SECONDS


def test_a_logout_and_the_end_of_the_agent_kill_the_cookie_elsewhere_too(unguarded: Line) -> None:
    line, browser = unguarded, unguarded.browser()
    with line.desk(watched=True) as desk:
        thief = log_in(line, browser, desk)
        browser.submit("/_cps/logout")
        assert thief.ask() == 401
        thief = log_in(line, browser, desk)
        assert thief.ask() == 200
    assert thief.ask() == 401


def test_with_a_rule_on_networks_the_session_ends_at_the_first_record_asked_for_elsewhere(
    tmp_path: Path,
) -> None:
    with running_line(tmp_path, guard=guarded("end_session")) as line:
        browser = line.browser()
        with line.desk(watched=True) as desk:
            thief = log_in(line, browser, desk)
            # What no rule is about is not looked at.
            assert thief.ask() == 200
            assert thief.ask("/rights/2") == 401
            assert thief.ask() == 401
            assert browser.fetch("/").error == ErrorCode.SESSION_REQUIRED
        assert guard_events(line) == [("end_session", ELSEWHERE)]


def test_with_a_step_up_on_networks_records_want_the_card_again(
    tmp_path: Path,
) -> None:
    with running_line(tmp_path, guard=guarded("step_up")) as line:
        browser = line.browser()
        with line.desk(watched=True) as desk:
            thief = log_in(line, browser, desk)
            line.clock.advance(1)
            assert thief.ask("/rights/2") == 401
            # Pages without records stay open to both; records are closed to both.
            assert thief.ask() == 200
            assert browser.fetch("/rights/1").error == ErrorCode.STEP_UP_REQUIRED
            # The card signs again: its holder is back in, and the copied cookie is nobody's.
            line.clock.advance(1)
            log_in(line, browser, desk)
            assert (thief.ask("/rights/2"), thief.ask()) == (401, 401)


def test_a_network_is_new_once(tmp_path: Path) -> None:
    """The limit of such a rule, which the documents state: the second theft is not noticed."""
    with running_line(tmp_path, guard=guarded("end_session")) as line:
        browser = line.browser()
        with line.desk(watched=True) as desk:
            assert log_in(line, browser, desk).ask("/rights/2") == 401
            again = log_in(line, line.browser(), desk)
            assert again.ask("/rights/2") == 200
