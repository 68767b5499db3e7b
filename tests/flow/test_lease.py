"""The session leaves with the card: measured, attacked, and across what it must survive."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cps.agent.errors import SignInError
from cps.agent.gateway_client import GatewayClient
from cps.agent.logind import LogindWatch
from cps.agent.presence import LeaseGateway
from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from cps.simulator.chip import SoftwareCard
from cps.transport.connection import CardTerminal
from gateway.edge.feed import POLL_SECONDS
from gateway.session.cookie import SESSION_COOKIE
from tests.support import cards, pki
from tests.support.browser import Browser
from tests.support.line import Desk, Line, running_line
from tests.support.logind import private_bus, running_logind
from tests.support.pcsc import VirtualReader
from tests.support.relay import RawServer
from tests.support.streams import TARGETS, EndlessPortal, open_all

LEASE = "/_cps/agent/lease"
LIMIT_SECONDS = 2.0
"""From pulling the card to the last cut, at the longest."""
ROUNDS = 50
PCSCD_ROUNDS = 5
WAIT_SECONDS = 5.0
QUICK = {"heartbeat_seconds": 1, "grace_seconds": 30}


@pytest.fixture(scope="module")
def shared_quick_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with running_line(tmp_path_factory.mktemp("quick"), presence=QUICK) as line:
        yield line


@pytest.fixture
def quick_line(shared_quick_line: Line) -> Line:
    """Return a gateway that hears of each card once a second."""
    shared_quick_line.clock.now = pki.NOW
    return shared_quick_line


@pytest.fixture(scope="module")
def portal() -> EndlessPortal:
    return EndlessPortal()


@pytest.fixture(scope="module")
def shared_streaming_line(
    portal: EndlessPortal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    with (
        RawServer(portal).on_port() as upstream,
        running_line(tmp_path_factory.mktemp("streaming"), upstream=upstream) as line,
    ):
        yield line


@pytest.fixture
def streaming_line(shared_streaming_line: Line) -> Line:
    """Return a gateway before a portal whose answers have no end."""
    shared_streaming_line.clock.now = pki.NOW
    return shared_streaming_line


def log_in(line: Line, browser: Browser, desk: Desk) -> str:
    """Log in without looking at the portal; return the value of the session's cookie."""
    callback = browser.to_agent(browser.open("/_cps/login"), desk.port)
    browser.follow(callback)
    return browser.cookies[SESSION_COOKIE]


def is_in(browser: Browser) -> bool:
    page = browser.fetch("/_cps/session")
    if page.status == 401:
        assert page.error == ErrorCode.SESSION_REQUIRED
    return page.status == 200


