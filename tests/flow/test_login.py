"""A login that goes well, from the page asked for to the portal, and how a session ends."""

import json
from datetime import timedelta
from urllib.parse import unquote

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from cps.authtoken.codes import ErrorCode
from gateway.login.challenge import ChallengeState
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from tests.support import cards, pki
from tests.support.browser import Browser, Page
from tests.support.line import LABEL, Line
from tests.support.person import Person


def is_in(browser: Browser) -> bool:
    """Return whether the portal answers this browser."""
    page = browser.open("/")
    if page.status == 303:
        assert page.location.startswith(f"{browser.origin}/_cps/login")
        return False
    return page.status == 200


def status(browser: Browser, login: Page) -> str:
    """Return what the login page's script learns."""
    return str(browser.fetch(f"/_cps/login/status?r={login.rid}").json["state"])


def test_a_card_opens_the_portal_at_the_page_asked_for(line: Line) -> None:
    with line.desk() as desk:
        page = line.log_in(line.browser(), desk, "/rights?nir=1%2F2&x=")
    assert page.url == f"{line.origin}/rights?nir=1%2F2&x="
    assert page.json["first"] == "GET /rights?nir=1%2F2&x= HTTP/1.1"
    assert desk.tries_left == 3


def test_the_portal_learns_who_is_in(line: Line) -> None:
    with line.desk() as desk:
        received = line.log_in(line.browser(), desk).received
    assert received["x-cps-subject"] == pki.DOCTOR.national_id
    assert unquote(received["x-cps-name"]) == "CAMILLE EXEMPLE"
    assert received["x-cps-profession"] == "10"
    assert received["x-cps-card-type"] == "CPS"


def test_the_portal_can_check_the_assertion_with_the_published_keys(line: Line) -> None:
    browser = line.browser()
    with line.desk() as desk:
        received = line.log_in(browser, desk).received
    keys = KeySet.import_key_set(json.loads(browser.fetch("/_cps/.well-known/jwks.json").body))
    claims = jwt.decode(received["x-cps-assertion"], keys, algorithms=["ES256"]).claims
    assert claims["iss"] == claims["aud"] == line.origin
    assert claims["sub"] == f"cps:{pki.DOCTOR.national_id}"
    assert claims["family_name"] == "EXEMPLE"
    assert claims["exp"] - claims["iat"] == 60
    assert claims["iat"] == line.clock().timestamp()


def test_what_a_browser_says_of_itself_does_not_count(line: Line) -> None:
    browser = line.browser()
    with line.desk() as desk:
        line.log_in(browser, desk)
    received = browser.open(
        "/", fields={"X-CPS-Subject": "899999999999", "x_cps_name": "X", "X-CPS-Assertion": "e30"}
    ).received
    assert received["x-cps-subject"] == pki.DOCTOR.national_id
    assert "x_cps_name" not in received
    assert received["x-cps-assertion"].count(".") == 2


def test_cookies_and_codes_of_ours_do_not_reach_the_portal(line: Line) -> None:
    browser = line.browser()
    browser.cookies["theme"] = "dark"
    line.portal.forget()
    with line.desk() as desk:
        page = line.log_in(browser, desk, "/a")
        browser.open("/b")
    assert page.received["cookie"] == "theme=dark"
    seen = line.portal.all_received.decode()
    secrets = browser.all_values | {line.codes[-1]}
    assert len(secrets) == 3, "the two cookies of ours and the code"
    assert [secret for secret in secrets if secret in seen] == []
    assert "__host-cps" not in seen.lower()
    assert "/_cps/" not in seen


def test_the_pin_window_says_for_whom_and_for_which_portal(line: Line) -> None:
    person = Person()
    with line.desk(entry=person) as desk:
        line.log_in(line.browser(), desk)
    (asked,) = person.asked
    assert (asked.origin, asked.label) == (line.origin, LABEL)
    assert (asked.holder, asked.card_digits) == ("CAMILLE EXEMPLE", cards.SERIAL[-4:])
    assert (asked.tries_left, asked.was_wrong, asked.plain_http) == (3, False, False)


def test_the_login_page_learns_how_far_the_login_is(line: Line) -> None:
    browser, states = line.browser(), []
    login = browser.follow(browser.open("/"))
    states.append(status(browser, login))
    person = Person(meanwhile=lambda: states.append(status(browser, login)))
    with line.desk(entry=person) as desk:
        back = browser.to_agent(login, desk.port)
        states.append(status(browser, login))
        browser.follow(back)
        states.append(status(browser, login))
    assert states == ["new", "claimed", "verified", "used"]
    assert line.state(login.rid) is ChallengeState.USED


def test_a_card_that_comes_during_the_login_is_waited_for(line: Line) -> None:
    browser = line.browser()
    login = browser.follow(browser.open("/"))
    with line.desk() as desk:
        desk.terminal.inner.remove()
        waiting = browser.click(login.agent_link.replace(":24951", f":{desk.port}"))
        waiting.require_says("agent_title.card", "agent.card", "fr")
        assert waiting.refreshes
        desk.terminal.inner.insert()
        assert browser.follow(browser.follow(browser.to_agent(login, desk.port))).status == 200


def test_the_session_page_names_the_holder(line: Line) -> None:
    browser = line.browser(language="en")
    with line.desk(cards.image(pki.NURSE)) as desk:
        line.log_in(browser, desk)
    page = browser.open("/_cps/session")
    assert "ÉLODIE MODELE-DUPONT" in page.text
    assert "16:00 UTC" in page.text, "four hours from noon"


