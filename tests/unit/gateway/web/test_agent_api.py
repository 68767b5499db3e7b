"""Claim and token: what they answer, what they refuse, and what a refusal ends."""

import hashlib
import io
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import create_environ
from werkzeug.wrappers import Response

from cps.authtoken.abort import MAX_ABORT_MESSAGE_BYTES
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode
from cps.authtoken.lease import MAX_LEASE_MESSAGE_BYTES
from cps.authtoken.token import MAX_TOKEN_BYTES
from gateway.errors import HTTP_STATUS, LoginRejectedError, StoreUnavailableError
from gateway.identity import VerifiedIdentity
from gateway.login.challenge import ChallengeState
from gateway.web.claim import MAX_CLAIM_BYTES
from tests.support.gateway_fakes import (
    CLIENT,
    NOW,
    ORIGIN,
    TEST_PERSON,
    FakeClock,
    FakedGateway,
    agent_key,
    claim_body,
    login_token,
)

CLAIM = "/_cps/agent/claim"
TOKEN = "/_cps/agent/token"
LEASE = "/_cps/agent/lease"
ABORT = "/_cps/agent/abort"
UNKNOWN_RID = "A" * 22


def refused(answer: Response) -> str:
    """Return the code of a refusal in the agent's form."""
    assert answer.mimetype == "application/json"
    body = json.loads(answer.get_data())
    assert set(body) == {"error", "ref"}
    assert answer.status_code == HTTP_STATUS[ErrorCode(body["error"])]
    code: str = body["error"]
    return code


def last_refusal(gateway: FakedGateway) -> dict[str, object]:
    return dict(gateway.audit.named("login_refused")[-1])


# --- claim ---------------------------------------------------------------------------------------


def test_claim_hands_out_the_nonce_and_what_the_agent_must_show(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.clock.advance(10.2)
    answer = gateway.claim(rid)
    assert answer.status_code == 200
    body = answer.get_json()
    assert set(body) == {"v", "nonce", "origin", "label", "alg", "expires_in", "min_agent"}
    assert len(b64url_decode(body["nonce"])) == 32
    assert (body["v"], body["origin"], body["label"]) == (1, ORIGIN, "Portail <d'essai>")
    assert (body["alg"], body["expires_in"], body["min_agent"]) == (["RS256"], 169, "0.1.0")


def test_claim_is_recorded_with_the_agent_and_never_with_the_nonce(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    nonce = gateway.claim(rid).get_json()["nonce"]
    (event,) = gateway.audit.named("login_claimed")
    assert event == {
        "rid": rid,
        "agent": "cps-agent",
        "agent_version": "0.1.0",
        "system": "Linux",
        "client": CLIENT,
    }
    assert nonce not in repr(gateway.audit.events)


def test_nonces_of_two_logins_differ(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    nonces = {gateway.claim(browser.begin()).get_json()["nonce"] for _ in range(3)}
    assert len(nonces) == 3


def test_second_claim_is_refused_and_gets_no_nonce(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    answer = gateway.claim(rid)
    assert refused(answer) == "rid_used"
    assert "nonce" not in answer.text


def test_of_parallel_claims_one_wins(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    start = threading.Barrier(4)
    statuses: list[int] = []

    def claim() -> None:
        start.wait()
        statuses.append(gateway.claim(rid).status_code)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409, 409, 409]


def test_claim_of_an_unknown_login_is_refused(gateway: FakedGateway) -> None:
    assert refused(gateway.claim(UNKNOWN_RID)) == "rid_unknown"


def test_claim_of_an_expired_login_is_refused(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.clock.advance(181)
    assert refused(gateway.claim(rid)) == "rid_expired"


def test_claim_by_an_old_agent_is_refused_and_leaves_the_login_to_a_new_one(
    gateway: FakedGateway,
) -> None:
    rid = gateway.browser().begin()
    old = {"name": "cps-agent", "version": "0.0.9", "os": "Linux"}
    answer = gateway.post_json(CLAIM, claim_body(rid, agent=old))
    assert refused(answer) == "agent_too_old"
    assert gateway.claim(rid).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"v": 2}, id="another version"),
        pytest.param({"rid": "short"}, id="rid of another form"),
        pytest.param({"jwk": {}}, id="no key"),
        pytest.param({"extra": 1}, id="unknown member"),
    ],
)
def test_malformed_claim_is_refused_and_ends_nothing(
    gateway: FakedGateway, change: dict[str, object]
) -> None:
    rid = gateway.browser().begin()
    answer = gateway.post_json(CLAIM, claim_body(rid, **change))
    assert refused(answer) == "request_malformed"
    assert gateway.claim(rid).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'{"v":1,"v":1}', id="repeated member"),
        pytest.param(b'{"v":NaN}', id="NaN"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param("{}".encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" * 1500, id="deep nesting"),
    ],
)
def test_claim_that_is_not_strict_json_is_refused(gateway: FakedGateway, body: bytes) -> None:
    assert refused(gateway.post_json(CLAIM, body)) == "request_malformed"


