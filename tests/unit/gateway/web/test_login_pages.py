"""The pages of a login: bound to one browser, ended once, leading back to the same origin."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from gateway.errors import SessionRequiredError, StoreUnavailableError
from gateway.login.challenge import ChallengeState
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from gateway.session.model import EndReason
from gateway.settings import LimitsSettings
from gateway.web import login_pages
from gateway.web.login_pages import AGENT_PORTS, WAITING_COOKIE, agent_url
from tests.support.gateway_fakes import (
    CLIENT,
    ORIGIN,
    TEST_PERSON,
    Browser,
    FakedGateway,
    ended_fields,
    make_gateway,
    make_settings,
)

NOT_SHOWN = [
    pytest.param({"Sec-Purpose": "prefetch"}, id="prefetch"),
    pytest.param({"Sec-Purpose": "prefetch;prerender"}, id="prerender"),
    pytest.param({"Purpose": "prefetch"}, id="prefetch of old browsers"),
    pytest.param({"X-Moz": "prefetch"}, id="prefetch of old Firefox"),
    pytest.param({"Sec-Fetch-Dest": "iframe"}, id="frame"),
    pytest.param({"Sec-Fetch-Dest": "image"}, id="image"),
    pytest.param({"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}, id="fetch"),
]


ASKED_FOR = (EndReason.LOGOUT, EndReason.REPLACED)
"""How a session ends because its person wants it."""


class Links(HTMLParser):
    """Collects the attributes of every link."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


# --- the login page ------------------------------------------------------------------------------


def test_login_page_links_to_the_agent_on_this_computer(gateway: FakedGateway) -> None:
    answer = gateway.browser().open("/_cps/login")
    links = [link for link in Links(answer.text).found if "data-agent" in link]
    agents = [link for link in links if (link["href"] or "").startswith("http:")]
    rid = re.findall(r"r=([A-Za-z0-9_-]{22})&", agents[0]["href"] or "")[0]
    assert [link["href"] for link in agents] == [
        f"http://127.0.0.1:{port}/v1/login?r={rid}&o=portal.example"
        for port in (24951, 24952, 24953)
    ]
    for link in agents:
        assert (link["target"], link["rel"]) == ("_blank", "noopener noreferrer")
    # The way that the system looks up leads out of no tab: there may be nobody to answer it.
    (handed_over,) = [link for link in links if link not in agents]
    assert handed_over["href"] == f"cps-login:v1?r={rid}&o=portal.example"
    assert "target" not in handed_over


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://portal.example", "portal.example"),
        ("https://portal.example:8443", "portal.example:8443"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ],
)
def test_agent_is_told_host_and_port_of_the_portal(origin: str, host: str) -> None:
    assert agent_url(AGENT_PORTS[0], "R" * 22, origin).endswith(f"?r={'R' * 22}&o={host}")


