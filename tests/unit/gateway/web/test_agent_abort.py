"""The agent's word that a claimed login is over: who may say it, once, and who learns why."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.abort import ABORT_CODES, MAX_ABORT_MESSAGE_BYTES, AbortMessage
from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from tests.support.gateway_fakes import CLIENT, ORIGIN, Browser, FakedGateway

ABORT = "/_cps/agent/abort"


def status_of(browser: Browser, rid: str) -> dict[str, object]:
    members: dict[str, object] = browser.fetch(f"/_cps/login/status?r={rid}").get_json()
    return members


@pytest.mark.parametrize("code", sorted(ABORT_CODES))
def test_the_browser_that_began_learns_why(gateway: FakedGateway, code: ErrorCode) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    answer = gateway.give_up(rid, code)
    assert (answer.status_code, answer.get_json()) == (200, {"ended": True})
    assert status_of(browser, rid).items() >= {"state": "failed", "code": code}.items()
    (event,) = gateway.audit.named("login_aborted")
    assert event == {"rid": rid, "reason": code, "client": CLIENT}


def test_another_browser_learns_nothing(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    gateway.give_up(rid, ErrorCode.PIN_BLOCKED)
    stranger = gateway.browser()
    stranger.begin()
    assert status_of(stranger, rid)["error"] == "browser_mismatch"


def test_nothing_can_follow(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    gateway.give_up(rid, ErrorCode.PIN_CANCELLED)
    assert gateway.hand_in(rid).get_json()["error"] == "rid_used"
    assert gateway.claim(rid).get_json()["error"] == "rid_used"
    assert gateway.verifier.asked == []


def test_it_is_said_once(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    gateway.give_up(rid, ErrorCode.PIN_CANCELLED)
    assert gateway.give_up(rid, ErrorCode.PIN_BLOCKED).get_json()["error"] == "rid_unknown"
    assert status_of(browser, rid).items() >= {"state": "failed", "code": "pin_cancelled"}.items()


def test_another_key_than_the_claims_ends_nothing(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    stranger = ec.generate_private_key(ec.SECP256R1())
    forged = AbortMessage.signed(stranger, origin=ORIGIN, rid=rid, code=ErrorCode.PIN_WRONG)
    answer = gateway.post_json(ABORT, forged.to_json())
    assert (answer.status_code, answer.get_json()["error"]) == (403, "sig_invalid")
    assert status_of(browser, rid) == {"state": "claimed"}
    (refusal,) = gateway.audit.named("abort_refused")
    assert (refusal["rid"], refusal["reason"]) == (rid, "sig_invalid")


@pytest.mark.parametrize("verified", [False, True], ids=["unclaimed", "verified"])
def test_only_a_login_that_waits_for_its_token_can_be_given_up(
    gateway: FakedGateway, verified: bool
) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    if verified:
        gateway.code_for(rid)
    assert gateway.give_up(rid, ErrorCode.PIN_WRONG).get_json()["error"] == "rid_unknown"
    assert status_of(browser, rid) == {"state": "verified" if verified else "new"}


def test_a_login_that_expired_stays_expired(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    gateway.clock.advance(180)
    assert gateway.give_up(rid, ErrorCode.PIN_WRONG).get_json()["error"] == "rid_expired"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b'{"rid": "x"}', "request_malformed", id="another form"),
        pytest.param(b" " * (MAX_ABORT_MESSAGE_BYTES + 1), "request_too_large", id="too large"),
    ],
)
def test_another_body_is_refused_and_recorded(
    gateway: FakedGateway, body: bytes, error: str
) -> None:
    assert gateway.post_json(ABORT, body).get_json()["error"] == error
    assert gateway.audit.named("abort_refused")[-1]["reason"] == error


def test_a_browser_cannot_say_it(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    headers = {"Sec-Fetch-Mode": "cors"}
    assert gateway.post_json(ABORT, b"{}", headers).get_json()["error"] == "request_forbidden"


def test_a_refused_card_is_told_to_the_first_tab_too(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    gateway.verifier.decision = LoginRejectedError(ErrorCode.CERT_EXPIRED, "over")
    gateway.hand_in(rid)
    assert status_of(browser, rid).items() >= {"state": "failed", "code": "cert_expired"}.items()