def test_logout_ends_the_session_for_good(line: Line) -> None:
    browser = line.browser()
    with line.desk() as desk:
        line.log_in(browser, desk)
    cookie = browser.cookies[SESSION_COOKIE]
    page = browser.submit("/_cps/logout")
    page.require_says("logout_page.done_title", "logout_page.done", "fr")
    assert browser.cookies == {}
    browser.cookies[SESSION_COOKIE] = cookie
    assert not is_in(browser)
    assert line.audit("session_ended")[-1]["reason"] == "logout"


def test_another_site_cannot_log_anybody_out(line: Line) -> None:
    browser = line.browser()
    with line.desk() as desk:
        line.log_in(browser, desk)
    page = browser.submit("/_cps/logout", cross_site=True)
    assert page.status == 403
    page.require_clear(ErrorCode.REQUEST_FORBIDDEN, "fr")
    assert is_in(browser)


def test_a_program_without_session_is_told_so(line: Line) -> None:
    page = line.browser().fetch("/api")
    assert page.status == 401
    assert page.error == ErrorCode.SESSION_REQUIRED


def test_a_session_ends_after_an_hour_without_use(line_without_presence: Line) -> None:
    line = line_without_presence
    browser = line.browser()
    with line.desk() as desk:
        line.log_in(browser, desk)
    line.clock.advance(3599)
    assert is_in(browser)
    line.clock.advance(3600)
    assert not is_in(browser)


def test_a_session_in_use_ends_after_four_hours(line_without_presence: Line) -> None:
    line = line_without_presence
    browser = line.browser()
    with line.desk() as desk:
        line.log_in(browser, desk)
    began = line.clock()
    for minutes in (50, 100, 150, 200, 239):
        line.clock.now = began + timedelta(minutes=minutes)
        assert is_in(browser), minutes
    line.clock.now = began + timedelta(minutes=240)
    assert not is_in(browser)


def test_a_second_login_ends_the_first_session(line: Line) -> None:
    browser = line.browser()
    with line.desk() as desk:
        line.log_in(browser, desk)
        first = browser.cookies[SESSION_COOKIE]
        login = browser.open("/_cps/login")
        browser.follow(browser.to_agent(login, desk.port))
    second = browser.cookies[SESSION_COOKIE]
    assert second != first
    assert is_in(browser)
    browser.cookies[SESSION_COOKIE] = first
    assert not is_in(browser)
    assert line.audit("session_ended")[-1]["reason"] == "replaced"


def test_a_session_cookie_planted_before_the_login_is_worth_nothing(line: Line) -> None:
    browser, planted = line.browser(), "A" * 43
    browser.cookies[SESSION_COOKIE] = planted
    with line.desk() as desk:
        line.log_in(browser, desk)
    assert browser.cookies[SESSION_COOKIE] != planted
    browser.cookies[SESSION_COOKIE] = planted
    assert not is_in(browser)


def test_two_browsers_log_in_at_once(line: Line) -> None:
    doctor, nurse = line.browser(), line.browser(language="en")
    pages = [browser.follow(browser.open("/")) for browser in (doctor, nurse)]
    with line.desk() as one, line.desk(cards.image(pki.NURSE)) as other:
        backs = [
            doctor.to_agent(pages[0], one.port),
            nurse.to_agent(pages[1], other.port),
        ]
        # In the other order than they came.
        seen_by_nurse = nurse.follow(nurse.follow(backs[1])).received
        seen_by_doctor = doctor.follow(doctor.follow(backs[0])).received
    assert seen_by_nurse["x-cps-subject"] == pki.NURSE.national_id
    assert seen_by_doctor["x-cps-subject"] == pki.DOCTOR.national_id
    assert doctor.cookies[SESSION_COOKIE] != nurse.cookies[SESSION_COOKIE]
    doctor.submit("/_cps/logout")
    assert is_in(nurse)


def test_a_login_in_one_tab_tells_the_other(line: Line) -> None:
    browser = line.browser()
    left, right = browser.open("/_cps/login"), browser.open("/_cps/login")
    assert left.rid != right.rid
    with line.desk() as desk:
        browser.follow(browser.to_agent(right, desk.port))
    assert LOGIN_COOKIE not in browser.cookies
    assert status(browser, left) == "used"


@pytest.mark.parametrize("target", ["//evil.example/", "/_cps/logout", "/\\evil.example", "A" * 22])
def test_a_made_up_page_to_return_to_leads_to_the_first_page(line: Line, target: str) -> None:
    browser = line.browser()
    page = browser.open(f"/_cps/login?t={target}")
    with line.desk() as desk:
        answer = browser.follow(browser.to_agent(page, desk.port))
    assert answer.location == f"{line.origin}/"


def test_the_audit_log_follows_a_login(line: Line) -> None:
    browser = line.browser()
    before = {name: len(line.audit(name)) for name in ("login_accepted", "session_started")}
    login = browser.follow(browser.open("/"))
    with line.desk() as desk:
        browser.follow(browser.to_agent(login, desk.port))
    claimed, accepted = line.audit("login_claimed")[-1], line.audit("login_accepted")[-1]
    assert claimed["rid"] == accepted["rid"] == login.rid
    assert accepted["national_id"] == pki.DOCTOR.national_id
    assert json.dumps(accepted).isascii()
    assert accepted["client"] == "127.0.0.1"
    after = {name: len(line.audit(name)) for name in before}
    assert after == {name: count + 1 for name, count in before.items()}
