"""The fallback by the scheme ``cps-login``: as safe as the usual way, which it leads to."""

import pytest

from cps.agent.handoff import open_link
from cps.authtoken.codes import ErrorCode
from gateway.web.login_pages import scheme_url
from tests.support.browser import Browser, Page
from tests.support.line import Line


def handed_over(line: Line, rid: str, port: int, default_browser: Browser) -> Page:
    """Have the system open a login page's link, and the default browser go on from there."""
    opened: list[str] = []
    open_link(scheme_url(rid, line.origin), ports=(port,), browse=opened.append)
    (address,) = opened
    page = default_browser.open(address)
    while page.refreshes:
        page = default_browser.open(address)
    return page


def test_a_login_that_was_handed_over_ends_on_the_page_asked_for(line: Line) -> None:
    browser = line.browser()
    login = browser.follow(browser.open("/patients?q=1"))
    with line.desk() as desk:
        back = handed_over(line, login.rid, desk.port, browser)
    assert browser.follow(back).location == f"{line.origin}/patients?q=1"


@pytest.mark.parametrize("has_begun", [False, True], ids=["without a login", "with a login"])
def test_an_attackers_link_lets_neither_in(line: Line, *, has_begun: bool) -> None:
    """Login relay: the attacker's request id in a link, the victim's agent, card and browser."""
    attacker, victim = line.browser(), line.browser()
    bait = attacker.follow(attacker.open("/"))
    if has_begun:
        victim.follow(victim.open("/"))
    code = ErrorCode.BROWSER_MISMATCH if has_begun else ErrorCode.COOKIE_MISSING
    with line.desk() as desk, line.nobody_gets_in():
        back = handed_over(line, bait.rid, desk.port, victim)
        page = victim.follow(back)
        assert page.status in (400, 403)
        page.require_clear(code, "fr")
        # Whoever reads the code over the victim's shoulder cannot use it either.
        assert attacker.follow(back).status == 403
    line.require_dead(bait.rid)


def test_another_default_browser_than_the_one_that_began_is_told_so(line: Line) -> None:
    began, default = line.browser(), line.browser()
    login = began.follow(began.open("/"))
    with line.desk() as desk, line.nobody_gets_in():
        back = handed_over(line, login.rid, desk.port, default)
        default.follow(back).require_clear(ErrorCode.COOKIE_MISSING, "fr")


def test_a_link_to_a_portal_that_is_not_on_the_list_makes_no_call(line: Line) -> None:
    browser = line.browser()
    login = browser.follow(browser.open("/"))
    opened: list[str] = []
    with line.desk() as desk:
        link = scheme_url(login.rid, "https://evil.example")
        open_link(link, ports=(desk.port,), browse=opened.append)
        page = browser.open(opened[0])
    assert page.status == 403
    page.require_clear(ErrorCode.ORIGIN_DENIED, "fr")