def test_page_never_holds_the_nonce_or_the_cookie(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    answer = browser.open("/_cps/login")
    found = re.search(r"r=([A-Za-z0-9_-]{22})&", answer.text)
    assert found
    assert gateway.claim(found[1]).get_json()["nonce"] not in answer.text
    cookie = browser.cookie(LOGIN_COOKIE)
    assert cookie is not None
    assert b64url_encode(cookie) not in answer.text


def test_login_cookie_has_the_flags_of_the_protocol(gateway: FakedGateway) -> None:
    answer = gateway.browser().open("/_cps/login")
    (cookie,) = answer.headers.getlist("Set-Cookie")
    value, *attributes = cookie.split("; ")
    assert re.fullmatch(r"__Host-cps-login=[A-Za-z0-9_-]{43}", value)
    assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=300"}


def test_two_browsers_get_two_cookies_and_two_requests(gateway: FakedGateway) -> None:
    first, second = gateway.browser(), gateway.browser()
    assert first.begin() != second.begin()
    assert first.cookie(LOGIN_COOKIE) != second.cookie(LOGIN_COOKIE)


def test_tabs_of_one_browser_share_the_cookie_and_both_can_finish(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    first = browser.begin()
    cookie = browser.cookie(LOGIN_COOKIE)
    second = browser.begin()
    assert first != second
    assert browser.cookie(LOGIN_COOKIE) == cookie
    codes = [gateway.code_for(rid) for rid in (first, second)]
    assert browser.open(f"/_cps/callback?code={codes[0]}").status_code == 303


def test_cookie_that_the_gateway_does_not_know_is_replaced(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    planted = bytes(range(32))
    browser.client.set_cookie(LOGIN_COOKIE, b64url_encode(planted), domain="portal.example")
    browser.begin()
    assert browser.cookie(LOGIN_COOKIE) not in (planted, None)


def test_cookie_of_a_login_long_over_is_replaced(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    browser.begin()
    old = browser.cookie(LOGIN_COOKIE)
    gateway.clock.advance(181)
    browser.begin()
    assert browser.cookie(LOGIN_COOKIE) != old


@pytest.mark.parametrize("headers", NOT_SHOWN)
def test_login_page_that_nobody_sees_begins_no_login(
    gateway: FakedGateway, headers: dict[str, str]
) -> None:
    answer = gateway.browser().open("/_cps/login", headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert "/v1/login" not in answer.text


def test_head_begins_no_login(gateway: FakedGateway) -> None:
    answer = gateway.browser().client.head("/_cps/login", base_url=ORIGIN)
    assert answer.status_code == 405
    assert "Set-Cookie" not in answer.headers


def test_login_page_speaks_english_to_those_who_prefer_it(gateway: FakedGateway) -> None:
    french = gateway.browser().open("/_cps/login").text
    english = gateway.browser().open("/_cps/login", {"Accept-Language": "en-GB,fr;q=0.5"}).text
    assert '<html lang="fr">' in french
    assert "Se connecter avec ma carte CPS" in french
    assert '<html lang="en">' in english
    assert "Log in with my CPS card" in english


def test_label_of_the_portal_is_escaped(gateway: FakedGateway) -> None:
    text = gateway.browser().open("/_cps/login").text
    assert "Portail &lt;d&#39;essai&gt;" in text
    assert "<d'essai>" not in text


def test_strange_target_id_is_passed_over_and_not_reflected(gateway: FakedGateway) -> None:
    answer = gateway.browser().open('/_cps/login?t="><script>alert(1)</script>')
    assert answer.status_code == 200
    assert "alert(1)" not in answer.text


def test_two_login_cookies_at_once_are_refused(gateway: FakedGateway) -> None:
    both = f"{LOGIN_COOKIE}={'A' * 43}; {LOGIN_COOKIE}={'B' * 42}A"
    client = gateway.app.test_client(use_cookies=False)
    answer = client.get("/_cps/login", headers={"Cookie": both}, base_url=ORIGIN)
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "request_malformed"


def test_cookies_past_the_limit_of_the_settings_are_refused(tmp_path: Path) -> None:
    limit = 2000
    limits = LimitsSettings(cookie_bytes=limit)
    gateway = make_gateway(tmp_path, make_settings(tmp_path).model_copy(update={"limits": limits}))
    client = gateway.app.test_client(use_cookies=False)
    for size, status in ((limit, 200), (limit + 1, 413)):
        padding = "x=" + "y" * (size - 2)
        answer = client.get("/_cps/login", headers={"Cookie": padding}, base_url=ORIGIN)
        assert answer.status_code == status


def test_page_has_words_for_every_state_and_the_script_for_every_end(
    gateway: FakedGateway,
) -> None:
    text = gateway.browser().open("/_cps/login").text
    shown = {name for names in re.findall(r'data-states="([^"]*)"', text) for name in names.split()}
    # A login that an agent began is on no such page.
    assert set(ChallengeState) - {ChallengeState.OFFERED} <= shown
    script = (Path(login_pages.__file__).parent / "static" / "login.js").read_text(encoding="utf-8")
    ends = dict(re.findall(r'^    (\w+): "(\w+)",$', script, re.MULTILINE))
    assert ends == {
        ErrorCode.RID_EXPIRED: "expired",
        ErrorCode.RID_UNKNOWN: "expired",
        ErrorCode.BROWSER_MISMATCH: "expired",
        ErrorCode.COOKIE_MISSING: "no_cookie",
    }
    assert set(ends.values()) <= shown


@pytest.mark.parametrize(
    "reason", [pytest.param(reason, id=reason) for reason in EndReason if reason not in ASKED_FOR]
)
def test_a_person_whose_session_was_ended_reads_why(
    gateway: FakedGateway, reason: EndReason
) -> None:
    browser, other = gateway.browser(), gateway.browser()
    browser.log_in()
    gateway.sessions.end(browser.session_key(), reason, now=gateway.clock())
    said = text(f"login_page.ended_{reason}", "fr")
    assert said in browser.open("/_cps/login").text
    assert said not in other.open("/_cps/login").text


@pytest.mark.parametrize("reason", ASKED_FOR)
def test_an_end_that_the_person_asked_for_is_not_explained(
    gateway: FakedGateway, reason: EndReason
) -> None:
    browser = gateway.browser()
    browser.log_in()
    gateway.sessions.end(browser.session_key(), reason, now=gateway.clock())
    assert 'id="ended"' not in browser.open("/_cps/login").text


# --- the state -----------------------------------------------------------------------------------


def state_of(browser: Browser, rid: str) -> object:
    answer = browser.fetch(f"/_cps/login/status?r={rid}")
    return answer.get_json().get("state") or answer.get_json()["error"]


def test_state_follows_the_login_to_its_end(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    assert state_of(browser, rid) == "new"
    gateway.claim(rid)
    assert state_of(browser, rid) == "claimed"
    code = gateway.hand_in(rid).get_json()["code"]
    assert state_of(browser, rid) == "verified"
    browser.open(f"/_cps/callback?code={code}")
    assert state_of(browser, rid) == "used"


def test_polling_never_logs_in(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.code_for(rid)
    answer = browser.fetch(f"/_cps/login/status?r={rid}")
    assert answer.get_json() == {"state": "verified"}
    assert "Set-Cookie" not in answer.headers
    assert browser.cookie(SESSION_COOKIE) is None


def test_state_of_an_expired_login_says_so(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.clock.advance(181)
    assert state_of(browser, rid) == "rid_expired"


@pytest.mark.parametrize("rid", ["", "x", "A" * 23, "<script>"])
def test_state_of_something_else_is_refused(gateway: FakedGateway, rid: str) -> None:
    browser = gateway.browser()
    browser.begin()
    assert state_of(browser, rid) == "request_malformed"


def test_state_is_told_to_the_browser_that_began_alone(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    stranger = gateway.browser()
    assert state_of(stranger, rid) == "cookie_missing"
    stranger.begin()
    assert state_of(stranger, rid) == "browser_mismatch"


@pytest.mark.parametrize(
    ("language", "sentence", "support"),
    [
        ("fr", "Débloquez-la avec son code", "Code pour le support : pin_blocked"),
        ("en", "Unblock it with its unblocking code", "Code for the support: pin_blocked"),
    ],
)
def test_state_of_a_failed_login_says_what_to_do(
    gateway: FakedGateway, language: str, sentence: str, support: str
) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    gateway.give_up(rid, ErrorCode.PIN_BLOCKED)
    fields = {"Accept-Language": language}
    told = browser.client.get(
        f"/_cps/login/status?r={rid}", base_url=ORIGIN, headers=fields
    ).get_json()
    assert sentence in told["sentence"]
    assert told["title"]
    assert told["support"] == support


def test_polls_of_a_waiting_page_are_not_recorded(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.browser().fetch(f"/_cps/login/status?r={rid}")
    assert gateway.audit.events == []


# --- the callback --------------------------------------------------------------------------------


def test_callback_opens_a_session_for_the_verified_person(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    browser.log_in()
    session = gateway.sessions.get(browser.session_key(), now=gateway.clock())
    assert session.identity == TEST_PERSON


def test_callback_leads_to_the_page_that_was_asked_for(gateway: FakedGateway) -> None:
    target_id = gateway.challenges.keep_target("/patients?q=a&b=%2F", now=gateway.clock())
    browser = gateway.browser()
    code = gateway.code_for(browser.begin(f"/_cps/login?t={target_id}"))
    answer = browser.open(f"/_cps/callback?code={code}")
    assert answer.headers["Location"] == f"{ORIGIN}/patients?q=a&b=%2F"


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "/\\evil.example", "https://evil.example/", "/%0d%0aX: 1", "@evil.example"],
)
def test_callback_never_leaves_the_origin(gateway: FakedGateway, target: str) -> None:
    target_id = gateway.challenges.keep_target(target, now=gateway.clock())
    browser = gateway.browser()
    code = gateway.code_for(browser.begin(f"/_cps/login?t={target_id}"))
    answer = browser.open(f"/_cps/callback?code={code}")
    assert answer.headers["Location"] == f"{ORIGIN}/"


def test_session_cookie_has_the_flags_of_the_protocol_and_the_login_cookie_goes(
    gateway: FakedGateway,
) -> None:
    answer = gateway.browser().log_in()
    session, login = answer.headers.getlist("Set-Cookie")
    value, *attributes = session.split("; ")
    assert re.fullmatch(r"__Host-cps-session=[A-Za-z0-9_-]{43}", value)
    assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    assert login.startswith("__Host-cps-login=; ")
    assert login.endswith("Max-Age=0")


def test_callback_answer_is_neither_stored_nor_named_to_the_next_page(
    gateway: FakedGateway,
) -> None:
    answer = gateway.browser().log_in()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.data == b""


def test_started_session_is_recorded_without_code_or_cookie(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    code = gateway.code_for(rid)
    login_cookie = browser.cookie(LOGIN_COOKIE)
    browser.open(f"/_cps/callback?code={code}")
    (event,) = gateway.audit.named("session_started")
    assert event == {
        "session": browser.session_key().hex()[:16],
        "national_id": TEST_PERSON.national_id,
        "client": CLIENT,
    }
    session_cookie = browser.cookie(SESSION_COOKIE)
    assert login_cookie
    assert session_cookie
    record = repr(gateway.audit.events)
    for secret in (code, b64url_encode(login_cookie), b64url_encode(session_cookie)):
        assert secret not in record


def test_callback_without_the_cookie_explains_cookies_and_ends_the_login(
    gateway: FakedGateway,
) -> None:
    owner = gateway.browser()
    rid = owner.begin()
    code = gateway.code_for(rid)
    answer = gateway.browser().open(f"/_cps/callback?code={code}")
    assert answer.status_code == 400
    assert "Autorisez les cookies" in answer.text
    assert SESSION_COOKIE not in str(answer.headers)
    # The code was seen elsewhere: the right browser cannot use it any more.
    assert owner.open(f"/_cps/callback?code={code}").status_code == 403


def test_callback_in_another_browser_is_refused_and_ends_the_login(gateway: FakedGateway) -> None:
    """A login relay: one browser began, the other, in front of the card, carries the code."""
    attacker, victim = gateway.browser(), gateway.browser()
    code = gateway.code_for(attacker.begin())
    victim.begin()
    answer = victim.open(f"/_cps/callback?code={code}")
    assert answer.status_code == 403
    assert "Connexion commencée ailleurs" in answer.text
    assert victim.cookie(SESSION_COOKIE) is None
    assert attacker.open(f"/_cps/callback?code={code}").status_code == 403
    assert attacker.cookie(SESSION_COOKIE) is None
    reasons = [event["reason"] for event in gateway.audit.named("login_refused")]
    assert reasons == ["browser_mismatch", "code_invalid"]


def test_code_is_good_once(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    code = gateway.code_for(browser.begin())
    browser.open(f"/_cps/callback?code={code}")
    session = browser.cookie(SESSION_COOKIE)
    browser.begin()
    answer = browser.open(f"/_cps/callback?code={code}")
    # A reload, or the second tab of a double click: it opens nothing, closes nothing, and leads to
    # the portal that is open already.
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{ORIGIN}/")
    assert "Set-Cookie" not in answer.headers
    assert len(gateway.audit.named("session_started")) == 1
    assert browser.cookie(SESSION_COOKIE) == session
    assert gateway.sessions.get(browser.session_key(), now=gateway.clock())


def test_a_used_code_is_refused_once_its_session_is_over(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    code = gateway.code_for(browser.begin())
    browser.open(f"/_cps/callback?code={code}")
    gateway.sessions.end(browser.session_key(), EndReason.CARD_REMOVED, now=gateway.clock())
    answer = browser.open(f"/_cps/callback?code={code}")
    assert answer.status_code == 403
    assert "Lien de connexion périmé" in answer.text


def test_callback_looks_for_the_tab_that_waits_where_there_is_one(gateway: FakedGateway) -> None:
    target_id = gateway.challenges.keep_target("/patients?q=%22", now=gateway.clock())
    browser = gateway.browser()
    code = gateway.code_for(browser.begin(f"/_cps/login?t={target_id}"))
    browser.client.set_cookie(WAITING_COOKIE, "1", domain="portal.example", path="/_cps/callback")
    answer = browser.open(f"/_cps/callback?code={code}")
    assert answer.status_code == 200
    assert f'href="{ORIGIN}/patients?q=%22"' in answer.text
    assert code not in answer.text
    waiting, session, login = answer.headers.getlist("Set-Cookie")
    assert session.startswith(f"{SESSION_COOKIE}=")
    assert login.startswith(f"{LOGIN_COOKIE}=; ")
    assert waiting == f"{WAITING_COOKIE}=; Path=/_cps/callback; Max-Age=0"


@pytest.mark.parametrize("value", ["", "0", "2", "1x"])
def test_any_other_waiting_cookie_is_passed_over(gateway: FakedGateway, value: str) -> None:
    browser = gateway.browser()
    code = gateway.code_for(browser.begin())
    browser.client.set_cookie(WAITING_COOKIE, value, domain="portal.example")
    assert browser.open(f"/_cps/callback?code={code}").status_code == 303


def test_the_waiting_cookie_logs_nobody_in(gateway: FakedGateway) -> None:
    """The relay once more: neither a tab that waits nor one that arrives replaces the cookie."""
    attacker, victim = gateway.browser(), gateway.browser()
    code = gateway.code_for(attacker.begin())
    for browser in (victim, attacker):
        browser.client.set_cookie(WAITING_COOKIE, "1", domain="portal.example")
        answer = browser.open(f"/_cps/callback?code={code}")
        assert answer.status_code in (400, 403)
        assert browser.cookie(SESSION_COOKIE) is None


def test_who_is_in_already_is_told_so_and_may_go_on(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    assert "est déjà connecté" not in browser.open("/_cps/login").text
    browser.log_in()
    assert "CAMILLE EXEMPLE est déjà connecté" in browser.open("/_cps/login").text


def test_code_is_good_for_thirty_seconds(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    code = gateway.code_for(browser.begin())
    gateway.clock.advance(30)
    assert browser.open(f"/_cps/callback?code={code}").status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="none"),
        pytest.param("?code=", id="empty"),
        pytest.param(f"?code={'A' * 43}", id="unknown"),
        pytest.param(f"?code={'A' * 42}", id="too short"),
        pytest.param(f"?code={'A' * 5000}", id="too long"),
        pytest.param(f"?code={'A' * 43}&code={'A' * 43}", id="twice"),
        pytest.param("?code=%3Cscript%3E", id="markup"),
    ],
)
def test_code_of_another_form_is_refused_and_not_reflected(
    gateway: FakedGateway, query: str
) -> None:
    browser = gateway.browser()
    browser.begin()
    answer = browser.open(f"/_cps/callback{query}")
    assert answer.status_code == 403
    assert "Lien de connexion périmé" in answer.text
    assert "AAAA" not in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize("headers", NOT_SHOWN)
def test_callback_that_nobody_sees_does_not_use_the_code_up(
    gateway: FakedGateway, headers: dict[str, str]
) -> None:
    browser = gateway.browser()
    code = gateway.code_for(browser.begin())
    answer = browser.open(f"/_cps/callback?code={code}", headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert browser.open(f"/_cps/callback?code={code}").status_code == 303


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_only_get_uses_the_code_up(gateway: FakedGateway, method: str) -> None:
    browser = gateway.browser()
    path = f"/_cps/callback?code={gateway.code_for(browser.begin())}"
    answer = browser.client.open(path, method=method, base_url=ORIGIN)
    assert answer.status_code == 405
    assert "Set-Cookie" not in answer.headers
    assert browser.open(path).status_code == 303


def test_browser_that_sends_no_fetch_metadata_can_log_in(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    code = gateway.code_for(browser.begin())
    answer = browser.client.get(f"/_cps/callback?code={code}", base_url=ORIGIN)
    assert answer.status_code == 303


def test_new_login_replaces_the_session_of_the_same_browser(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    browser.log_in()
    old_cookie, old_key = browser.cookie(SESSION_COOKIE), browser.session_key()
    browser.log_in()
    assert browser.cookie(SESSION_COOKIE) != old_cookie
    with pytest.raises(SessionRequiredError):
        gateway.sessions.get(old_key, now=gateway.clock())
    assert gateway.sessions.get(browser.session_key(), now=gateway.clock())
    (ended,) = gateway.audit.named("session_ended")
    assert ended == ended_fields(old_key, EndReason.REPLACED)


def test_session_of_another_browser_stays(gateway: FakedGateway) -> None:
    first, second = gateway.browser(), gateway.browser()
    first.log_in()
    second.log_in()
    assert gateway.sessions.get(first.session_key(), now=gateway.clock())


def test_session_cookie_planted_before_the_login_is_not_adopted(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    planted = bytes(range(32))
    browser.client.set_cookie(SESSION_COOKIE, b64url_encode(planted), domain="portal.example")
    browser.log_in()
    assert browser.cookie(SESSION_COOKIE) != planted
    assert gateway.audit.named("session_ended") == []


def test_store_that_is_away_lets_nobody_in(
    gateway: FakedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> bytes:
        raise StoreUnavailableError("no answer")

    browser = gateway.browser()
    code = gateway.code_for(browser.begin())
    monkeypatch.setattr(gateway.sessions, "create", away)
    answer = browser.open(f"/_cps/callback?code={code}")
    assert answer.status_code == 503
    assert "Service momentanément indisponible" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert gateway.audit.named("login_refused")[-1]["reason"] == ErrorCode.STORE_UNAVAILABLE


def test_refused_callback_stands_in_the_record_under_the_number_shown(
    gateway: FakedGateway,
) -> None:
    browser = gateway.browser()
    answer = browser.open(f"/_cps/callback?code={'A' * 43}")
    (event,) = gateway.audit.named("login_refused")
    assert f"Numéro d’incident : {event['ref']}" in answer.text
    assert event["reason"] == "code_invalid"


def test_plain_http_development_portal_links_to_itself(tmp_path: Path) -> None:
    origin = "http://127.0.0.1:8080"
    settings = make_settings(tmp_path, origin=origin, environment="test")
    gateway = make_gateway(tmp_path, settings)
    client = gateway.app.test_client()
    answer = client.get("/_cps/login", base_url=origin)
    assert "&amp;o=127.0.0.1:8080" in answer.text
    assert f'href="{origin}/"' in answer.text


def test_a_login_is_told_once_its_session_stands(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    code = gateway.code_for(browser.begin())
    assert gateway.notices == []
    browser.open(f"/_cps/callback?code={code}", {"Accept-Language": "en"})
    (notice,) = gateway.notices
    assert notice.identity == TEST_PERSON
    assert (notice.client, notice.language) == (CLIENT, "en")
    assert notice.session == browser.session_key().hex()[:16]
    browser.open(f"/_cps/callback?code={code}")
    assert len(gateway.notices) == 1


def test_a_login_that_is_refused_is_told_nobody(gateway: FakedGateway) -> None:
    code = gateway.code_for(gateway.browser().begin())
    gateway.browser().open(f"/_cps/callback?code={code}")
    assert gateway.notices == []
