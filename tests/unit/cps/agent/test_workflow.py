"""One sign-in at a time: joining, holding, pausing, giving up; over the real server."""

import threading
import time
from collections.abc import Callable

import pytest

from cps.agent.errors import SignInError
from cps.agent.progress import Progress, Stage
from cps.agent.signin import CompletedSignIn, LoginRequest
from cps.agent.workflow import WorkflowLimits
from cps.authtoken.codes import ErrorCode
from cps.errors import CardRemovedError, PINCancelledError
from tests.unit.cps.agent.fakes import OTHER_RID, RID
from tests.unit.cps.agent.loopback import (
    HOST,
    TIMEOUT,
    Browser,
    Recorder,
    Response,
    completed,
    parse,
    read_all,
    running_agent,
)

OTHER_TARGET = f"/v1/login?r={OTHER_RID}&o={HOST}"
REFRESH = '<meta http-equiv="refresh"'


class Steered:
    """A sign-in that a test leads by the hand."""

    def __init__(self) -> None:
        self.count = 0
        self.begun = threading.Event()
        self.leave = threading.Event()
        self.gave_up = threading.Event()
        self.stages: list[Stage] = []
        self.go_on = threading.Event()
        self.went_on = threading.Event()
        self.failure: Exception | None = None

    def __call__(self, request: LoginRequest, progress: Progress) -> CompletedSignIn:
        self.count += 1
        for stage in self.stages:
            progress.show(stage)
        self.begun.set()
        deadline = time.monotonic() + TIMEOUT
        while not self.leave.wait(0.01) and time.monotonic() < deadline:
            if self.go_on.is_set():
                progress.show(Stage.WORKING)
                self.went_on.set()
            if not progress.wanted():
                self.gave_up.set()
                raise PINCancelledError("not wanted")
        if self.failure is not None:
            raise self.failure
        return completed(request)


def in_background(browser: Browser) -> Callable[[], Response]:
    """Send a request and return what waits for its answer."""
    connection = browser.connect()
    connection.sendall(browser.head())

    def answer() -> Response:
        with connection:
            return parse(read_all(connection))

    return answer


def test_the_same_login_is_joined_and_done_once() -> None:
    sign_in = Steered()
    with running_agent(sign_in, workflow=WorkflowLimits(second_tab=0.05)) as browser:
        answers = [in_background(browser), in_background(browser)]
        assert sign_in.begun.wait(TIMEOUT)
        # Answered after both were read, since it was sent after them.
        assert browser.request(target=OTHER_TARGET).status == 409
        sign_in.leave.set()
        received = [answer() for answer in answers]
        assert [answer.status for answer in received] == [303, 303]
    assert sign_in.count == 1
    # The code is good once: one tab carries it, the other one goes to the portal without.
    with_code = [answer for answer in received if "?code=" in answer.headers["Location"]]
    assert len(with_code) == 1
    (without,) = [answer for answer in received if answer not in with_code]
    assert without.headers["Location"] == "https://portal.example/"


def test_a_tab_that_comes_too_late_is_led_to_the_portal_and_starts_nothing() -> None:
    sign_in = Steered()
    sign_in.leave.set()
    with running_agent(sign_in, workflow=WorkflowLimits(second_tab=0.01)) as browser:
        assert "?code=" in browser.request().headers["Location"]
        for _ in range(2):
            assert browser.request().headers["Location"] == "https://portal.example/"
    assert sign_in.count == 1


def test_the_same_request_id_for_another_portal_does_not_join() -> None:
    sign_in = Steered()
    portals = ("https://portal.example", "https://other.example")
    with running_agent(sign_in, portals=portals) as browser:
        first = in_background(browser)
        assert sign_in.begun.wait(TIMEOUT)
        assert browser.request(target=f"/v1/login?r={RID}&o=other.example").status == 409
        sign_in.leave.set()
        assert first().status == 303


def test_a_long_sign_in_is_answered_by_a_page_that_asks_again() -> None:
    sign_in = Steered()
    with running_agent(sign_in, workflow=WorkflowLimits(hold=0.05)) as browser:
        page = browser.request()
        assert page.status == 200
        assert REFRESH in page.body
        assert "url=" not in page.body, "the page refreshes itself and nothing else"
        sign_in.leave.set()
        assert browser.request().status == 303
    assert sign_in.count == 1


def test_what_the_person_must_do_is_shown_at_once_and_only_once() -> None:
    sign_in = Steered()
    sign_in.stages = [Stage.CARD]
    with running_agent(sign_in, workflow=WorkflowLimits(hold=1)) as browser:
        page = browser.request(headers=(("Accept-Language", "en"),))
        assert "Insert your CPS card" in page.body
        assert REFRESH in page.body
        second = in_background(browser)
        sign_in.leave.set()
        assert second().status == 303, "the second request is held, not answered with the same page"


def test_a_page_is_not_replaced_when_the_agent_merely_works_on() -> None:
    sign_in = Steered()
    sign_in.stages = [Stage.PIN]
    with running_agent(sign_in, workflow=WorkflowLimits(hold=1)) as browser:
        assert REFRESH in browser.request().body
        second = in_background(browser)
        sign_in.go_on.set()
        assert sign_in.went_on.wait(TIMEOUT)
        sign_in.leave.set()
        assert second().status == 303


def test_a_failure_says_code_incident_and_the_way_back() -> None:
    sign_in = Steered()
    sign_in.failure = SignInError(ErrorCode.CERT_REVOKED, "detail", incident="A1B2C3D4")
    sign_in.leave.set()
    with running_agent(sign_in) as browser:
        page = browser.request()
    assert "cert_revoked" in page.body
    assert "A1B2C3D4" in page.body
    assert 'href="https://portal.example/"' in page.body
    assert "detail" not in page.body
    assert REFRESH not in page.body


