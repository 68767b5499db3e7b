"""What browsers, portals and machines do wrong: a clear page in two languages, nothing lost."""

import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from cps.agent.gateway_client import GatewayClient
from cps.authtoken.codes import ErrorCode
from gateway.login.challenge import ChallengeState
from gateway.session.cookie import SESSION_COOKIE
from tests.support.browser import Browser, exchange
from tests.support.line import Line, running_line
from tests.support.person import Person
from tests.support.relay import RawServer, Wire, echo
from tests.support.serving import free_port

MEBIBYTE = 1024**2
languages = pytest.mark.parametrize("language", ["fr", "en"])


def logged_in(line: Line, language: str = "fr") -> Browser:
    """Return a browser that is in, by a real login."""
    browser = line.browser(language=language)
    with line.desk() as desk:
        login = browser.open("/_cps/login")
        assert browser.follow(browser.to_agent(login, desk.port)).status == 303
    return browser


# --- browsers ------------------------------------------------------------------------------------


@languages
def test_a_browser_without_cookies_is_told_what_to_do(line: Line, language: str) -> None:
    browser = line.browser(language=language, keeps_cookies=False)
    login = browser.follow(browser.open("/rights"))
    assert browser.fetch(f"/_cps/login/status?r={login.rid}").error == ErrorCode.COOKIE_MISSING
    with line.desk() as desk, line.nobody_gets_in():
        page = browser.follow(browser.to_agent(login, desk.port))
    assert page.status == 400
    page.require_clear(ErrorCode.COOKIE_MISSING, language)
    assert line.refusal(page.incident) == ErrorCode.COOKIE_MISSING
    line.require_dead(login.rid)
    logged_in(line, language)


@pytest.mark.parametrize("value", ["", "x", "A" * 43, "é" * 43, '"' + "A" * 43 + '"', "A" * 4000])
def test_a_session_cookie_of_nobody_is_no_session(line: Line, value: str) -> None:
    browser = line.browser()
    answer = browser.open("/", fields={"Cookie": f"{SESSION_COOKIE}={value}"})
    assert answer.location.startswith(f"{line.origin}/_cps/login")


@languages
def test_two_session_cookies_are_refused(line: Line, language: str) -> None:
    browser = logged_in(line, language)
    page = browser.open("/", fields={"Cookie": f"{SESSION_COOKIE}={'A' * 43}"})
    assert page.status == 400
    page.require_clear(ErrorCode.REQUEST_MALFORMED, language)
    assert browser.open("/").status == 200


@languages
def test_a_header_without_end_is_refused(line: Line, language: str) -> None:
    browser = logged_in(line, language)
    page = browser.open("/", fields={"X-Long": "a" * 16_384})
    assert page.status == 431
    page.require_says("edge_title.head_too_large", "edge.head_too_large", language)
    assert browser.open("/").status == 200


@languages
@pytest.mark.parametrize("target", ["/a/../b", "/%2e%2e/b", "/a;b", "/a%00b", "/%5fcps/login"])
def test_a_path_with_two_readings_is_refused(line: Line, target: str, language: str) -> None:
    fields = {"Sec-Fetch-Mode": "navigate", "Accept-Language": language}
    # As it is: a browser would tidy some of them up first.
    page = exchange("GET", line.origin + target, fields, tls=line.tls)
    assert page.status == 400
    page.require_clear(ErrorCode.REQUEST_MALFORMED, language)


@languages
def test_a_page_that_does_not_exist_is_said(line: Line, language: str) -> None:
    browser = line.browser(language=language)
    page = browser.open("/_cps/nowhere")
    assert page.status == 404
    page.require_says("error_page.not_found_title", "error_page.not_found", language)
    inside = browser.submit("/_cps/internal/enter")
    assert inside.status == 404
    inside.require_says("edge_title.not_found", "edge.not_found", language)


@languages
def test_another_host_name_is_refused(line: Line, language: str) -> None:
    address = line.origin.replace("localhost", "127.0.0.1")
    fields = {"Sec-Fetch-Mode": "navigate", "Accept-Language": language}
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    page = exchange("GET", address, fields, tls=tls)
    assert page.status == 421
    assert f"{line.origin}/" in page.text
    page.require_no_insides()


@languages
def test_a_form_after_the_sessions_end_is_not_sent_and_said_so(line: Line, language: str) -> None:
    browser = logged_in(line, language)
    line.clock.advance(3600)
    line.portal.forget()
    page = browser.submit("/reimbursements")
    assert page.status == 401
    page.require_says("edge_title.form_not_sent", "edge.form_not_sent", language)
    assert line.portal.all_received == b""


# --- the agent's own pages -----------------------------------------------------------------------


@languages
@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        pytest.param("/", 400, ErrorCode.REQUEST_MALFORMED, id="another path"),
        pytest.param("/v1/login", 400, ErrorCode.REQUEST_MALFORMED, id="no parameters"),
        pytest.param("/v1/login?r=x&o=localhost", 400, ErrorCode.REQUEST_MALFORMED, id="bad id"),
        pytest.param("/v1/login?" + "a" * 600, 400, ErrorCode.REQUEST_MALFORMED, id="too long"),
    ],
)
def test_the_agent_refuses_what_is_no_login(
    line: Line, target: str, status: int, code: ErrorCode, language: str
) -> None:
    with line.desk() as desk:
        page = line.browser(language=language).click(f"http://127.0.0.1:{desk.port}{target}")
    assert page.status == status
    page.require_clear(code, language)
    assert desk.terminal.commands == []


