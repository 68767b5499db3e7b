"""Refused logins: request ids, claims, tokens and codes that are late, doubled, stolen or made up.

Each test names the exact code, sees that no session came about, and that what failed is dead.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from gateway.login.challenge import ChallengeState
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from tests.support import rogue
from tests.support.browser import Browser, Page
from tests.support.line import Line, running_line
from tests.support.person import Person

UNKNOWN_RID = b64url_encode(bytes(16))
CHALLENGE_SECONDS, CODE_SECONDS = 180, 30
languages = pytest.mark.parametrize("language", ["fr", "en"])


def begin(browser: Browser) -> Page:
    """Open a login page."""
    page = browser.open("/_cps/login")
    assert page.status == 200, page.text
    return page


def refused_callback(line: Line, page: Page, code: ErrorCode, language: str = "fr") -> None:
    """Check that the way back ended in *code*, said clearly, and without a session's cookie."""
    assert page.status in (400, 403)
    page.require_clear(code, language)
    assert line.refusal(page.incident) == code
    assert not any(SESSION_COOKIE in given for given in page.all("Set-Cookie"))


# --- the request id ------------------------------------------------------------------------------


@pytest.fixture
def used(line: Line) -> str:
    """Return the request id of a login that went well."""
    browser = line.browser()
    login = begin(browser)
    with line.desk() as desk:
        browser.follow(browser.to_agent(login, desk.port))
    assert line.state(login.rid) is ChallengeState.USED
    return login.rid


def test_an_unknown_request_id_is_refused(line: Line) -> None:
    with line.nobody_gets_in():
        assert rogue.claim(line, UNKNOWN_RID).error == ErrorCode.RID_UNKNOWN
        signed = rogue.claimed_login(line, begin(line.browser()).rid)
        page = replace(signed, sent_rid=UNKNOWN_RID).hand_in()
    assert page.error == ErrorCode.RID_UNKNOWN


def test_an_expired_request_id_is_refused(line: Line) -> None:
    late, later = begin(line.browser()).rid, begin(line.browser()).rid
    signed = rogue.claimed_login(line, later)
    line.clock.advance(CHALLENGE_SECONDS)
    with line.nobody_gets_in():
        assert rogue.claim(line, late).error == ErrorCode.RID_EXPIRED
        assert signed.hand_in().error == ErrorCode.RID_EXPIRED


def test_a_request_id_is_good_until_its_last_second(line: Line) -> None:
    rid = begin(line.browser()).rid
    line.clock.advance(CHALLENGE_SECONDS - 2)
    signed = rogue.claimed_login(line, rid)
    line.clock.advance(1)
    assert signed.hand_in().status == 200


def test_a_used_request_id_is_refused(line: Line, used: str) -> None:
    with line.nobody_gets_in():
        assert rogue.claim(line, used).error == ErrorCode.RID_USED
        signed = rogue.claimed_login(line, begin(line.browser()).rid)
        assert replace(signed, sent_rid=used).hand_in().error == ErrorCode.RID_USED


def test_a_second_claim_is_refused_and_spoils_nothing(line: Line) -> None:
    rid = begin(line.browser()).rid
    first = rogue.claimed_login(line, rid)
    second = rogue.claim(line, rid)
    assert second.error == ErrorCode.RID_USED
    assert "nonce" not in second.text
    assert first.hand_in().status == 200


def test_a_token_before_the_claim_is_refused(line: Line) -> None:
    browser = line.browser()
    rid = begin(browser).rid
    signed = rogue.claimed_login(line, begin(line.browser()).rid)
    with line.nobody_gets_in():
        early = replace(signed, rid=rid).hand_in()
    assert early.error == ErrorCode.RID_UNKNOWN


def test_a_second_token_is_refused_and_the_first_login_goes_on(line: Line) -> None:
    browser = line.browser()
    signed = rogue.claimed_login(line, begin(browser).rid)
    code = signed.hand_in().json["code"]
    assert signed.hand_in().error == ErrorCode.RID_USED
    assert browser.open(f"/_cps/callback?code={code}").status == 303


def at_once(work: Callable[[], Page]) -> list[Page]:
    """Return what *work* gives in four threads that begin together."""
    barrier = Barrier(4)

    def wait_and_work() -> Page:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(4) as pool:
        return [each.result() for each in [pool.submit(wait_and_work) for _ in range(4)]]


def outcomes(pages: list[Page]) -> list[str]:
    """Return each page's error, or ``ok``."""
    return sorted("ok" if page.status in (200, 303) else page.error for page in pages)


def test_of_parallel_claims_one_wins(line: Line) -> None:
    rid = begin(line.browser()).rid
    pages = at_once(lambda: rogue.claim(line, rid))
    assert outcomes(pages) == ["ok", *[ErrorCode.RID_USED] * 3]


