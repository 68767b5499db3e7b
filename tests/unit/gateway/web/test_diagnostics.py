"""The page for the help desk: facts, and nothing secret."""

import tomllib
from pathlib import Path

from cps.authtoken.encoding import b64url_encode
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from tests.support.gateway_fakes import CLIENT, TEST_PERSON, FakedGateway

ROOT = Path(__file__).parents[4]


def test_facts_are_those_of_gateway_and_browser(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    text = browser.open("/_cps/diag", {"User-Agent": "Test/1", "Accept-Language": "fr-FR"}).text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for fact in (
        f"gateway: {project['version']}",
        "origin: https://portal.example",
        "environment: production",
        "time: 2026-11-23T12:00:00Z",
        f"address: {CLIENT}",
        "browser: Test/1",
        "languages: fr-FR",
        "login-cookie: no",
        "session: no",
    ):
        assert fact in text, fact
    assert 'data-now="1795435200000"' in text


def test_nobodys_name_and_no_cookie_is_told(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    browser.log_in()
    browser.begin()
    text = browser.open("/_cps/diag").text
    assert "login-cookie: yes" in text
    assert "session: yes" in text
    assert TEST_PERSON.family_name not in text
    assert TEST_PERSON.national_id not in text
    for name in (SESSION_COOKIE, LOGIN_COOKIE):
        value = browser.cookie(name)
        assert value is not None
        assert b64url_encode(value) not in text


def test_what_the_browser_says_is_bounded_and_stays_text(gateway: FakedGateway) -> None:
    fields = {"User-Agent": "<b>" + "x" * 5000}
    text = gateway.browser().open("/_cps/diag", fields).text
    assert "<b>" not in text
    assert "x" * 198 not in text
