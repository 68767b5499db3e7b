"""The browser's part of a login that began in the agent, and the attacks on it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from cps.authtoken.catalogue import text
from cps.authtoken.lease import LeaseEvent
from gateway.errors import SessionRequiredError, StoreUnavailableError
from gateway.login.attempt import ANSWER_SECONDS, START_CODE_SECONDS
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from gateway.session.model import EndReason
from gateway.web.start_pages import MAX_FORM_BYTES
from tests.support.gateway_fakes import (
    CLIENT,
    NOW,
    ORIGIN,
    TEST_PERSON,
    Browser,
    FakedGateway,
    ended_fields,
    make_gateway,
    make_settings,
)
from tests.unit.gateway.web.test_agent_begin import begin

START = "/_cps/start"
ANSWER = "/_cps/start/answer"
OWN_FORM = {
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "same-origin",
    "Origin": "null",
    "X-CPS-Client": CLIENT,
}
FOREIGN_FORMS = [
    pytest.param({**OWN_FORM, "Sec-Fetch-Site": "cross-site"}, id="another site"),
    pytest.param({**OWN_FORM, "Sec-Fetch-Site": "same-site"}, id="a neighbour's site"),
    pytest.param({**OWN_FORM, "Sec-Fetch-Site": "none"}, id="no page"),
    pytest.param({**OWN_FORM, "Origin": "https://evil.example"}, id="another origin"),
    pytest.param({**OWN_FORM, "Sec-Fetch-Dest": "empty"}, id="a script of the portal's"),
    pytest.param({**OWN_FORM, "Sec-Fetch-Dest": "iframe"}, id="a frame in the portal's page"),
    pytest.param({"X-CPS-Client": CLIENT}, id="neither header"),
    pytest.param({"Origin": "https://evil.example", "X-CPS-Client": CLIENT}, id="old browser"),
]


def submit(
    browser: Browser, path: str, headers: Mapping[str, str] | None = None, **fields: str
) -> TestResponse:
    """Send a form, by default from a page of our own."""
    sent = OWN_FORM if headers is None else headers
    return browser.client.post(path, data=fields, headers=sent, base_url=ORIGIN)


def start_code(gateway: FakedGateway) -> str:
    return code_and_lease(gateway)[0]


def code_and_lease(gateway: FakedGateway) -> tuple[str, str]:
    answer = gateway.hand_in(begin(gateway)).get_json()
    return answer["code"], answer["lease"]["id"]


def answer_code(question: TestResponse) -> str:
    assert question.status_code == 200, question.text
    found = re.search(r'name="code" value="([A-Za-z0-9_-]{43})"', question.text)
    assert found is not None
    return found[1]


def asked(browser: Browser) -> str:
    """Bring *browser* to the question and return the code of its answer."""
    return answer_code(submit(browser, START, code=start_code(browser.gateway)))


def is_in(browser: Browser) -> bool:
    return browser.open("/_cps/session").status_code == 200


# --- the usual way -------------------------------------------------------------------------------


def test_the_page_holds_nothing_but_its_script_and_a_word_without_it(browser: Browser) -> None:
    page = browser.open(START)
    assert page.status_code == 200
    assert "/_cps/static/start.js" in page.text
    assert f'<p id="no-script">{text("start_page.no_script", "fr")}</p>' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in page.headers


def test_the_question_names_holder_profession_and_portal(browser: Browser) -> None:
    question = submit(browser, START, code=start_code(browser.gateway))
    for shown in ("CAMILLE EXEMPLE", "Médecin", ORIGIN, "Portail &lt;d&#39;essai&gt;"):
        assert shown in question.text
    assert question.headers["Cache-Control"] == "no-store"
    assert browser.cookie(LOGIN_COOKIE) is not None
    assert not is_in(browser)


def test_no_is_the_first_answer_and_has_the_focus(browser: Browser) -> None:
    question = submit(browser, START, code=start_code(browser.gateway)).text
    buttons = re.findall(r"<button [^>]*>", question)
    assert [re.findall(r'value="(\w+)"', button) for button in buttons] == [["no"], ["yes"]]
    assert ["autofocus" in button for button in buttons] == [True, False]


def test_yes_opens_a_session_that_leads_to_the_portal(browser: Browser) -> None:
    code = asked(browser)
    answer = submit(browser, ANSWER, code=code, answer="yes")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{ORIGIN}/")
    assert is_in(browser)
    assert browser.cookie(LOGIN_COOKIE) is None
    (started,) = browser.gateway.audit.named("session_started")
    assert started["national_id"] == TEST_PERSON.national_id
    (notice,) = browser.gateway.notices
    assert notice.session == started["session"]


def test_each_step_is_recorded_without_a_code(browser: Browser) -> None:
    code = start_code(browser.gateway)
    second = answer_code(submit(browser, START, code=code))
    submit(browser, ANSWER, code=second, answer="yes")
    names = [name for name, _ in browser.gateway.audit.events]
    assert names == ["login_begun", "login_accepted", "login_offered", "session_started"]
    for secret in (code, second):
        assert secret not in repr(browser.gateway.audit.events)


def test_no_opens_nothing_and_ends_it(browser: Browser) -> None:
    code = asked(browser)
    answer = submit(browser, ANSWER, code=code, answer="no")
    assert answer.status_code == 200
    assert text("start_page.declined_title", "fr") in answer.text
    assert browser.cookie(LOGIN_COOKIE) is None
    assert not is_in(browser)
    (declined,) = browser.gateway.audit.named("login_declined")
    assert declined["national_id"] == TEST_PERSON.national_id
    assert submit(browser, ANSWER, code=code, answer="yes").status_code == 403
    assert not is_in(browser)


def test_no_ends_the_watch_over_the_card(gateway: FakedGateway, browser: Browser) -> None:
    code, lease = code_and_lease(gateway)
    assert gateway.say(lease, LeaseEvent.PRESENT, 1).get_json() == {"alive": True}
    second = answer_code(submit(browser, START, code=code))
    submit(browser, ANSWER, code=second, answer="no")
    assert gateway.say(lease, LeaseEvent.PRESENT, 2).get_json() == {"alive": False}
    assert gateway.audit.named("session_ended") == []


def test_no_ends_no_session_of_the_same_browser(gateway: FakedGateway, browser: Browser) -> None:
    submit(browser, ANSWER, code=asked(browser), answer="yes")
    submit(browser, ANSWER, code=asked(browser), answer="no")
    assert is_in(browser)


def test_the_session_is_a_lease_on_the_card(gateway: FakedGateway, browser: Browser) -> None:
    code, lease = code_and_lease(gateway)
    second = answer_code(submit(browser, START, code=code))
    submit(browser, ANSWER, code=second, answer="yes")
    assert gateway.say(lease, LeaseEvent.PRESENT, 1).get_json() == {"alive": True}
    gateway.say(lease, LeaseEvent.REMOVED, 2)
    assert not is_in(browser)


def test_a_card_that_left_before_the_answer_opens_nothing(
    gateway: FakedGateway, browser: Browser
) -> None:
    code, lease = code_and_lease(gateway)
    second = answer_code(submit(browser, START, code=code))
    gateway.say(lease, LeaseEvent.REMOVED, 1)
    answer = submit(browser, ANSWER, code=second, answer="yes")
    assert answer.status_code in (403, 409)
    assert "card_removed" in answer.text
    assert not is_in(browser)


def test_an_earlier_session_is_named_and_ends_with_a_yes_alone(
    gateway: FakedGateway, browser: Browser
) -> None:
    browser.log_in()
    before, cookie = browser.session_key(), browser.cookie(SESSION_COOKIE)
    gateway.verifier.decision = replace(TEST_PERSON, given_name="DOMINIQUE")
    question = submit(browser, START, code=start_code(gateway))
    known = text("start_page.replaces", "fr", name="CAMILLE EXEMPLE")
    assert known in question.text
    assert browser.cookie(SESSION_COOKIE) == cookie
    assert is_in(browser)
    submit(browser, ANSWER, code=answer_code(question), answer="yes")
    assert browser.session_key() != before
    with pytest.raises(SessionRequiredError):
        gateway.sessions.get(before, now=NOW)
    assert gateway.audit.named("session_ended") == [ended_fields(before, EndReason.REPLACED)]


# --- attacks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_page_of_another_site_leads_here(browser: Browser, site: str) -> None:
    assert browser.open(START, {"Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Sec-Fetch-Dest": "iframe"}, id="frame"),
        pytest.param({"Sec-Purpose": "prefetch"}, id="prefetch"),
    ],
)
def test_only_a_person_opens_the_page(browser: Browser, headers: Mapping[str, str]) -> None:
    assert browser.open(START, headers).status_code == 403


@pytest.mark.parametrize("headers", FOREIGN_FORMS)
def test_no_other_site_sends_an_attackers_code(
    gateway: FakedGateway, browser: Browser, headers: Mapping[str, str]
) -> None:
    code = start_code(gateway)
    refused = submit(browser, START, headers, code=code)
    assert refused.status_code == 403
    assert browser.cookie(LOGIN_COOKIE) is None
    # Nor was it used up.
    assert submit(browser, START, code=code).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN_FORMS)
def test_no_other_site_answers_for_the_person(browser: Browser, headers: Mapping[str, str]) -> None:
    code = asked(browser)
    assert submit(browser, ANSWER, headers, code=code, answer="yes").status_code == 403
    assert not is_in(browser)


def test_an_attackers_code_in_a_victims_browser_asks_and_opens_nothing(
    gateway: FakedGateway, browser: Browser
) -> None:
    question = submit(browser, START, code=start_code(gateway))
    assert text("start_page.question", "fr", name="CAMILLE EXEMPLE") in question.text
    assert not is_in(browser)
    assert gateway.audit.named("session_started") == []


@pytest.mark.parametrize("has_cookie", [True, False], ids=["a cookie of its own", "no cookie"])
def test_the_answer_of_another_browser_is_refused_and_ends_it(
    gateway: FakedGateway, browser: Browser, *, has_cookie: bool
) -> None:
    code = asked(browser)
    other = gateway.browser()
    if has_cookie:
        other.begin()
    refused = submit(other, ANSWER, code=code, answer="yes")
    assert refused.status_code in (400, 403)
    assert not is_in(other)
    assert submit(browser, ANSWER, code=code, answer="yes").status_code == 403
    assert not is_in(browser)


def test_the_cookie_is_new_whatever_the_browser_brought(browser: Browser) -> None:
    browser.begin()
    before = browser.cookie(LOGIN_COOKIE)
    asked(browser)
    assert browser.cookie(LOGIN_COOKIE) not in (None, before)


def test_a_code_is_offered_once(gateway: FakedGateway, browser: Browser) -> None:
    code = start_code(gateway)
    assert submit(browser, START, code=code).status_code == 200
    thief = gateway.browser()
    refused = submit(thief, START, code=code)
    assert (refused.status_code, "code_invalid" in refused.text) == (403, True)
    assert thief.cookie(LOGIN_COOKIE) is None


def test_code_and_answer_have_their_time(gateway: FakedGateway, browser: Browser) -> None:
    code = start_code(gateway)
    gateway.clock.advance(START_CODE_SECONDS)
    assert submit(browser, START, code=code).status_code == 403
    second = asked(browser)
    gateway.clock.advance(ANSWER_SECONDS)
    assert submit(browser, ANSWER, code=second, answer="yes").status_code == 403
    assert not is_in(browser)


def test_the_code_of_a_usual_login_is_refused_here_and_burnt(
    gateway: FakedGateway, browser: Browser
) -> None:
    code = gateway.code_for(browser.begin())
    assert submit(gateway.browser(), START, code=code).status_code == 403
    assert browser.open(f"/_cps/callback?code={code}").status_code == 403
    assert not is_in(browser)


@pytest.mark.parametrize("step", ["start", "answer"])
def test_neither_code_opens_the_callback(
    gateway: FakedGateway, browser: Browser, step: str
) -> None:
    browser.begin()
    code = start_code(gateway) if step == "start" else asked(browser)
    assert browser.open(f"/_cps/callback?code={code}").status_code in (400, 403)
    assert not is_in(browser)


def test_an_attacker_cannot_have_a_victims_card_sign_what_he_began(
    gateway: FakedGateway, browser: Browser
) -> None:
    # Whatever leads the victim's agent to the attacker's request id: it can claim nothing.
    rid = begin(gateway)
    assert gateway.claim(rid).status_code == 409
    status = browser.fetch(f"/_cps/login/status?r={rid}")
    assert status.status_code in (400, 403)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param(START, b"", 400, id="empty"),
        pytest.param(START, b"code=", 403, id="no code"),
        pytest.param(START, b"code=" + b"A" * 42, 403, id="short code"),
        pytest.param(START, b"code=" + b"A" * 43 + b"&code=" + b"A" * 43, 400, id="twice"),
        pytest.param(START, b"code=" + b"A" * 43 + b"&x=1", 400, id="unknown field"),
        pytest.param(START, "code=é".encode(), 400, id="not ASCII"),
        pytest.param(START, b"code=" + b"A" * MAX_FORM_BYTES, 413, id="too large"),
        pytest.param(ANSWER, b"code=" + b"A" * 43, 400, id="no answer"),
        pytest.param(ANSWER, b"code=" + b"A" * 43 + b"&answer=oui", 400, id="another answer"),
    ],
)
def test_another_form_is_refused(browser: Browser, path: str, body: bytes, status: int) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = browser.client.post(path, data=body, headers={**OWN_FORM, **kind}, base_url=ORIGIN)
    assert answer.status_code == status


def test_a_form_of_another_type_is_refused(browser: Browser) -> None:
    kind = {"Content-Type": "application/json"}
    answer = browser.client.post(
        START, data=b'{"code":1}', headers={**OWN_FORM, **kind}, base_url=ORIGIN
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_an_answer_that_is_malformed_leaves_the_question_open(
    browser: Browser, answer: str
) -> None:
    code = asked(browser)
    assert submit(browser, ANSWER, code=code, answer="maybe").status_code == 400
    assert submit(browser, ANSWER, code=code, answer=answer).status_code in (200, 303)


def test_what_cannot_be_recorded_is_not_offered(gateway: FakedGateway, browser: Browser) -> None:
    code = start_code(gateway)
    gateway.audit.failure = StoreUnavailableError("full")
    assert submit(browser, START, code=code).status_code == 503
    assert browser.cookie(LOGIN_COOKIE) is None


def test_refusals_are_recorded(browser: Browser) -> None:
    submit(browser, START, code="A" * 43)
    submit(browser, ANSWER, code="A" * 43, answer="yes")
    reasons = [event["reason"] for event in browser.gateway.audit.named("login_refused")]
    assert reasons == ["code_invalid", "code_invalid"]


def test_pages_and_answers_count_as_logins(tmp_path: Path) -> None:
    kinds = ("claim", "token", "lease", "identity")
    rate = {f"{kind}_per_minute": 100 for kind in kinds} | {"login_per_minute": 3}
    browser = make_gateway(tmp_path, make_settings(tmp_path, rate=rate)).browser()
    assert browser.open(START).status_code == 200
    assert submit(browser, START, code="A" * 43).status_code == 403
    assert submit(browser, ANSWER, code="A" * 43, answer="yes").status_code == 403
    for path in (START, ANSWER):
        assert submit(browser, path, code="A" * 43).status_code == 429


def test_names_are_escaped(gateway: FakedGateway, browser: Browser) -> None:
    gateway.verifier.decision = replace(TEST_PERSON, family_name="<b>EXEMPLE</b>")
    question = submit(browser, START, code=start_code(gateway)).text
    assert "&lt;b&gt;EXEMPLE" in question
    assert "<b>" not in question


@pytest.fixture
def browser(gateway: FakedGateway) -> Browser:
    return gateway.browser()
