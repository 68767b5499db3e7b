"""A login that begins in the agent, with a card, through the real gateway; and its abuses."""

import re

import pytest

from cps.agent.progress import Stage
from cps.agent.signin import LoginRequest, SignIn
from cps.authtoken.codes import ErrorCode
from cps.card.recognise import open_card
from cps.simulator.chip import SoftwareCard
from tests.support import cards
from tests.support.browser import Browser, Page
from tests.support.line import Line
from tests.support.meddling import MeddledTerminal
from tests.support.person import Person

START, ANSWER = "/_cps/start", "/_cps/start/answer"
_ANSWER_CODE = re.compile(r'name="code" value="([A-Za-z0-9_-]{43})"')


class _Nobody:
    """Nobody looks on."""

    def show(self, stage: Stage) -> None:
        pass

    def wanted(self) -> bool:
        return True


def code_begun(line: Line) -> str:
    """Log in from the agent of a workstation with our card; return the code for the browser."""
    sign_in = SignIn(
        terminal=MeddledTerminal(SoftwareCard(cards.image())),
        open_card=open_card,
        entry=Person(),
        gateway_at=line.gateway_at,
        watch=lambda lease: None,
        clock=lambda: line.clock().timestamp(),
    )
    request = LoginRequest(rid=None, origin=line.origin, language="fr", clicked=True)
    page, _, code = sign_in.run(request, _Nobody()).redirect.partition("#")
    assert page == f"{line.origin}{START}"
    return code


def question(line: Line, browser: Browser) -> str:
    """Bring *browser* to the question and return the code of its answer."""
    assert browser.open(START).status == 200
    return answer_code(browser.submit(START, form={"code": code_begun(line)}))


def answer_code(page: Page) -> str:
    found = _ANSWER_CODE.search(page.text)
    assert found is not None, (page.status, page.text)
    return found[1]


def test_a_yes_opens_the_portal_to_the_holder(line: Line) -> None:
    browser = line.browser()
    answer = browser.submit(ANSWER, form={"code": question(line, browser), "answer": "yes"})
    assert answer.location == f"{line.origin}/"
    assert browser.follow(answer).received["x-cps-subject"] == str(
        line.audit("session_started")[-1]["national_id"]
    )


def test_nobody_is_in_before_the_answer_or_after_a_no(line: Line) -> None:
    browser = line.browser()
    with line.nobody_gets_in():
        code = question(line, browser)
        assert browser.open("/").status == 303
        assert browser.submit(ANSWER, form={"code": code, "answer": "no"}).status == 200
        assert browser.open("/").status == 303


def test_relay_what_an_attacker_begins_no_victims_card_completes(line: Line) -> None:
    """The attacker's own request id, put into the address of the victim's agent."""
    victim = line.browser()
    code_begun(line)
    begun = str(line.audit("login_begun")[-1]["rid"])
    login = victim.follow(victim.open("/"))
    bait = login.agent_link.replace(login.rid, begun)
    person = Person()
    with line.desk(entry=person) as desk, line.nobody_gets_in():
        page = victim.click(re.sub(r":\d+/", f":{desk.port}/", bait, count=1))
        while page.refreshes:
            page = victim.open(page.url)
        page.require_failed(ErrorCode.RID_USED)
    assert person.asked == [], "the victim's PIN was not even asked for"


def test_relay_a_usual_code_is_not_made_one_of_this_kind(line: Line) -> None:
    """The attacker begins in his browser, and would go on with the victim's code in another."""
    attacker, victim = line.browser(), line.browser()
    bait = attacker.follow(attacker.open("/"))
    with line.desk() as desk, line.nobody_gets_in():
        back = victim.to_agent(bait, desk.port)
        refused = attacker.submit(START, form={"code": back.code})
        assert refused.status == 403
        refused.require_clear(ErrorCode.CODE_INVALID, "fr")
        assert attacker.follow(back).status == 403
    line.require_dead(bait.rid)


def test_login_csrf_an_attackers_code_meets_a_question(line: Line) -> None:
    victim = line.browser()
    with line.nobody_gets_in():
        code = code_begun(line)
        assert victim.submit(START, form={"code": code}, cross_site=True).status == 403
        assert victim.click(f"{line.origin}{START}").status == 403
        # By mail or chat it arrives: a page that names whose login this is.
        asked = victim.submit(START, form={"code": code})
        yes = {"code": answer_code(asked), "answer": "yes"}
        assert victim.submit(ANSWER, form=yes, cross_site=True).status == 403


@pytest.mark.parametrize("has_begun", [True, False], ids=["with a login", "without a login"])
def test_the_answer_belongs_to_the_browser_that_was_asked(line: Line, *, has_begun: bool) -> None:
    browser, thief = line.browser(), line.browser()
    if has_begun:
        thief.follow(thief.open("/"))
    yes = {"code": question(line, browser), "answer": "yes"}
    with line.nobody_gets_in():
        assert thief.submit(ANSWER, form=yes).status in (400, 403)
        assert browser.submit(ANSWER, form=yes).status == 403


def test_no_secret_of_it_is_in_a_record(line: Line) -> None:
    browser = line.browser()
    code = question(line, browser)
    browser.submit(ANSWER, form={"code": code, "answer": "yes"})
    recorded = (line.settings.state_dir / "audit.jsonl").read_text("utf-8")
    secrets = {code, *line.codes, *browser.all_values}
    assert [secret for secret in secrets if secret in recorded] == []
