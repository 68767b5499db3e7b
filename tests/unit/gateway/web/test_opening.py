"""What both ways of ending a login have in common."""

from flask import Response

from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from gateway.web.opening import see_other, with_session
from tests.support.gateway_fakes import FakedGateway


def test_whoever_is_in_already_is_named_to_that_browser_alone(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    browser.log_in()
    assert "CAMILLE EXEMPLE" in browser.open("/_cps/login").text
    assert "CAMILLE EXEMPLE" not in gateway.browser().open("/_cps/login").text


def test_the_sessions_cookie_takes_the_place_of_the_logins() -> None:
    session, login = with_session(Response(), bytes(32)).headers.getlist("Set-Cookie")
    assert session.startswith(f"{SESSION_COOKIE}={'A' * 43};")
    assert login.startswith(f"{LOGIN_COOKIE}=;")
    assert "Max-Age=0" in login


def test_the_way_on_is_one_that_repeats_no_form() -> None:
    response = see_other("https://portal.example/")
    assert (response.status_code, response.headers["Location"]) == (303, "https://portal.example/")


def test_a_session_is_recorded_and_told_once(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    browser.log_in()
    (started,) = gateway.audit.named("session_started")
    (notice,) = gateway.notices
    assert notice.session == started["session"] == browser.session_key().hex()[:16]
