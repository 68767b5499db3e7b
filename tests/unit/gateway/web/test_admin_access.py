"""Who gets to the administrators' page, and what everybody else sees."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from cps.authtoken.lease import LeaseEvent
from gateway.session.model import EndReason
from gateway.settings_admin import AdminSettings
from gateway.web.admin_access import form_seal
from tests.support.gateway_fakes import (
    ORIGIN,
    TEST_PERSON,
    Browser,
    FakedGateway,
    make_gateway,
    make_settings,
)
from tests.unit.gateway.web.admin_desk import ADMINISTRATOR, COLLEAGUE, FRESH_SECONDS, AdminDesk
from tests.unit.gateway.web.test_session_pages import OTHER_SITES

GETS = ["/_cps/admin", "/_cps/admin/session/0123456789abcdef", "/_cps/admin/blocked"]
POSTS = ["/_cps/admin/end", "/_cps/admin/clear"]
FORMS = {
    "/_cps/admin/end": {"identity": COLLEAGUE.national_id},
    "/_cps/admin/clear": {"identity": COLLEAGUE.national_id},
}
"""What each form asks for."""


def ask(desk: AdminDesk, browser: Browser, method: str, path: str) -> TestResponse:
    """Open a page, or send its form from a page of our own."""
    if method == "GET":
        return browser.open(path)
    return desk.submit(browser, path, **FORMS[path])


def everything_of(gateway: FakedGateway) -> list[tuple[str, str]]:
    """Return every method and path that begins with that of the administrators' page."""
    return [
        (method, rule.rule.replace("<name>", "0123456789abcdef"))
        for rule in gateway.app.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith("/_cps/admin") and method != "HEAD"
    ]