@languages
def test_the_agent_refuses_a_form(line: Line, language: str) -> None:
    with line.desk() as desk:
        fields = {"Accept-Language": language}
        page = exchange("POST", f"http://127.0.0.1:{desk.port}/v1/login", fields, tls=line.tls)
    assert (page.status, page.one("Allow")) == (405, "GET")
    page.require_clear(ErrorCode.REQUEST_FORBIDDEN, language)


def at_nobody(origin: str) -> GatewayClient:
    return GatewayClient(f"https://localhost:{free_port()}", tls=ssl.create_default_context())


def trusting_nobody(origin: str) -> GatewayClient:
    return GatewayClient(origin, tls=ssl.create_default_context())


@languages
@pytest.mark.parametrize(
    ("gateway_at", "code"),
    [
        pytest.param(at_nobody, ErrorCode.GATEWAY_UNREACHABLE, id="gateway away"),
        pytest.param(trusting_nobody, ErrorCode.TLS_ERROR, id="certificate not trusted"),
    ],
)
def test_an_agent_that_does_not_reach_the_gateway_says_so(
    line: Line,
    gateway_at: Callable[[str], GatewayClient],
    code: ErrorCode,
    language: str,
) -> None:
    person, browser = Person(), line.browser(language=language)
    login = browser.open("/_cps/login")
    with line.desk(entry=person, gateway_at=gateway_at) as desk:
        browser.to_agent(login, desk.port).require_failed(code, language)
    assert person.asked == []
    assert line.state(login.rid) is ChallengeState.NEW
    with line.desk() as desk:
        assert browser.follow(browser.to_agent(login, desk.port)).status == 303, "the same link"


# --- the portal and the gateway's own store ------------------------------------------------------


@pytest.fixture(scope="module")
def portal_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def lonely(
    tmp_path_factory: pytest.TempPathFactory, portal_port: int
) -> Iterator[tuple[Line, Browser, Browser]]:
    """Run a gateway, short of patience, before a portal that is away; two browsers are in."""
    with running_line(
        tmp_path_factory.mktemp("lonely"),
        upstream=f"http://127.0.0.1:{portal_port}",
        limits={"body_bytes": MEBIBYTE, "upstream_read_seconds": 1, "store_seconds": 1},
    ) as line:
        yield line, logged_in(line, "fr"), logged_in(line, "en")


def silent(wire: Wire) -> None:
    """Take a request and say nothing."""
    wire.request()
    wire.rest()


def nonsense(wire: Wire) -> None:
    """Answer with something that is not HTTP."""
    wire.request()
    wire.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def both(lonely: tuple[Line, Browser, Browser]) -> list[tuple[Browser, str]]:
    """Return the browsers with their languages."""
    return [(lonely[1], "fr"), (lonely[2], "en")]


def test_a_portal_that_is_down_is_said_and_nothing_is_lost(
    lonely: tuple[Line, Browser, Browser], portal_port: int
) -> None:
    for browser, language in both(lonely):
        page = browser.open("/rights")
        assert page.status == 502
        page.require_clear(ErrorCode.UPSTREAM_UNAVAILABLE, language)
        assert browser.fetch("/api").error == ErrorCode.UPSTREAM_UNAVAILABLE
    with RawServer(echo).on_port(portal_port):
        for browser, _ in both(lonely):
            assert browser.open("/rights").status == 200, "with the session from before"


def test_a_portal_that_talks_nonsense_is_as_good_as_down(
    lonely: tuple[Line, Browser, Browser], portal_port: int
) -> None:
    with RawServer(nonsense).on_port(portal_port):
        for browser, language in both(lonely):
            page = browser.open("/")
            assert page.status == 502
            page.require_clear(ErrorCode.UPSTREAM_UNAVAILABLE, language)
            assert "SSH" not in page.text


def test_a_portal_that_does_not_answer_in_time_is_said(
    lonely: tuple[Line, Browser, Browser], portal_port: int
) -> None:
    with RawServer(silent).on_port(portal_port):
        page = lonely[1].open("/")
    assert page.status == 504
    page.require_clear(ErrorCode.UPSTREAM_TIMEOUT, "fr")


def test_a_body_that_is_too_large_is_said(
    lonely: tuple[Line, Browser, Browser], portal_port: int
) -> None:
    portal = RawServer(echo)
    with portal.on_port(portal_port):
        for browser, language in both(lonely):
            fields = {
                "Cookie": f"{SESSION_COOKIE}={browser.cookies[SESSION_COOKIE]}",
                "Sec-Fetch-Mode": "navigate",
                "Accept-Language": language,
            }
            address, body = browser.origin + "/upload", bytes(MEBIBYTE + 1)
            page = exchange("POST", address, fields, body, tls=lonely[0].tls)
            assert page.status == 413
            page.require_clear(ErrorCode.REQUEST_TOO_LARGE, language)
            assert browser.open("/").status == 200
    assert b"/upload" not in portal.all_received


def test_a_store_that_does_not_answer_lets_nobody_in_and_loses_nothing(
    lonely: tuple[Line, Browser, Browser],
) -> None:
    line, browser, _ = lonely
    with closing(sqlite3.connect(line.database, isolation_level=None)) as other_program:
        other_program.execute("BEGIN IMMEDIATE")
        page = line.browser(language="en").open("/_cps/login")
        assert page.status == 503
        page.require_clear(ErrorCode.STORE_UNAVAILABLE, "en")
        assert "sqlite" not in page.text.lower()
        assert "database" not in page.text.lower()
        # A session is only read, which needs no lock.
        assert browser.open("/_cps/session").status == 200
    assert logged_in(line).open("/_cps/session").status == 200
