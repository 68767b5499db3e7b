"""A login that the agent begins: what it is answered, what it is bound to, what is refused."""

import json
from pathlib import Path

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode
from cps.authtoken.token import require_rid
from gateway.errors import StoreUnavailableError
from gateway.web.claim import MAX_CLAIM_BYTES
from tests.support.gateway_fakes import (
    CLIENT,
    ORIGIN,
    FakedGateway,
    agent_key,
    claim_members,
    make_gateway,
    make_settings,
)

BEGIN = "/_cps/agent/begin"


def begin_body(**changes: object) -> bytes:
    members = claim_members("A" * 22)
    del members["rid"]
    return json.dumps({**members, **changes}).encode()


def begin(gateway: FakedGateway) -> str:
    answer = gateway.post_json(BEGIN, begin_body())
    assert answer.status_code == 200, answer.text
    rid: str = answer.get_json()["rid"]
    return rid


def test_a_beginning_is_a_claim_at_once(gateway: FakedGateway) -> None:
    body = gateway.post_json(BEGIN, begin_body()).get_json()
    members = {"v", "rid", "nonce", "origin", "label", "alg", "expires_in", "min_agent"}
    assert set(body) == members
    assert require_rid(body["rid"]) == body["rid"]
    assert len(b64url_decode(body["nonce"])) == 32
    assert (body["v"], body["origin"], body["expires_in"]) == (1, ORIGIN, 180)
    assert gateway.challenges.claimant(body["rid"]) == agent_key()


def test_it_is_recorded_with_the_agent_and_never_with_the_nonce(gateway: FakedGateway) -> None:
    body = gateway.post_json(BEGIN, begin_body()).get_json()
    (event,) = gateway.audit.named("login_begun")
    assert event == {
        "rid": body["rid"],
        "agent": "cps-agent",
        "agent_version": "0.1.0",
        "system": "Linux",
        "client": CLIENT,
    }
    assert body["nonce"] not in repr(gateway.audit.events)


def test_what_an_agent_began_is_for_no_other_to_claim(gateway: FakedGateway) -> None:
    rid = begin(gateway)
    answer = gateway.claim(rid)
    assert answer.get_json()["error"] == "rid_used"
    assert "nonce" not in answer.text


def test_the_token_is_verified_as_ever_and_answered_with_code_and_lease(
    gateway: FakedGateway,
) -> None:
    rid = begin(gateway)
    answer = gateway.hand_in(rid)
    assert set(answer.get_json()) == {"code", "lease"}
    ((token, challenge, _),) = gateway.verifier.asked
    assert (token.rid, challenge.rid, challenge.agent_key) == (rid, rid, agent_key())
    assert gateway.hand_in(rid).get_json()["error"] == "rid_used"


def test_it_can_be_given_up(gateway: FakedGateway) -> None:
    rid = begin(gateway)
    assert gateway.give_up(rid, ErrorCode.PIN_CANCELLED).status_code == 200
    assert gateway.hand_in(rid).get_json()["error"] == "rid_used"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "request_malformed", id="empty"),
        pytest.param(b"[]", "request_malformed", id="no object"),
        pytest.param(begin_body(rid="A" * 22), "request_malformed", id="a rid of its own"),
        pytest.param(begin_body(origin=ORIGIN), "request_malformed", id="unknown member"),
        pytest.param(b'{"v":1,' + begin_body()[1:], "request_malformed", id="member twice"),
        pytest.param(begin_body(v=2), "request_malformed", id="another version"),
        pytest.param(begin_body(jwk=None), "request_malformed", id="no key"),
        pytest.param(begin_body(agent={}), "request_malformed", id="no agent"),
        pytest.param(
            begin_body(agent={"name": "cps", "version": "0.0.9", "os": "Linux"}),
            "agent_too_old",
            id="old agent",
        ),
        pytest.param(b" " * MAX_CLAIM_BYTES + begin_body(), "request_too_large", id="too large"),
    ],
)
def test_another_form_begins_nothing(gateway: FakedGateway, body: bytes, code: str) -> None:
    assert gateway.post_json(BEGIN, body).get_json()["error"] == code
    assert gateway.audit.named("login_begun") == []
    assert gateway.audit.named("login_refused")[-1]["reason"] == code


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": ORIGIN}, id="our own page"),
        pytest.param({"Origin": "https://evil.example"}, id="another page"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="fetch metadata"),
        pytest.param({"Content-Type": "text/plain"}, id="a form's content type"),
    ],
)
def test_no_browser_begins_for_the_agent(gateway: FakedGateway, headers: dict[str, str]) -> None:
    assert gateway.post_json(BEGIN, begin_body(), headers).status_code in (400, 403)
    assert gateway.audit.named("login_begun") == []


def test_where_nothing_can_be_recorded_nothing_begins(gateway: FakedGateway) -> None:
    gateway.audit.failure = StoreUnavailableError("full")
    answer = gateway.post_json(BEGIN, begin_body())
    assert answer.status_code == 503
    assert "nonce" not in answer.text


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    login = settings.login.model_copy(update={"from_agent": False})
    gateway = make_gateway(tmp_path, settings.model_copy(update={"login": login}))
    assert gateway.post_json(BEGIN, begin_body()).status_code == 404
    browser = gateway.browser()
    assert browser.open("/_cps/start").status_code == 404
    for path in ("/_cps/start", "/_cps/start/answer"):
        assert browser.client.post(path, base_url=ORIGIN).status_code == 404
    assert "clic droit" not in browser.open("/_cps/login").text


def test_beginnings_count_as_claims(tmp_path: Path) -> None:
    rate = {f"{kind}_per_minute": 2 for kind in ("login", "claim", "token", "lease", "identity")}
    gateway = make_gateway(tmp_path, make_settings(tmp_path, rate=rate))
    answers = [gateway.post_json(BEGIN, begin_body()).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