def await_(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not met():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


def await_end(browser: Browser) -> None:
    await_(lambda: not is_in(browser))


def last_end(line: Line) -> object:
    return line.audit("session_ended")[-1]["reason"]


class Recorder:
    """The agent's way to the gateway, with a copy of each message, and a switch for the network."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.sent: list[LeaseMessage] = []
        self.answers = 0
        self.network_is_down = False

    def at(self, origin: str) -> LeaseGateway:
        """Return the way to the gateway of *origin*."""
        return _Recorded(self, self._line.client_at(origin))

    def of(self, event: LeaseEvent) -> LeaseMessage:
        """Return the first message of that event."""
        return next(message for message in self.sent if message.event is event)


class _Recorded:
    def __init__(self, recorder: Recorder, client: GatewayClient) -> None:
        self._recorder = recorder
        self._client = client

    def tell(self, message: LeaseMessage) -> bool:
        if self._recorder.network_is_down:
            raise SignInError(ErrorCode.GATEWAY_UNREACHABLE, "no route to the gateway")
        self._recorder.sent.append(message)
        alive = self._client.tell(message)
        self._recorder.answers += 1
        return alive


# --- measured ------------------------------------------------------------------------------------


def measured(rounds: int, one_round: Callable[[float], float], name: str) -> None:
    """Do it so often; print median and worst, and check the worst.

    :param one_round: takes a pause to make before, so that all phases of the gateway's own look
        at what ended are met.
    """
    times = [one_round(POLL_SECONDS * number / rounds) for number in range(rounds)]
    median, worst = statistics.median(times), max(times)
    print(f"\n{name}: {rounds} times, median {median:.3f} s, worst {worst:.3f} s")
    assert worst <= LIMIT_SECONDS


def test_pulling_the_card_ends_the_session_and_all_that_is_open(
    streaming_line: Line, portal: EndlessPortal
) -> None:
    line = streaming_line

    with line.desk(watched=True) as desk:

        def one_round(pause: float) -> float:
            browser = line.browser()
            log_in(line, browser, desk)
            streams = open_all(line, browser)
            portal.ended_at.clear()
            time.sleep(pause)
            began = time.monotonic()
            desk.terminal.inner.remove()
            last = max(stream.cut_at() for stream in streams)
            assert not is_in(browser)
            await_(lambda: len(portal.ended_at) == len(TARGETS))
            for stream in streams:
                stream.close()
            desk.terminal.inner.insert()
            return max([last, *portal.ended_at]) - began

        measured(ROUNDS, one_round, "card out to the last of three answers cut, on both sides")
    assert last_end(line) == "card_removed"


@pytest.mark.pcscd
def test_pulling_the_card_out_of_a_real_reader_ends_all_as_soon(
    streaming_line: Line, pcscd: VirtualReader
) -> None:
    from cps.transport.pcsc import PCSCTerminal

    line, terminal = streaming_line, PCSCTerminal()

    def one_round(pause: float) -> float:
        browser = line.browser()
        with ExitStack() as workstation:
            card = ExitStack()
            workstation.enter_context(card)
            card.enter_context(pcscd.holding(SoftwareCard(cards.image())))
            desk = workstation.enter_context(_desk_with(line, terminal))
            log_in(line, browser, desk)
            streams = open_all(line, browser)
            time.sleep(pause)
            began = time.monotonic()
            pulling = threading.Thread(target=card.close)
            pulling.start()
            last = max(stream.cut_at() for stream in streams)
            assert not is_in(browser)
            pulling.join()
            for stream in streams:
                stream.close()
        return last - began

    measured(PCSCD_ROUNDS, one_round, "the same through pcscd")
    assert last_end(line) == "card_removed"


@contextmanager
def _desk_with(line: Line, terminal: CardTerminal) -> Iterator[Desk]:
    with line.desk(terminal=terminal, watched=True) as desk:  # type: ignore[arg-type]  # no meddling here
        yield desk


# --- what ends a session -------------------------------------------------------------------------


def test_the_person_is_told_why_and_a_script_that_the_session_is_over(line: Line) -> None:
    browser = line.browser()
    with line.desk(watched=True) as desk:
        log_in(line, browser, desk)
        desk.terminal.inner.remove()
        await_end(browser)
    assert browser.fetch("/api").error == ErrorCode.SESSION_REQUIRED
    login = browser.follow(browser.open("/rights"))
    assert text("login_page.ended_card_removed", "fr") in login.text
    assert login.agent_link


def test_only_the_browser_that_lost_its_session_is_told(line: Line) -> None:
    browser, stranger = line.browser(), line.browser()
    with line.desk(watched=True) as desk:
        log_in(line, browser, desk)
        desk.terminal.inner.remove()
        await_end(browser)
    login = stranger.follow(stranger.open("/"))
    assert text("login_page.ended_card_removed", "fr") not in login.text


def test_a_card_that_is_back_restores_nothing(line: Line) -> None:
    browser = line.browser()
    with line.desk(watched=True) as desk:
        cookie = log_in(line, browser, desk)
        desk.terminal.inner.remove()
        await_end(browser)
        desk.terminal.inner.insert()
        time.sleep(0.3)
        assert not is_in(browser)
        # Only a new login, with its PIN, opens a session, and that is another one.
        assert log_in(line, browser, desk) != cookie
        assert is_in(browser)


def test_a_swap_that_nobody_sees_is_a_removal(line: Line) -> None:
    browser = line.browser()
    with line.desk(watched=True) as desk:
        log_in(line, browser, desk)
        desk.terminal.swap(SoftwareCard(cards.image(pki.NURSE)))
        await_end(browser)
    assert last_end(line) == "card_removed"


@pytest.mark.parametrize("locked", ["end", "ignore"])
def test_a_locked_screen_does_what_the_portal_wants(tmp_path: Path, locked: str) -> None:
    with (
        private_bus() as bus,
        running_logind(bus) as logind,
        running_line(tmp_path, presence={"locked": locked}) as line,
    ):
        browser, recorder = line.browser(), Recorder(line)
        with (
            line.desk(watched=True, lease_gateway_at=recorder.at) as desk,
            closing(LogindWatch(desk.presence, bus=bus)),
        ):
            log_in(line, browser, desk)
            await_(lambda: "Get" in logind.asked)
            logind.set_locked(True)
            await_(lambda: recorder.answers)
            assert recorder.of(LeaseEvent.LOCKED)
            assert is_in(browser) is (locked == "ignore")
        login = browser.follow(browser.open("/"))
    if locked == "end":
        assert last_end(line) == "screen_locked"
        assert text("login_page.ended_screen_locked", "fr") in login.text


def test_an_agent_that_ends_takes_its_sessions_along(line: Line) -> None:
    browser = line.browser()
    with line.desk(watched=True) as desk:
        log_in(line, browser, desk)
    assert not is_in(browser)
    assert last_end(line) == "agent_ended"
    login = browser.follow(browser.open("/"))
    assert text("login_page.ended_agent_ended", "fr") in login.text


def test_an_agent_that_was_killed_is_missed_within_the_grace(streaming_line: Line) -> None:
    line, browser = streaming_line, streaming_line.browser()
    with line.desk(watched=False) as desk:
        log_in(line, browser, desk)
        streams = open_all(line, browser)
        line.clock.advance(59)
        time.sleep(0.6)
        for stream in streams:
            stream.require_open()
        assert is_in(browser)
        line.clock.advance(1)
        began = time.monotonic()
        assert max(stream.cut_at() for stream in streams) - began <= LIMIT_SECONDS
        assert not is_in(browser)
    for stream in streams:
        stream.close()
    login = browser.open("/_cps/login")
    assert text("login_page.ended_presence_lost", "fr") in login.text


def test_a_network_that_is_cut_ends_the_session_within_the_grace(quick_line: Line) -> None:
    line, browser, recorder = quick_line, quick_line.browser(), Recorder(quick_line)
    with line.desk(watched=True, lease_gateway_at=recorder.at) as desk:
        log_in(line, browser, desk)
        recorder.network_is_down = True
        desk.terminal.inner.remove()
        time.sleep(0.3)
        line.clock.advance(29)
        assert is_in(browser), "the gateway cannot know"
        line.clock.advance(1)
        assert not is_in(browser)
        recorder.network_is_down = False


def test_a_flap_shorter_than_the_grace_keeps_the_session(quick_line: Line) -> None:
    line, browser, recorder = quick_line, quick_line.browser(), Recorder(quick_line)
    with line.desk(watched=True, lease_gateway_at=recorder.at) as desk:
        log_in(line, browser, desk)
        recorder.network_is_down = True
        line.clock.advance(29)
        time.sleep(1.2)
        assert recorder.sent == []
        recorder.network_is_down = False
        await_(lambda: recorder.answers)
        line.clock.advance(29)
        assert is_in(browser)


def test_a_card_that_leaves_before_the_browser_is_back_opens_nothing(line: Line) -> None:
    browser = line.browser()
    with line.desk(watched=True) as desk, line.nobody_gets_in():
        callback = browser.to_agent(browser.open("/_cps/login"), desk.port)
        desk.terminal.inner.remove()
        await_(lambda: len(desk.presence) == 0)
        page = browser.follow(callback)
        assert page.status == 403
        page.require_clear(ErrorCode.CARD_REMOVED, "fr")
        assert SESSION_COOKIE not in browser.cookies
    assert line.refusal(page.incident) == ErrorCode.CARD_REMOVED


def test_a_logout_ends_the_watch(quick_line: Line) -> None:
    line, browser = quick_line, quick_line.browser()
    with line.desk(watched=True) as desk:
        log_in(line, browser, desk)
        assert len(desk.presence) == 1
        browser.submit("/_cps/logout")
        await_(lambda: len(desk.presence) == 0)


# --- several at once -----------------------------------------------------------------------------


def test_one_card_keeps_two_portals_and_two_browsers_and_ends_them_all(
    line: Line, quick_line: Line
) -> None:
    browsers = [line.browser(), line.browser(), quick_line.browser()]
    with (
        line.desk(watched=True) as desk,
        quick_line.desk(terminal=desk.terminal, watched=True) as other_desk,
    ):
        log_in(line, browsers[0], desk)
        log_in(line, browsers[1], desk)
        log_in(quick_line, browsers[2], other_desk)
        assert [len(desk.presence), len(other_desk.presence)] == [2, 1]
        assert all(is_in(browser) for browser in browsers)
        desk.terminal.inner.remove()
        for browser in browsers:
            await_end(browser)


def test_the_card_of_one_person_keeps_no_session_of_another(quick_line: Line) -> None:
    line = quick_line
    doctor, nurse = line.browser(), line.browser()
    with line.desk(watched=True) as here:
        with line.desk(cards.image(pki.NURSE), watched=False) as there:
            log_in(line, doctor, here)
            log_in(line, nurse, there)
        line.clock.advance(20)
        time.sleep(1.5)
        line.clock.advance(10)
        assert is_in(doctor)
        assert not is_in(nurse)


# --- attacked ------------------------------------------------------------------------------------


def test_what_was_overheard_is_good_for_nothing(quick_line: Line) -> None:
    """A heartbeat sent again, an old one after a newer one: refused, recorded, without effect."""
    line, browser, recorder = quick_line, quick_line.browser(), Recorder(quick_line)
    with line.desk(watched=True, lease_gateway_at=recorder.at) as desk:
        log_in(line, browser, desk)
        await_(lambda: len(recorder.sent) >= 2)
        recorder.network_is_down = True
        for message in recorder.sent[:2]:
            before = len(line.audit("lease_refused"))
            answer = line.post(LEASE, message.to_json())
            assert (answer.status, answer.error) == (403, ErrorCode.REQUEST_FORBIDDEN)
            (refusal,) = line.audit("lease_refused")[before:]
            assert refusal["ref"] == answer.json["ref"]
        line.clock.advance(30)
        assert not is_in(browser), "a heartbeat that was heard again keeps nothing"


def test_a_removal_of_one_session_cannot_be_turned_against_another(quick_line: Line) -> None:
    line = quick_line
    mine, victim = line.browser(), line.browser()
    recorder, other = Recorder(line), Recorder(line)
    with (
        line.desk(watched=True, lease_gateway_at=recorder.at) as desk,
        line.desk(cards.image(pki.NURSE), watched=True, lease_gateway_at=other.at) as victims,
    ):
        log_in(line, mine, desk)
        log_in(line, victim, victims)
        await_(lambda: other.sent)
        desk.terminal.inner.remove()
        await_end(mine)
        sent = recorder.of(LeaseEvent.REMOVED)
        stolen = other.sent[0].lease
        forged = LeaseMessage(lease=stolen, counter=99, event=sent.event, signature=sent.signature)
        answer = line.post(LEASE, forged.to_json())
        assert (answer.status, answer.error) == (403, ErrorCode.SIG_INVALID)
        assert line.audit("lease_refused")[-1]["reason"] == ErrorCode.SIG_INVALID
        assert is_in(victim)


def test_a_page_in_the_persons_browser_cannot_speak_for_the_agent(quick_line: Line) -> None:
    line, browser, recorder = quick_line, quick_line.browser(), Recorder(quick_line)
    with line.desk(watched=True, lease_gateway_at=recorder.at) as desk:
        log_in(line, browser, desk)
        await_(lambda: recorder.sent)
        answer = line.post(LEASE, recorder.sent[0].to_json(), fields={"Origin": line.origin})
        assert (answer.status, answer.error) == (403, ErrorCode.REQUEST_FORBIDDEN)
        assert is_in(browser)


# --- survived ------------------------------------------------------------------------------------


def test_a_restart_of_the_gateway_loses_no_session_and_no_lease(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("restarted")
    with ExitStack() as workstation:
        with running_line(folder, presence=QUICK) as before:
            browser = before.browser()
            desk = workstation.enter_context(before.desk(watched=True))
            log_in(before, browser, desk)
        port = urlsplit(before.origin).port
        with running_line(folder, presence=QUICK, port=port) as after:
            assert is_in(browser)
            assert len(desk.presence) == 1
            after.clock.advance(25)
            # The first heartbeat that arrives again.
            time.sleep(1.5)
            after.clock.advance(25)
            assert is_in(browser)
            desk.terminal.inner.remove()
            await_end(browser)
            assert last_end(after) == "card_removed"