def test_of_parallel_tokens_one_wins(line: Line) -> None:
    signed = rogue.claimed_login(line, begin(line.browser()).rid)
    pages = at_once(signed.hand_in)
    assert outcomes(pages) == ["ok", *[ErrorCode.RID_USED] * 3]


@languages
@pytest.mark.parametrize("code", ["rid_unknown", "rid_expired", "rid_used"])
def test_the_agent_says_what_is_wrong_with_the_request(
    line: Line, used: str, code: str, language: str
) -> None:
    browser = line.browser(language=language)
    late = begin(browser)
    if code == "rid_expired":
        line.clock.advance(CHALLENGE_SECONDS)
    rid = {"rid_unknown": UNKNOWN_RID, "rid_expired": late.rid, "rid_used": used}[code]
    person = Person()
    with line.desk(entry=person) as desk, line.nobody_gets_in():
        page = browser.click(
            late.agent_link.replace(late.rid, rid).replace("24951", str(desk.port))
        )
    page.require_failed(ErrorCode(code), language)
    assert person.asked == [], "no PIN is asked for a login that is not there"


def test_an_old_agent_is_told_to_update_and_uses_nothing_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("line")
    with running_line(folder, login={"min_agent": "9.0.0"}) as line, line.desk() as desk:
        browser = line.browser()
        login = begin(browser)
        with line.nobody_gets_in():
            browser.to_agent(login, desk.port).require_failed(ErrorCode.AGENT_TOO_OLD)
        assert line.state(login.rid) is ChallengeState.NEW


# --- the agent, asked by the wrong page ----------------------------------------------------------


@languages
def test_a_portal_that_is_not_on_the_list_gets_nothing(line: Line, language: str) -> None:
    browser = line.browser(language=language)
    login = begin(browser)
    with line.desk() as desk, line.nobody_gets_in():
        host = line.origin.removeprefix("https://")
        link = login.agent_link.replace("24951", str(desk.port)).replace(host, "evil.example")
        page = browser.click(link)
    assert page.status == 403
    page.require_clear(ErrorCode.ORIGIN_DENIED, language)
    assert line.state(login.rid) is ChallengeState.NEW


def test_a_second_login_waits_until_the_first_one_ends(line: Line) -> None:
    first, second = line.browser(), line.browser()
    mine, other = begin(first), begin(second)
    pages: list[Page] = []

    def click_meanwhile() -> None:
        pages.append(second.click(other.agent_link.replace("24951", str(desk.port))))

    with line.desk(entry=Person(meanwhile=click_meanwhile)) as desk:
        assert first.follow(first.to_agent(mine, desk.port)).status == 303
    (busy,) = pages
    assert busy.status == 409
    busy.require_clear(ErrorCode.BUSY, "fr")
    assert line.state(other.rid) is ChallengeState.NEW


@languages
def test_a_page_that_opens_the_agent_again_and_again_is_shut_out_for_a_while(
    line: Line, language: str
) -> None:
    browser, person = line.browser(language=language), Person()
    login = begin(browser)
    with line.desk(entry=person) as desk:
        link = login.agent_link.replace("24951", str(desk.port))
        for _ in range(3):
            page = browser.click(link.replace(login.rid, UNKNOWN_RID))
            page.require_failed(ErrorCode.RID_UNKNOWN, language)
        shut_out = browser.click(link)
    assert shut_out.status == 429
    shut_out.require_says("agent_title.paused", "agent.paused", language)
    assert person.asked == []
    assert line.state(login.rid) is ChallengeState.NEW


# --- the code ------------------------------------------------------------------------------------


@pytest.fixture
def verified(line: Line) -> tuple[Browser, Page, Page]:
    """Return a browser, its login page, and the agent's answer that sends it back."""
    browser = line.browser()
    login = begin(browser)
    with line.desk() as desk:
        return browser, login, browser.to_agent(login, desk.port)


def test_a_code_without_the_browsers_cookie_is_refused_for_ever(
    line: Line, verified: tuple[Browser, Page, Page]
) -> None:
    browser, login, back = verified
    with line.nobody_gets_in():
        refused_callback(line, line.browser().follow(back), ErrorCode.COOKIE_MISSING)
        line.require_dead(login.rid)
        refused_callback(line, browser.follow(back), ErrorCode.CODE_INVALID)


def test_a_code_in_another_browser_is_refused_for_ever(
    line: Line, verified: tuple[Browser, Page, Page]
) -> None:
    browser, login, back = verified
    other = line.browser(language="en")
    begin(other)
    with line.nobody_gets_in():
        refused_callback(line, other.follow(back), ErrorCode.BROWSER_MISMATCH, "en")
        line.require_dead(login.rid)
        refused_callback(line, browser.follow(back), ErrorCode.CODE_INVALID)