# --- every request -------------------------------------------------------------------------------

every = pytest.mark.parametrize(
    "path", [CLAIM, TOKEN, LEASE, ABORT], ids=["claim", "token", "lease", "abort"]
)


@every
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json, text/plain",
        "",
    ],
)
def test_another_content_type_is_refused_unread(
    gateway: FakedGateway, path: str, content_type: str
) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    answer = gateway.post_json(path, login_token(rid).to_json(), {"Content-Type": content_type})
    assert refused(answer) == "request_malformed"
    assert gateway.hand_in(rid).status_code == 200


@every
@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"Origin": ORIGIN}, id="Origin, even ours"),
        pytest.param({"Origin": "null"}, id="Origin null"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="Sec-Fetch-Site"),
        pytest.param({"Sec-Fetch-Mode": "cors"}, id="Sec-Fetch-Mode"),
        pytest.param({"Sec-Fetch-Storage-Access": "none"}, id="a later Sec-Fetch header"),
    ],
)
def test_a_browser_cannot_speak_for_the_agent(
    gateway: FakedGateway, path: str, header: dict[str, str]
) -> None:
    rid = gateway.browser().begin()
    answer = gateway.post_json(path, claim_body(rid), header)
    assert refused(answer) == "request_forbidden"
    assert gateway.claim(rid).status_code == 200


@every
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_answered_and_never_with_cors(
    gateway: FakedGateway, path: str, method: str
) -> None:
    answer = gateway.app.test_client().open(path, method=method, base_url=ORIGIN)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


LIMITS = pytest.mark.parametrize(
    ("path", "limit"),
    [
        pytest.param(CLAIM, MAX_CLAIM_BYTES, id="claim"),
        pytest.param(TOKEN, MAX_TOKEN_BYTES, id="token"),
        pytest.param(LEASE, MAX_LEASE_MESSAGE_BYTES, id="lease"),
        pytest.param(ABORT, MAX_ABORT_MESSAGE_BYTES, id="abort"),
    ],
)


@LIMITS
def test_body_past_the_limit_is_refused_by_its_length(
    gateway: FakedGateway, path: str, limit: int
) -> None:
    assert refused(gateway.post_json(path, b" " * (limit + 1))) == "request_too_large"
    assert refused(gateway.post_json(path, b" " * limit)) != "request_too_large"


