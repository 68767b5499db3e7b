"""The third request of the agent: what it answers, whom it throws out, what it records."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.codes import ErrorCode
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from gateway.errors import SessionRequiredError, StoreUnavailableError
from gateway.session.cookie import SESSION_COOKIE
from gateway.session.model import EndReason
from tests.support.gateway_fakes import (
    CLIENT,
    Browser,
    FakedGateway,
    ended_fields,
    make_gateway,
    make_settings,
)

LEASE = "/_cps/agent/lease"
UNKNOWN = "AAECAwQFBgcICQoLDA0ODw"


@pytest.fixture
def browser(gateway: FakedGateway) -> Browser:
    """A browser that is logged in."""
    logged_in = gateway.browser()
    logged_in.log_in()
    return logged_in


def is_in(browser: Browser) -> bool:
    try:
        browser.gateway.sessions.get(browser.session_key(), now=browser.gateway.clock())
    except SessionRequiredError:
        return False
    return True


def test_a_heartbeat_is_told_that_the_session_lives(browser: Browser) -> None:
    for _ in range(3):
        browser.gateway.clock.advance(59)
        answer = browser.say(LeaseEvent.PRESENT)
        assert (answer.status_code, answer.get_json()) == (200, {"alive": True})
    browser.gateway.clock.advance(59)
    assert is_in(browser)


def test_without_heartbeats_the_session_ends(browser: Browser) -> None:
    browser.gateway.clock.advance(60)
    assert not is_in(browser)
    assert browser.say(LeaseEvent.PRESENT).get_json() == {"alive": False}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(LeaseEvent.REMOVED, "card_removed", id="card removed"),
        pytest.param(LeaseEvent.BYE, "agent_ended", id="agent ends"),
        pytest.param(LeaseEvent.LOCKED_END, "screen_locked", id="screen locked"),
    ],
)
def test_an_event_ends_the_session_and_is_recorded(
    browser: Browser, event: LeaseEvent, reason: str
) -> None:
    answer = browser.say(event)
    assert (answer.status_code, answer.get_json()) == (200, {"alive": False})
    assert not is_in(browser)
    (ended,) = browser.gateway.audit.named("session_ended")
    assert ended == ended_fields(browser.session_key(), EndReason(reason))


def test_neither_record_nor_answer_names_the_lease(browser: Browser) -> None:
    answers = [browser.say(LeaseEvent.PRESENT), browser.say(LeaseEvent.REMOVED)]
    assert browser.lease not in repr(browser.gateway.audit.events)
    assert not any(browser.lease in answer.text for answer in answers)


def test_after_a_logout_the_agent_is_told_and_nothing_more_is_recorded(browser: Browser) -> None:
    browser.submit("/_cps/logout")
    browser.gateway.audit.events.clear()
    assert browser.say(LeaseEvent.PRESENT).get_json() == {"alive": False}
    assert browser.say(LeaseEvent.REMOVED).get_json() == {"alive": False}
    assert browser.gateway.audit.events == []


def test_an_unknown_lease_is_no_error(gateway: FakedGateway) -> None:
    answer = gateway.say(UNKNOWN, LeaseEvent.PRESENT, 1)
    assert (answer.status_code, answer.get_json()) == (200, {"alive": False})


def test_another_agent_does_not_speak_for_the_session(
    browser: Browser, gateway: FakedGateway
) -> None:
    sent = LeaseMessage.signed(
        ec.generate_private_key(ec.SECP256R1()),
        origin=gateway.settings.portal.origin,
        lease=browser.lease,
        counter=1,
        event=LeaseEvent.REMOVED,
    )
    answer = gateway.post_json(LEASE, sent.to_json())
    assert answer.status_code == 403
    assert answer.get_json()["error"] == ErrorCode.SIG_INVALID
    assert is_in(browser)
    (refusal,) = gateway.audit.named("lease_refused")
    assert (refusal["reason"], refusal["client"]) == ("sig_invalid", CLIENT)
    assert refusal["ref"] == answer.get_json()["ref"]
    assert gateway.audit.named("login_refused") == []


@pytest.mark.parametrize("event", LeaseEvent)
def test_a_replayed_message_is_refused_and_recorded(browser: Browser, event: LeaseEvent) -> None:
    gateway = browser.gateway
    assert gateway.say(browser.lease, LeaseEvent.PRESENT, 7).status_code == 200
    answer = gateway.say(browser.lease, event, 7)
    assert answer.status_code == 403
    assert answer.get_json()["error"] == ErrorCode.REQUEST_FORBIDDEN
    assert is_in(browser)
    (refusal,) = gateway.audit.named("lease_refused")
    assert refusal["reason"] == "request_forbidden"


def test_a_message_of_another_form_is_refused_and_recorded(gateway: FakedGateway) -> None:
    answer = gateway.post_json(LEASE, b'{"lease": "x"}')
    assert answer.status_code == 400
    assert answer.get_json()["error"] == ErrorCode.REQUEST_MALFORMED
    (refusal,) = gateway.audit.named("lease_refused")
    assert refusal["reason"] == "request_malformed"


def test_a_card_removed_before_the_browser_is_back_opens_nothing(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    code, lease = gateway.code_and_lease(browser.begin())
    assert gateway.say(lease, LeaseEvent.REMOVED, 1).get_json() == {"alive": False}
    answer = browser.open(f"/_cps/callback?code={code}")
    assert answer.status_code == 403
    assert "Carte retirée trop tôt" in answer.text
    assert browser.cookie(SESSION_COOKIE) is None
    assert gateway.audit.named("session_started") == []
    (refusal,) = gateway.audit.named("login_refused")
    assert refusal["reason"] == "card_removed"


def test_a_heartbeat_before_the_browser_is_back_is_good(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    code, lease = gateway.code_and_lease(browser.begin())
    assert gateway.say(lease, LeaseEvent.PRESENT, 1).get_json() == {"alive": True}
    assert browser.open(f"/_cps/callback?code={code}").status_code == 303
    assert is_in(browser)


def test_an_end_that_cannot_be_recorded_is_an_end(browser: Browser) -> None:
    browser.gateway.audit.failure = StoreUnavailableError("disk full")
    assert browser.say(LeaseEvent.REMOVED).status_code == 503
    assert not is_in(browser)
    assert browser.say(LeaseEvent.REMOVED).get_json() == {"alive": False}


def test_a_store_that_is_away_ends_nothing_and_is_said(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(browser.gateway.sessions, "lease_key", away)
        answer = browser.say(LeaseEvent.REMOVED)
    assert answer.status_code == 503
    assert answer.get_json()["error"] == ErrorCode.STORE_UNAVAILABLE
    assert is_in(browser)


def test_where_presence_is_off_no_lease_is_given(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("without")
    settings = make_settings(folder)
    presence = settings.presence.model_copy(update={"mode": "off"})
    gateway = make_gateway(folder, settings.model_copy(update={"presence": presence}))
    browser = gateway.browser()
    browser.log_in()
    assert browser.lease == ""
    gateway.clock.advance(3000)
    assert is_in(browser)


# --- what the person is told ---------------------------------------------------------------------

SENTENCES = {
    LeaseEvent.REMOVED: "Votre carte a été retirée\u00a0: la session est terminée.",
    LeaseEvent.BYE: "L’agent CPS a été arrêté\u00a0: la session est terminée.",
}
ENDED = "la session est terminée"


@pytest.mark.parametrize("event", SENTENCES)
def test_the_login_page_says_why_the_session_ended(browser: Browser, event: LeaseEvent) -> None:
    browser.say(event)
    for _ in range(2):
        assert SENTENCES[event] in browser.open("/_cps/login").text
    browser.log_in()
    assert ENDED not in browser.open("/_cps/login").text


def test_the_login_page_says_that_the_agent_was_not_heard(browser: Browser) -> None:
    browser.gateway.clock.advance(60)
    assert not is_in(browser)
    page = browser.open("/_cps/login", {"Accept-Language": "en"})
    assert "The connection to the CPS agent was lost: the session has ended." in page.text


def test_only_the_browser_whose_session_it_was_is_told(browser: Browser) -> None:
    browser.say(LeaseEvent.REMOVED)
    stranger = browser.gateway.browser()
    assert ENDED not in stranger.open("/_cps/login").text
    stranger.client.set_cookie(SESSION_COOKIE, "A" * 43, domain="portal.example", secure=True)
    assert ENDED not in stranger.open("/_cps/login").text


def test_a_living_session_is_not_called_ended(browser: Browser) -> None:
    assert ENDED not in browser.open("/_cps/login").text


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda b: b.submit("/_cps/logout"), id="logout"),
        pytest.param(lambda b: b.log_in(), id="replaced"),
    ],
)
def test_an_end_that_the_person_asked_for_is_not_told(
    browser: Browser, end: Callable[[Browser], object]
) -> None:
    cookie = browser.client.get_cookie(SESSION_COOKIE, domain="portal.example")
    assert cookie is not None
    end(browser)
    browser.client.set_cookie(SESSION_COOKIE, cookie.value, domain="portal.example", secure=True)
    assert not is_in(browser)
    assert ENDED not in browser.open("/_cps/login").text


def test_a_fetch_learns_a_code_and_no_reason(browser: Browser) -> None:
    browser.say(LeaseEvent.REMOVED)
    answer = browser.fetch("/_cps/session")
    assert answer.status_code == 401
    assert set(answer.get_json()) == {"error", "ref"}
    assert answer.get_json()["error"] == ErrorCode.SESSION_REQUIRED