def test_a_code_is_good_once(line: Line, verified: tuple[Browser, Page, Page]) -> None:
    browser, _, back = verified
    pre_session = browser.cookies[LOGIN_COOKIE]
    assert browser.follow(browser.follow(back)).status == 200
    thief = line.browser()
    thief.cookies[LOGIN_COOKIE] = pre_session
    with line.nobody_gets_in():
        refused_callback(line, thief.follow(back), ErrorCode.CODE_INVALID)
        # In the browser that is in already it leads to the portal, and opens nothing new.
        assert browser.follow(back).location == f"{line.origin}/"
    assert browser.open("/").status == 200, "the session stands"


def test_an_expired_code_is_refused(line: Line, verified: tuple[Browser, Page, Page]) -> None:
    browser, _, back = verified
    line.clock.advance(CODE_SECONDS)
    with line.nobody_gets_in():
        refused_callback(line, browser.follow(back), ErrorCode.CODE_INVALID)


def test_a_code_is_good_until_its_last_second(
    line: Line, verified: tuple[Browser, Page, Page]
) -> None:
    browser, _, back = verified
    line.clock.advance(CODE_SECONDS - 1)
    assert browser.follow(back).status == 303


@pytest.mark.parametrize("query", ["", "?code=", "?code=A", "?code={0}&code={0}", "?c={0}"])
def test_a_code_of_another_form_is_refused_and_spoils_nothing(
    line: Line, verified: tuple[Browser, Page, Page], query: str
) -> None:
    browser, _, back = verified
    with line.nobody_gets_in():
        page = browser.open("/_cps/callback" + query.format(back.code))
        refused_callback(line, page, ErrorCode.CODE_INVALID)
    assert browser.follow(back).status == 303


def test_of_parallel_callbacks_one_wins(line: Line, verified: tuple[Browser, Page, Page]) -> None:
    browser, _, back = verified
    pre_session = browser.cookies[LOGIN_COOKIE]
    before = line.session_count()

    def callback() -> Page:
        copy = line.browser()
        copy.cookies[LOGIN_COOKIE] = pre_session
        return copy.follow(back)

    pages = at_once(callback)
    assert sorted(page.status for page in pages) == [303, 403, 403, 403]
    assert line.session_count() == before + 1


def test_the_login_pages_poll_never_finishes_a_login(
    line: Line, verified: tuple[Browser, Page, Page]
) -> None:
    browser, login, _ = verified
    with line.nobody_gets_in():
        page = browser.fetch(f"/_cps/login/status?r={login.rid}")
    assert page.json == {"state": "verified"}
    assert page.all("Set-Cookie") == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"Sec-Purpose": "prefetch;prerender"}, id="prefetch"),
        pytest.param({"Sec-Fetch-Dest": "iframe"}, id="frame"),
        pytest.param({"Sec-Fetch-Dest": "image"}, id="image"),
    ],
)
def test_a_callback_that_nobody_looks_at_is_refused_and_spoils_nothing(
    line: Line, verified: tuple[Browser, Page, Page], fields: dict[str, str]
) -> None:
    browser, _, back = verified
    with line.nobody_gets_in():
        page = browser.open(back.location, fields=fields)
    assert page.status == 403
    assert line.refusal(page.incident) == ErrorCode.REQUEST_FORBIDDEN
    assert browser.follow(back).status == 303


def test_an_attackers_login_that_a_victims_card_completes_lets_the_attacker_nowhere(
    line: Line,
) -> None:
    attacker, victim = line.browser(), line.browser()
    bait = begin(attacker)
    with line.desk() as victims_desk, line.nobody_gets_in():
        back = victim.to_agent(bait, victims_desk.port)
        refused_callback(line, victim.follow(back), ErrorCode.COOKIE_MISSING)
        assert attacker.fetch(f"/_cps/login/status?r={bait.rid}").json["state"] == "failed"
        refused_callback(line, attacker.follow(back), ErrorCode.CODE_INVALID)
    line.require_dead(bait.rid)


def test_a_victim_is_not_logged_in_as_the_attacker(
    line: Line, verified: tuple[Browser, Page, Page]
) -> None:
    _, login, attackers_way_back = verified
    victim = line.browser()
    own = begin(victim)
    with line.nobody_gets_in():
        page = victim.follow(attackers_way_back)
        refused_callback(line, page, ErrorCode.BROWSER_MISMATCH)
    line.require_dead(login.rid)
    with line.desk() as desk:
        assert victim.follow(victim.to_agent(own, desk.port)).status == 303, "nothing is lost"


def test_only_the_browser_that_began_may_ask_how_far_a_login_is(line: Line) -> None:
    login = begin(line.browser())
    other = line.browser()
    address = f"/_cps/login/status?r={login.rid}"
    assert other.fetch(address).error == ErrorCode.COOKIE_MISSING
    begin(other)
    assert other.fetch(address).error == ErrorCode.BROWSER_MISMATCH