class EndlessBody(io.RawIOBase):
    """A body without a length that never ends; counts what was read of it."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # typeshed wants a mutable Buffer
        self.taken += len(buffer)
        buffer[:] = b" " * len(buffer)
        return len(buffer)


def post_without_length(gateway: FakedGateway, path: str, environ: dict[str, Any]) -> Response:
    """Post a body of which the request does not tell the length."""
    sent = create_environ(path, ORIGIN, method="POST", headers={"Content-Type": "application/json"})
    assert "CONTENT_LENGTH" not in sent
    return Response.from_app(gateway.app, {**sent, **environ})


@LIMITS
def test_body_without_a_length_is_read_no_further_than_the_limit(
    gateway: FakedGateway, path: str, limit: int
) -> None:
    body = EndlessBody()
    framed = {"wsgi.input": body, "wsgi.input_terminated": True}
    assert refused(post_without_length(gateway, path, framed)) == "request_too_large"
    assert body.taken <= limit + 1


def test_body_without_a_length_counts_as_empty_where_the_server_did_not_frame_it(
    gateway: FakedGateway,
) -> None:
    rid = gateway.browser().begin()
    answer = post_without_length(gateway, CLAIM, {"wsgi.input": io.BytesIO(claim_body(rid))})
    assert refused(answer) == "request_malformed"


class SlowBody(io.BytesIO):
    """A body that takes longer to arrive than a login may last."""

    def __init__(self, body: bytes, clock: FakeClock) -> None:
        super().__init__(body)
        self._clock = clock

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # typeshed wants a mutable Buffer
        self._clock.advance(200)
        return super().readinto(buffer)


def test_body_that_comes_too_slowly_cannot_outlast_the_login(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    body = SlowBody(claim_body(rid), gateway.clock)
    framed = {"wsgi.input": body, "wsgi.input_terminated": True}
    assert refused(post_without_length(gateway, CLAIM, framed)) == "rid_expired"


def test_cookies_of_a_browser_mean_nothing_to_the_agent_api(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    twice = "__Host-cps-login=a; __Host-cps-login=b"
    assert gateway.post_json(CLAIM, claim_body(rid), {"Cookie": twice}).status_code == 200


# --- token ---------------------------------------------------------------------------------------


def test_good_token_gets_a_code_and_a_lease(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    answer = gateway.hand_in(rid)
    assert answer.status_code == 200
    assert set(answer.get_json()) == {"code", "lease"}
    assert len(answer.get_json()["code"]) == 43
    lease = answer.get_json()["lease"]
    assert set(lease) == {"id", "heartbeat", "grace"}
    assert len(b64url_decode(lease["id"])) == 16
    assert (lease["heartbeat"], lease["grace"]) == (20, 60)


def test_verifier_decides_on_what_the_store_holds_and_on_one_instant(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    nonce = gateway.claim(rid).get_json()["nonce"]
    gateway.hand_in(rid)
    ((token, challenge, now),) = gateway.verifier.asked
    assert token == login_token(rid)
    assert (challenge.rid, bytes(challenge.nonce)) == (rid, b64url_decode(nonce))
    assert challenge.agent_key == agent_key()
    assert now == NOW


def test_accepted_login_is_recorded_with_person_card_and_client(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    code = gateway.code_for(rid)
    (event,) = gateway.audit.named("login_accepted")
    assert event == {
        "rid": rid,
        "national_id": TEST_PERSON.national_id,
        "card_type": "CPS",
        "card_number": TEST_PERSON.card_number,
        "certificate_serial": TEST_PERSON.certificate_serial,
        **digests(rid),
        "upn_mismatch": None,
        "revocation": "list",
        "agent_version": "0.1.0",
        "interface": "contact",
        "atr": "3BAC00402A001225006480000310009000",
        "client": CLIENT,
    }
    assert code not in repr(gateway.audit.events)


def digests(rid: str) -> dict[str, str]:
    """Return by what the record knows the token that is handed in for *rid* again."""
    token = login_token(rid)
    return {
        "token_sha256": hashlib.sha256(token.to_json()).hexdigest(),
        "certificate_sha256": hashlib.sha256(token.unverified_certificate).hexdigest(),
    }


def test_what_is_no_token_is_recorded_with_its_digest_alone(gateway: FakedGateway) -> None:
    gateway.post_json("/_cps/agent/token", b"{}")
    refusal = last_refusal(gateway)
    assert refusal["token_sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert "certificate_sha256" not in refusal


def test_token_for_an_unclaimed_login_is_refused_undecided(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    assert refused(gateway.hand_in(rid)) == "rid_unknown"
    assert gateway.verifier.asked == []


def test_token_for_an_expired_login_is_refused_undecided(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    gateway.clock.advance(181)
    assert refused(gateway.hand_in(rid)) == "rid_expired"
    assert gateway.verifier.asked == []


def test_second_token_is_refused_undecided(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    gateway.code_for(rid)
    assert refused(gateway.hand_in(rid)) == "rid_used"
    assert len(gateway.verifier.asked) == 1


REASONS_OF_THE_VERIFIER = [
    ErrorCode.CARD_CONTACTLESS,
    ErrorCode.CERT_MALFORMED,
    ErrorCode.CERT_EXPIRED,
    ErrorCode.CERT_NOT_YET,
    ErrorCode.CERT_UNTRUSTED,
    ErrorCode.CERT_PURPOSE,
    ErrorCode.CERT_POLICY,
    ErrorCode.CERT_TYPE,
    ErrorCode.CERT_REVOKED,
    ErrorCode.REVOCATION_UNAVAILABLE,
    ErrorCode.SIG_INVALID,
    ErrorCode.NOT_AUTHORISED,
]


@pytest.mark.parametrize("reason", REASONS_OF_THE_VERIFIER)
def test_refusal_tells_the_agent_the_code_and_the_log_the_detail(
    gateway: FakedGateway, reason: ErrorCode
) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    gateway.verifier.decision = LoginRejectedError(reason, "the detail for the log")
    answer = gateway.hand_in(rid)
    assert refused(answer) == reason
    assert "detail" not in answer.text
    assert last_refusal(gateway) == {
        "rid": rid,
        "reason": reason,
        "detail": "the detail for the log",
        "ref": answer.get_json()["ref"],
        "client": CLIENT,
        **digests(rid),
    }


def retried(gateway: FakedGateway, rid: str) -> str:
    """Return the code with which a good token is refused after a failure."""
    gateway.verifier.decision = TEST_PERSON
    return refused(gateway.hand_in(rid))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(LoginRejectedError(ErrorCode.SIG_INVALID, "x"), 403, id="refusal"),
        pytest.param(StoreUnavailableError("away"), 503, id="store away"),
        pytest.param(RuntimeError("a defect"), 500, id="defect"),
    ],
)
def test_any_failure_after_the_token_was_taken_ends_the_login(
    gateway: FakedGateway, error: Exception, status: int
) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    gateway.verifier.decision = error
    assert gateway.hand_in(rid).status_code == status
    state = gateway.challenges.state(rid, browser.login_hash(), now=gateway.clock())
    assert state is ChallengeState.FAILED
    assert retried(gateway, rid) == "rid_used"


def test_login_that_cannot_be_recorded_is_not_accepted(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    rid = browser.begin()
    gateway.claim(rid)
    gateway.audit.failure = StoreUnavailableError("disk full")
    answer = gateway.hand_in(rid)
    assert refused(answer) == "store_unavailable"
    assert "code" not in answer.get_json()
    state = gateway.challenges.state(rid, browser.login_hash(), now=gateway.clock())
    assert state is ChallengeState.FAILED


def _with(**changes: object) -> Callable[[str], bytes]:
    return lambda rid: json.dumps({**json.loads(login_token(rid).to_json()), **changes}).encode()


def _repeated(rid: str) -> bytes:
    return login_token(rid).to_json().replace(b"{", b'{"format":"cps-gateway:1",', 1)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(_with(format="cps-gateway:2"), id="another version"),
        pytest.param(_with(format="web-eid:1.0"), id="another format"),
        pytest.param(_with(origin="https://evil.example"), id="unknown member"),
        pytest.param(_with(algorithm="none"), id="algorithm none"),
        pytest.param(_with(algorithm=""), id="algorithm empty"),
        pytest.param(_with(algorithm="HS256"), id="algorithm HS256"),
        pytest.param(_with(signature=""), id="no signature"),
        pytest.param(_with(unverified_certificate=None), id="no certificate"),
        pytest.param(_with(unverified_certificate=[]), id="certificate an array"),
        pytest.param(_with(unverified_certificate="!"), id="certificate not base64"),
        pytest.param(_with(card={}), id="card without facts"),
    ],
)
def test_malformed_token_ends_the_login_that_it_names(
    gateway: FakedGateway, make: Callable[[str], bytes]
) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    assert refused(gateway.post_json(TOKEN, make(rid))) == "token_malformed"
    assert last_refusal(gateway)["rid"] == rid
    assert refused(gateway.hand_in(rid)) == "rid_used"
    assert gateway.verifier.asked == []


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"null", id="null"),
        pytest.param(lambda _: b'"null"', id="null as text"),
        pytest.param(
            lambda rid: b"\xef\xbb\xbf" + login_token(rid).to_json(), id="byte order mark"
        ),
        pytest.param(lambda rid: login_token(rid).to_json()[:-1], id="truncated"),
        pytest.param(lambda rid: login_token(rid).to_json() + b"{}", id="two objects"),
        pytest.param(_repeated, id="repeated member"),
        pytest.param(_with(rid=7), id="rid a number"),
        pytest.param(_with(rid="A" * 21), id="rid too short"),
        pytest.param(_with(rid="A" * 23), id="rid too long"),
    ],
)
def test_token_that_names_no_login_ends_none(
    gateway: FakedGateway, make: Callable[[str], bytes]
) -> None:
    rid = gateway.browser().begin()
    gateway.claim(rid)
    assert refused(gateway.post_json(TOKEN, make(rid))) == "token_malformed"
    assert last_refusal(gateway)["rid"] is None
    assert gateway.hand_in(rid).status_code == 200


def test_store_that_is_away_answers_503_and_says_so_in_the_record(
    gateway: FakedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> VerifiedIdentity:
        raise StoreUnavailableError("no answer")

    rid = gateway.browser().begin()
    monkeypatch.setattr(gateway.challenges, "claim", away)
    assert refused(gateway.claim(rid)) == "store_unavailable"
    assert last_refusal(gateway)["reason"] == "store_unavailable"
