"""The session's page and the way out: who is in, until when, and who may end it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cps.authtoken.lease import LeaseEvent
from gateway.errors import SessionRequiredError
from gateway.identity import CardKind, VerifiedIdentity
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from gateway.session.model import EndReason
from gateway.web.session_pages import profession_label
from tests.support.gateway_fakes import (
    ORIGIN,
    TEST_PERSON,
    Browser,
    FakedGateway,
    ended_fields,
    make_gateway,
    make_settings,
)


@pytest.fixture
def browser(gateway: FakedGateway) -> Browser:
    """A browser that is logged in."""
    logged_in = gateway.browser()
    logged_in.log_in()
    return logged_in


def test_session_page_shows_who_is_in_by_which_card_until_when(browser: Browser) -> None:
    text = browser.open("/_cps/session").text
    for shown in ("CAMILLE EXEMPLE", "Médecin", "(CPS)", "12:00 UTC", "13:00 UTC", "16:00 UTC"):
        assert shown in text
    assert TEST_PERSON.national_id not in text


def test_idle_end_is_never_shown_after_the_absolute_end(
    gateway: FakedGateway, browser: Browser
) -> None:
    for _ in range(4):
        for _ in range(70):
            gateway.clock.advance(50)
            browser.say(LeaseEvent.PRESENT)
        text = browser.open("/_cps/session").text
    assert "16:53 UTC" not in text
    assert text.count("16:00 UTC") == 2


def test_page_knows_how_long_the_session_lasts_without_activity(
    gateway: FakedGateway, browser: Browser
) -> None:
    assert 'data-left="3600" data-warn="300"' in browser.open("/_cps/session").text
    for _ in range(4):
        for _ in range(70):
            gateway.clock.advance(50)
            browser.say(LeaseEvent.PRESENT)
        text = browser.open("/_cps/session").text
    assert 'data-left="400" data-warn="300"' in text


def test_a_short_session_is_warned_of_at_its_half(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    limits = settings.session.model_copy(update={"idle_seconds": 120})
    gateway = make_gateway(tmp_path, settings.model_copy(update={"session": limits}))
    browser = gateway.browser()
    browser.log_in()
    assert 'data-left="120" data-warn="60"' in browser.open("/_cps/session").text


@pytest.mark.parametrize("kind", list(CardKind))
def test_every_card_type_has_its_name(gateway: FakedGateway, kind: CardKind) -> None:
    gateway.verifier.decision = replace(TEST_PERSON, card_type=kind)
    browser = gateway.browser()
    browser.log_in()
    assert f"({kind.name})" in browser.open("/_cps/session").text


def test_name_from_the_card_is_escaped(gateway: FakedGateway) -> None:
    gateway.verifier.decision = replace(TEST_PERSON, family_name="<b>EXEMPLE</b>")
    browser = gateway.browser()
    browser.log_in()
    text = browser.open("/_cps/session").text
    assert "&lt;b&gt;EXEMPLE&lt;/b&gt;" in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("code", "french", "english"),
    [
        (10, "Médecin", "Physician"),
        (60, "Infirmier", "Nurse"),
        (77, "Profession 77", "Profession 77"),
        (None, "Non indiquée sur la carte", "Not stated on the card"),
    ],
)
def test_profession_is_named_or_shown_as_its_code(
    code: int | None, french: str, english: str
) -> None:
    person: VerifiedIdentity = replace(TEST_PERSON, profession=code)
    assert profession_label(person, "fr") == french
    assert profession_label(person, "en") == english


def test_what_somebody_is_in_training_for_is_named() -> None:
    student = replace(TEST_PERSON, profession=None, future_profession=40)
    assert profession_label(student, "fr") == "Chirurgien-Dentiste en formation"


def test_specialities_are_named_or_shown_as_their_codes(gateway: FakedGateway) -> None:
    gateway.verifier.decision = replace(TEST_PERSON, specialities=("SM54", "ZZ99"))
    browser = gateway.browser()
    browser.log_in()
    text = browser.open("/_cps/session").text
    assert "Médecine générale (SM)" in text
    assert "ZZ99" in text


def test_session_page_without_a_session_asks_to_log_in(gateway: FakedGateway) -> None:
    answer = gateway.browser().open("/_cps/session")
    assert answer.status_code == 401
    assert "Connectez-vous avec votre carte CPS" in answer.text
    assert 'href="/_cps/login"' in answer.text


def test_session_page_after_the_idle_limit_asks_to_log_in(
    gateway: FakedGateway, browser: Browser
) -> None:
    gateway.clock.advance(3601)
    assert browser.open("/_cps/session").status_code == 401


def test_opening_the_logout_page_ends_nothing(gateway: FakedGateway, browser: Browser) -> None:
    answer = browser.open("/_cps/logout", {"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert '<form method="post" action="/_cps/logout">' in answer.text
    assert gateway.sessions.get(browser.session_key(), now=gateway.clock())


def test_logout_ends_the_session_and_forgets_both_cookies(
    gateway: FakedGateway, browser: Browser
) -> None:
    key = browser.session_key()
    answer = browser.submit("/_cps/logout")
    assert answer.status_code == 200
    assert "Retirez votre carte" in answer.text
    for header, name in zip(
        answer.headers.getlist("Set-Cookie"), (SESSION_COOKIE, LOGIN_COOKIE), strict=True
    ):
        assert header.startswith(f"{name}=; ")
        assert header.endswith("Max-Age=0")
    with pytest.raises(SessionRequiredError):
        gateway.sessions.get(key, now=gateway.clock())
    (event,) = gateway.audit.named("session_ended")
    assert event == ended_fields(key, EndReason.LOGOUT)


def test_logout_reaches_other_processes_through_the_feed(
    gateway: FakedGateway, browser: Browser
) -> None:
    key = browser.session_key()
    before, _ = gateway.sessions.ended_since(0, now=gateway.clock())
    browser.submit("/_cps/logout")
    _, ended = gateway.sessions.ended_since(before, now=gateway.clock())
    assert list(ended) == [key]


def test_logout_without_a_session_still_forgets_the_cookies(gateway: FakedGateway) -> None:
    answer = gateway.browser().submit("/_cps/logout")
    assert answer.status_code == 200
    assert len(answer.headers.getlist("Set-Cookie")) == 2
    assert gateway.audit.events == []


OTHER_SITES: list[Any] = [
    pytest.param(
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, id="cross-site"
    ),
    pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, id="cross-site, opaque"),
    pytest.param({"Sec-Fetch-Site": "same-site"}, id="a sister host"),
    pytest.param({"Sec-Fetch-Site": "none"}, id="no page at all"),
    pytest.param(
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, id="both ways"
    ),
    pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, id="both ways, reversed"),
    pytest.param({"Origin": "https://evil.example"}, id="old browser, other site"),
    pytest.param({"Origin": "null"}, id="old browser, opaque"),
    pytest.param({"Origin": f"{ORIGIN}:8443"}, id="old browser, other port"),
    pytest.param({"Origin": "http://portal.example"}, id="old browser, other scheme"),
    pytest.param({"Origin": f"{ORIGIN}/"}, id="old browser, other spelling"),
    pytest.param({}, id="nothing said"),
]


@pytest.mark.parametrize("headers", OTHER_SITES)
def test_other_sites_cannot_log_a_person_out(
    gateway: FakedGateway, browser: Browser, headers: dict[str, str]
) -> None:
    answer = browser.submit("/_cps/logout", headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert gateway.sessions.get(browser.session_key(), now=gateway.clock())


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="said by the browser"),
        pytest.param({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}, id="said twice"),
        pytest.param({"Origin": ORIGIN}, id="old browser"),
    ],
)
def test_own_page_can_log_a_person_out(
    gateway: FakedGateway, browser: Browser, headers: dict[str, str]
) -> None:
    assert browser.submit("/_cps/logout", headers).status_code == 200
    assert len(gateway.audit.named("session_ended")) == 1