def test_a_failure_that_was_told_lets_the_same_login_begin_again() -> None:
    sign_in = Steered()
    sign_in.failure = CardRemovedError("gone")
    sign_in.leave.set()
    with running_agent(sign_in) as browser:
        assert "card_removed" in browser.request().body
        sign_in.failure = None
        assert browser.request().status == 303
    assert sign_in.count == 2


def test_the_agent_pauses_after_three_refusals_and_goes_on_later() -> None:
    sign_in = Steered()
    sign_in.leave.set()
    sign_in.failure = PINCancelledError("no")
    with running_agent(sign_in, workflow=WorkflowLimits(pause=0.6)) as browser:
        for _ in range(3):
            assert "pin_cancelled" in browser.request().body
        assert browser.request().status == 429
        assert sign_in.count == 3
        sign_in.failure = None
        assert eventually(lambda: browser.request().status == 303)


CLICK = (("Sec-Fetch-User", "?1"),)


def test_who_clicked_may_cancel_as_often_as_they_like() -> None:
    sign_in = Steered()
    sign_in.leave.set()
    sign_in.failure = PINCancelledError("no")
    with running_agent(sign_in) as browser:
        assert [browser.request(headers=CLICK).status for _ in range(6)] == [200] * 6
    assert sign_in.count == 6


def test_a_click_does_not_help_who_asks_for_logins_that_are_not_there() -> None:
    sign_in = Steered()
    sign_in.leave.set()
    sign_in.failure = SignInError(ErrorCode.RID_UNKNOWN, "no such")
    with running_agent(sign_in) as browser:
        assert [browser.request(headers=CLICK).status for _ in range(4)] == [200, 200, 200, 429]


def test_entries_that_nobody_waits_for_bring_about_the_pause() -> None:
    sign_in = Steered()
    with running_agent(sign_in, workflow=WorkflowLimits(hold=0.03, abandon=0.01)) as browser:
        assert eventually(lambda: browser.request(headers=CLICK).status == 429)
    assert sign_in.gave_up.is_set()


def test_unknown_portals_bring_about_the_pause_too() -> None:
    done = Recorder()
    with running_agent(done) as browser:
        target = f"/v1/login?r={RID}&o=evil.example"
        assert [browser.request(target=target).status for _ in range(4)] == [403, 403, 403, 429]
        assert browser.request().status == 429
    assert done.seen == []


def test_requests_that_any_page_can_send_unseen_bring_about_no_pause() -> None:
    with running_agent(Recorder()) as browser:
        for _ in range(5):
            assert browser.request(headers=(("Sec-Fetch-Dest", "image"),)).status == 403
        assert browser.request().status == 303


@pytest.mark.parametrize("code", [ErrorCode.GATEWAY_UNREACHABLE, ErrorCode.TLS_ERROR])
def test_troubles_that_are_nobodys_refusal_bring_about_no_pause(code: ErrorCode) -> None:
    sign_in = Steered()
    sign_in.leave.set()
    sign_in.failure = SignInError(code, "trouble")
    with running_agent(sign_in) as browser:
        assert [browser.request().status for _ in range(5)] == [200] * 5


def test_a_sign_in_whose_browser_went_away_is_given_up() -> None:
    sign_in = Steered()
    with running_agent(sign_in, workflow=WorkflowLimits(abandon=0.05)) as browser:
        with browser.connect() as connection:
            connection.sendall(browser.head())
            assert sign_in.begun.wait(TIMEOUT)
            assert browser.request(target=OTHER_TARGET).status == 409
        assert sign_in.gave_up.wait(TIMEOUT)
        sign_in.leave.set()
        assert eventually(lambda: browser.request(target=OTHER_TARGET).status == 303)


def test_a_page_that_asks_again_in_time_keeps_the_sign_in() -> None:
    sign_in = Steered()
    limits = WorkflowLimits(hold=0.03, abandon=0.12)
    with running_agent(sign_in, workflow=limits) as browser:
        for _ in range(5):
            assert REFRESH in browser.request().body
            time.sleep(0.02)
        assert not sign_in.gave_up.is_set()
        sign_in.leave.set()
        assert browser.request().status == 303


def test_an_outcome_that_nobody_fetches_is_dropped() -> None:
    sign_in = Steered()
    with running_agent(sign_in, workflow=WorkflowLimits(hold=0.02, abandon=0.1)) as browser:
        assert REFRESH in browser.request().body
        sign_in.leave.set()
        assert eventually(lambda: browser.request(target=OTHER_TARGET).status == 303)


def test_a_sign_in_that_never_ends_does_not_block_the_next() -> None:
    stuck = threading.Event()

    def sign_in(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        if request.rid == RID:
            stuck.wait(TIMEOUT)
        return completed(request)

    with running_agent(sign_in, workflow=WorkflowLimits(whole=0.1)) as browser:
        assert "internal" in browser.request().body
        assert browser.request(target=OTHER_TARGET).status == 303
        stuck.set()


def test_the_agent_ends_while_a_sign_in_waits() -> None:
    sign_in = Steered()
    with running_agent(sign_in) as browser:
        connection = browser.connect()
        connection.sendall(browser.head())
        assert sign_in.begun.wait(TIMEOUT)
    assert sign_in.gave_up.is_set()
    connection.close()


def eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.02)
    return False