def keep_present(desk: AdminDesk, browser: Browser, seconds: int) -> None:
    """Let time pass while the card is in its reader."""
    for _ in range(seconds // 50):
        desk.gateway.clock.advance(50)
        assert browser.say(LeaseEvent.PRESENT).status_code == 200
    desk.gateway.clock.advance(seconds % 50)


def without_incident(answer: TestResponse) -> str:
    return re.sub(r"[0-9a-f]{4}-[0-9a-f]{4}", "", answer.text)


def test_these_tests_know_every_way_in(desk: AdminDesk) -> None:
    ways = [("GET", path) for path in GETS] + [("POST", path) for path in POSTS]
    assert sorted(everything_of(desk.gateway)) == sorted(ways)


@pytest.mark.parametrize("path", GETS)
def test_without_a_session_there_is_the_login_and_it_leads_back(desk: AdminDesk, path: str) -> None:
    browser = desk.gateway.browser()
    answer = browser.open(path)
    assert answer.status_code == 303
    assert re.fullmatch(r"/_cps/login\?t=[A-Za-z0-9_-]{22}", answer.location)
    assert "une signature récente" not in browser.open(answer.location).text
    desk.gateway.verifier.decision = ADMINISTRATOR
    code = desk.gateway.code_for(browser.begin(answer.location))
    assert browser.open(f"/_cps/callback?code={code}").location == ORIGIN + path


def test_what_was_searched_for_is_kept_over_the_login(desk: AdminDesk) -> None:
    browser = desk.gateway.browser()
    answer = browser.open("/_cps/admin?identity=899900000013&page=2")
    desk.gateway.verifier.decision = ADMINISTRATOR
    code = desk.gateway.code_for(browser.begin(answer.location))
    arrived = browser.open(f"/_cps/callback?code={code}").location
    assert arrived == f"{ORIGIN}/_cps/admin?identity=899900000013&page=2"


@pytest.mark.parametrize("path", POSTS)
def test_a_form_without_a_session_does_nothing(desk: AdminDesk, path: str) -> None:
    desk.let_in(COLLEAGUE)
    answer = desk.gateway.browser().submit(path, **FORMS[path])
    assert answer.status_code == 401
    assert len(desk.living()) == 1
    assert desk.gateway.audit.events == []


@pytest.mark.parametrize(
    ("method", "path"), [*(("GET", path) for path in GETS), *(("POST", path) for path in POSTS)]
)
@pytest.mark.parametrize("seconds", [0, FRESH_SECONDS + 1], ids=["fresh", "old"])
def test_somebody_else_gets_what_is_at_an_address_without_a_page(
    desk: AdminDesk, method: str, path: str, seconds: int
) -> None:
    desk.let_in(COLLEAGUE)
    browser = desk.log_in(TEST_PERSON)
    keep_present(desk, browser, seconds)
    nothing = browser.open("/_cps/nothing") if method == "GET" else browser.submit("/_cps/nothing")
    answer = ask(desk, browser, method, path)
    assert answer.status_code == nothing.status_code == 404
    assert without_incident(answer) == without_incident(nothing)
    assert dict(answer.headers).keys() == dict(nothing.headers).keys()
    assert len(desk.living()) == 2
    assert desk.gateway.audit.events == []


@pytest.mark.parametrize("path", GETS)
def test_where_nobody_is_named_all_get_the_same_answers(gateway: FakedGateway, path: str) -> None:
    assert gateway.settings.admin == AdminSettings()
    assert gateway.browser().open(path).status_code == 303
    browser = gateway.browser()
    browser.log_in()
    assert browser.open(path).status_code == 404


@pytest.mark.parametrize(
    "header", ["X-CPS-Subject", "X-CPS-Assertion", "X-CPS-Client", "Authorization"]
)
def test_no_header_says_who_somebody_is(desk: AdminDesk, header: str) -> None:
    forged = {header: ADMINISTRATOR.national_id}
    assert desk.gateway.browser().open("/_cps/admin", forged).status_code == 303
    assert desk.log_in(TEST_PERSON).open("/_cps/admin", forged).status_code == 404


def test_a_number_that_only_begins_alike_is_nobodys(desk: AdminDesk) -> None:
    for number in (ADMINISTRATOR.national_id[:-1], f"{ADMINISTRATOR.national_id}0", ""):
        browser = desk.log_in(replace(ADMINISTRATOR, national_id=number))
        assert browser.open("/_cps/admin").status_code == 404


def test_the_administrators_card_opens_the_page(desk: AdminDesk) -> None:
    assert "Sessions ouvertes" in desk.log_in().open("/_cps/admin").text


def test_a_signature_is_fresh_up_to_the_setting(desk: AdminDesk) -> None:
    browser = desk.log_in()
    keep_present(desk, browser, FRESH_SECONDS)
    assert browser.open("/_cps/admin").status_code == 200
    desk.gateway.clock.advance(1)
    answer = browser.open("/_cps/admin?page=1")
    assert answer.status_code == 303
    assert answer.location.startswith("/_cps/login?t=")
    login = browser.open(answer.location).text
    assert "une signature récente est demandée" in login
    assert "déjà connecté" not in login
    assert browser.open("/_cps/session").status_code == 200
    browser.log_in()
    assert browser.open("/_cps/admin").status_code == 200


def test_using_the_page_does_not_keep_a_signature_fresh(desk: AdminDesk) -> None:
    browser = desk.log_in()
    for _ in range(6):
        keep_present(desk, browser, 50)
        assert browser.open("/_cps/admin").status_code == 200
    keep_present(desk, browser, 50)
    assert browser.open("/_cps/admin").status_code == 303


@pytest.mark.parametrize("path", POSTS)
def test_a_form_after_an_old_signature_does_nothing_and_says_so(desk: AdminDesk, path: str) -> None:
    keys = desk.let_in(COLLEAGUE)
    browser = desk.log_in()
    keep_present(desk, browser, FRESH_SECONDS + 1)
    answer = ask(desk, browser, "POST", path)
    assert answer.status_code == 401
    assert "Rien n’a été fait" in answer.text
    assert set(keys) <= desk.living()
    assert desk.gateway.audit.named("sessions_ended_by_administrator") == []
    found = re.search(r'href="(/_cps/login\?t=[A-Za-z0-9_-]{22})"', answer.text)
    assert found is not None
    code = desk.gateway.code_for(browser.begin(found[1]))
    assert browser.open(f"/_cps/callback?code={code}").location == f"{ORIGIN}/_cps/admin"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("headers", OTHER_SITES)
def test_a_page_of_another_site_can_do_nothing(
    desk: AdminDesk, path: str, headers: dict[str, str]
) -> None:
    keys = desk.let_in(COLLEAGUE)
    browser = desk.log_in()
    assert desk.submit(browser, path, headers, **FORMS[path]).status_code == 403
    assert set(keys) <= desk.living()
    assert desk.gateway.audit.events == []


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda own, other: {}, id="none"),
        pytest.param(lambda own, other: {"seal": ""}, id="empty"),
        pytest.param(lambda own, other: {"seal": "é"}, id="not ASCII"),
        pytest.param(lambda own, other: {"seal": own.hex()}, id="the key itself"),
        pytest.param(lambda own, other: {"seal": form_seal(own)[:-1]}, id="cut"),
        pytest.param(lambda own, other: {"seal": form_seal(other)}, id="of another session"),
    ],
)
def test_a_form_in_a_page_of_the_portal_can_do_nothing(
    desk: AdminDesk, path: str, make: Callable[[bytes, bytes], dict[str, str]]
) -> None:
    (key,) = desk.let_in(COLLEAGUE)
    browser = desk.log_in()
    fields = {**FORMS[path], **make(browser.session_key(), key)}
    assert browser.submit(path, **fields).status_code == 403
    assert key in desk.living()
    assert desk.gateway.audit.events == []


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("destination", ["empty", "iframe", "script"])
def test_no_script_or_frame_of_the_portal_reads_a_page(
    desk: AdminDesk, path: str, destination: str
) -> None:
    browser = desk.log_in()
    fetched = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": destination}
    answer = browser.open(path, fetched)
    assert answer.status_code == 403
    assert form_seal(browser.session_key()) not in answer.text


