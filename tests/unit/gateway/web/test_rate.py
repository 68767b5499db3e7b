import json
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError, StoreUnavailableError
from gateway.settings import RateSettings
from gateway.web.failures import DECISIONS
from gateway.web.rate import KINDS, network_of
from tests.support.gateway_fakes import (
    CLIENT,
    ORIGIN,
    FakedGateway,
    claim_body,
    make_gateway,
    make_settings,
)

OTHER = "192.0.2.8"
LIMITS = {
    "login_per_minute": 4,
    "claim_per_minute": 3,
    "token_per_minute": 3,
    "lease_per_minute": 5,
    "identity_per_minute": 2,
}


@pytest.fixture
def gateway(tmp_path: Path) -> FakedGateway:
    return make_gateway(tmp_path, make_settings(tmp_path, rate=LIMITS))


def ask(gateway: FakedGateway, kind: str, address: str | None = CLIENT) -> TestResponse:
    """Make one request of that kind, from *address*, that gets no further than it must."""
    headers = {} if address is None else {"X-CPS-Client": address}
    if kind in ("login", "callback"):
        path = "/_cps/login" if kind == "login" else f"/_cps/callback?code={'A' * 43}"
        return gateway.app.test_client().get(path, headers=headers, base_url=ORIGIN)
    if kind == "enter":
        body = json.dumps({"target": "/page", "client": address or ""}).encode()
        return gateway.post_json("/_cps/internal/enter", body, {})
    return gateway.post_json(f"/_cps/agent/{kind}", b"{}", headers)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("login", 4), ("claim", 3), ("token", 3), ("lease", 5), ("callback", 3), ("enter", 4)],
)
def test_past_its_limit_an_address_waits_for_the_next_minute(
    gateway: FakedGateway, kind: str, limit: int
) -> None:
    gateway.clock.advance(12.5)
    for _ in range(limit):
        assert ask(gateway, kind).status_code != 429
    refused = ask(gateway, kind)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "48"
    assert ask(gateway, kind, OTHER).status_code != 429
    gateway.clock.advance(48)
    assert ask(gateway, kind).status_code != 429


def test_each_kind_has_its_own_count(gateway: FakedGateway) -> None:
    for _ in range(5):
        ask(gateway, "login")
    assert ask(gateway, "claim").status_code != 429


def test_a_person_reads_what_to_do(gateway: FakedGateway) -> None:
    browser = gateway.browser()
    for _ in range(4):
        browser.begin()
    answer = browser.open("/_cps/login")
    assert answer.status_code == 429
    assert "Attendez une minute" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_agent_reads_the_code(gateway: FakedGateway) -> None:
    for _ in range(3):
        ask(gateway, "claim")
    assert ask(gateway, "claim").get_json()["error"] == ErrorCode.TOO_MANY_REQUESTS


def test_nothing_of_a_refused_request_is_done(gateway: FakedGateway) -> None:
    rid = gateway.browser().begin()
    for _ in range(3):
        ask(gateway, "claim")
    assert gateway.claim(rid).status_code == 429
    other = gateway.post_json("/_cps/agent/claim", claim_body(rid), {"X-CPS-Client": OTHER})
    assert other.status_code == 200


def test_a_flood_leaves_one_audit_line_a_minute(gateway: FakedGateway) -> None:
    for _ in range(50):
        ask(gateway, "claim")
    assert gateway.audit.named("rate_limited") == [
        {"kind": "claim", "client": CLIENT, "per_minute": 3}
    ]
    assert len(gateway.audit.named("login_refused")) == 3
    gateway.clock.advance(60)
    for _ in range(50):
        ask(gateway, "claim")
    assert len(gateway.audit.named("rate_limited")) == 2


def test_a_flood_of_made_up_codes_does_not_fill_the_disk(gateway: FakedGateway) -> None:
    for _ in range(50):
        ask(gateway, "callback")
    assert len(gateway.audit.named("login_refused")) == 3
    assert len(gateway.audit.named("rate_limited")) == 1


def test_a_flood_of_pages_of_the_portal_does_not_push_out_where_others_return_to(
    tmp_path: Path,
) -> None:
    settings = make_settings(tmp_path, rate={"login_per_minute": 50})
    few = settings.login.model_copy(update={"targets": 100})
    gateway = make_gateway(tmp_path, settings.model_copy(update={"login": few}))
    location = ask(gateway, "enter", OTHER).get_json()["location"]
    for _ in range(200):
        ask(gateway, "enter")
    browser = gateway.browser()
    code = gateway.code_for(browser.begin(location))
    assert browser.open(f"/_cps/callback?code={code}").headers["Location"] == f"{ORIGIN}/page"


def test_all_of_which_a_refusal_is_recorded_is_counted(gateway: FakedGateway) -> None:
    paths = {rule.endpoint: rule.rule for rule in gateway.app.url_map.iter_rules()}
    assert {paths[view] for view in DECISIONS if view is not None} <= KINDS.keys()


def test_logins_end_as_often_as_signatures_are_handed_in(gateway: FakedGateway) -> None:
    for _ in range(2):
        assert gateway.browser().log_in().status_code == 303
    ask(gateway, "callback")
    assert ask(gateway, "callback").status_code == 429


def test_a_flood_that_cannot_be_recorded_is_refused(gateway: FakedGateway) -> None:
    gateway.audit.failure = StoreUnavailableError("full")
    assert {ask(gateway, "login").status_code for _ in range(4)} == {200}
    assert ask(gateway, "login").status_code == 503
    assert ask(gateway, "login").status_code == 429


def test_one_person_is_let_in_only_so_often(gateway: FakedGateway) -> None:
    for number in range(3):
        rid = gateway.browser().begin()
        gateway.claim(rid)
        answer = gateway.hand_in(rid)
        assert answer.status_code == (200 if number < 2 else 429), answer.text
    assert answer.get_json()["error"] == ErrorCode.TOO_MANY_REQUESTS
    assert int(answer.headers["Retry-After"]) == 60
    (refused,) = gateway.audit.named("login_refused")
    assert refused["reason"] == ErrorCode.TOO_MANY_REQUESTS
    assert refused["rid"] == rid
    # The login that was refused has ended.
    gateway.clock.advance(60)
    assert gateway.hand_in(rid).get_json()["error"] == ErrorCode.RID_USED


def test_refused_signatures_do_not_use_up_a_persons_logins(gateway: FakedGateway) -> None:
    decision = gateway.verifier.decision
    gateway.verifier.decision = LoginRejectedError(ErrorCode.SIG_INVALID, "forged")
    for _ in range(3):
        rid = gateway.browser().begin()
        gateway.post_json("/_cps/agent/claim", claim_body(rid), {"X-CPS-Client": OTHER})
        gateway.hand_in(rid)
    gateway.verifier.decision = decision
    gateway.clock.advance(60)
    gateway.code_for(gateway.browser().begin())


@pytest.mark.parametrize(
    "path", ["/_cps/session", "/_cps/login/status?r=x", "/_cps/static/login.js", "/_cps/logout"]
)
def test_what_open_sessions_use_is_not_counted(gateway: FakedGateway, path: str) -> None:
    client = gateway.app.test_client()
    for _ in range(10):
        answer = client.get(path, headers={"X-CPS-Client": CLIENT}, base_url=ORIGIN)
        assert answer.status_code != 429
        answer.close()


def test_requests_without_an_address_are_counted_together(gateway: FakedGateway) -> None:
    statuses = [ask(gateway, "login", None).status_code for _ in range(3)]
    statuses += [ask(gateway, "login", "nonsense").status_code for _ in range(3)]
    assert statuses == [200] * 4 + [429] * 2


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        (None, "unknown"),
    ],
    ids=["IPv4", "IPv4 in IPv6", "IPv6", "IPv6 network", "none"],
)
def test_who_is_counted_together(address: str | None, counted: str) -> None:
    assert network_of(address) == counted


@pytest.mark.parametrize(
    "path",
    [
        "/_cps//login",
        "/_cps/login/",
        "/_cps/./login",
        "/_cps/LOGIN",
        "/_cps/agent/claim/",
        "//_cps/login",
    ],
)
def test_no_other_spelling_leads_to_a_view_uncounted(gateway: FakedGateway, path: str) -> None:
    for method in ("GET", "POST"):
        answer = gateway.app.test_client().open(path, method=method, base_url=ORIGIN)
        assert answer.status_code == 404


def test_a_path_written_otherwise_is_counted_with_it(gateway: FakedGateway) -> None:
    headers = {"X-CPS-Client": CLIENT}
    for _ in range(4):
        gateway.app.test_client().get("/_cps/%6cogin", headers=headers, base_url=ORIGIN)
    assert ask(gateway, "login").status_code == 429


def test_every_limit_has_its_paths_or_is_a_persons() -> None:
    limits = {f"{kind}_per_minute" for kind in KINDS.values()} | {"identity_per_minute"}
    # As many logins may end as signatures are handed in.
    assert limits - {"callback_per_minute"} == set(RateSettings.model_fields)