@pytest.mark.parametrize("path", POSTS)
def test_nothing_is_done_by_opening_a_page(desk: AdminDesk, path: str) -> None:
    keys = desk.let_in(COLLEAGUE)
    browser = desk.log_in()
    answer = browser.open(f"{path}?identity={COLLEAGUE.national_id}&confirmed=yes")
    assert answer.status_code == 404
    assert set(keys) <= desk.living()


@pytest.mark.parametrize("path", GETS)
def test_a_list_takes_no_form(desk: AdminDesk, path: str) -> None:
    assert desk.log_in().submit(path).status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [*GETS, *POSTS])
def test_no_method_shows_somebody_else_that_there_is_a_page(
    desk: AdminDesk, method: str, path: str
) -> None:
    browser = desk.log_in(TEST_PERSON)
    nothing = browser.client.open("/_cps/nothing", method=method, base_url=ORIGIN)
    answer = browser.client.open(path, method=method, base_url=ORIGIN)
    assert answer.status_code == nothing.status_code == 404
    assert without_incident(answer) == without_incident(nothing)
    assert dict(answer.headers).keys() == dict(nothing.headers).keys()


def test_a_session_that_ended_opens_nothing(desk: AdminDesk) -> None:
    browser = desk.log_in()
    now = desk.gateway.clock()
    desk.gateway.sessions.end(browser.session_key(), EndReason.CARD_REMOVED, now=now)
    assert browser.open("/_cps/admin").status_code == 303
    assert ask(desk, browser, "POST", "/_cps/admin/end").status_code == 401


def test_only_an_administrator_is_shown_the_way(desk: AdminDesk) -> None:
    assert 'href="/_cps/admin"' in desk.log_in().open("/_cps/session").text
    assert "/_cps/admin" not in desk.log_in(TEST_PERSON).open("/_cps/session").text


def test_the_page_may_not_be_framed_kept_or_given_a_script(desk: AdminDesk) -> None:
    answer = desk.log_in().open("/_cps/admin")
    policy = answer.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<script" not in answer.text
    assert not re.search(r'\son[a-z]+="|style="', answer.text)


def test_each_portal_names_its_own_administrators(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("other")
    other = make_settings(folder).model_copy(update={"admin": AdminSettings(identities=("80",))})
    gateway = make_gateway(folder, other)
    gateway.verifier.decision = ADMINISTRATOR
    browser = gateway.browser()
    browser.log_in()
    assert browser.open("/_cps/admin").status_code == 404
