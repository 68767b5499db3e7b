"""What programs ask: the relay for the way to the login page, the portal for the keys."""

import json

import pytest
from werkzeug.test import TestResponse

from tests.support.gateway_fakes import CLIENT, ORIGIN, FakedGateway


def enter(gateway: FakedGateway, target: object) -> TestResponse:
    body = json.dumps({"target": target, "client": CLIENT}).encode()
    return gateway.post_json("/_cps/internal/enter", body, {})


def test_relay_gets_a_login_page_that_leads_back(gateway: FakedGateway) -> None:
    answer = enter(gateway, "/dossiers?page=2")
    assert answer.status_code == 200
    location = answer.get_json()["location"]
    assert location.startswith("/_cps/login?t=")
    assert "dossiers" not in location
    browser = gateway.browser()
    code = gateway.code_for(browser.begin(location))
    back = browser.open(f"/_cps/callback?code={code}")
    assert back.headers["Location"] == f"{ORIGIN}/dossiers?page=2"


@pytest.mark.parametrize(
    "target", ["/", "//evil.example", "/_cps/logout", "evil", "", "/" + "a" * 5000]
)
def test_start_page_needs_no_target_and_neither_does_what_is_not_one(
    gateway: FakedGateway, target: str
) -> None:
    assert enter(gateway, target).get_json() == {"location": "/_cps/login"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"target":7,"client":"192.0.2.1"}', id="number"),
        pytest.param(b'{"target":"/","client":7}', id="number for an address"),
        pytest.param(b'{"target":"/"}', id="no address"),
        pytest.param(b"{}", id="nothing"),
        pytest.param(b'{"target":"/","client":"192.0.2.1","to":"/"}', id="unknown member"),
        pytest.param(b"/", id="not JSON"),
    ],
)
def test_another_form_is_refused(gateway: FakedGateway, body: bytes) -> None:
    answer = gateway.post_json("/_cps/internal/enter", body, {})
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "request_malformed"


@pytest.mark.parametrize("name", ["Origin", "Sec-Fetch-Site", "X-CPS-Client"])
def test_outside_is_refused(gateway: FakedGateway, name: str) -> None:
    answer = gateway.post_json("/_cps/internal/enter", b'{"target":"/a"}', {name: "same-origin"})
    assert answer.status_code == 403


def test_body_past_the_limit_is_refused(gateway: FakedGateway) -> None:
    assert gateway.post_json("/_cps/internal/enter", b" " * 100_001, {}).status_code == 413


def test_keys_are_public_for_a_while(gateway: FakedGateway) -> None:
    answer = gateway.app.test_client().get("/_cps/.well-known/jwks.json", base_url=ORIGIN)
    assert answer.get_json() == {"keys": [{"kty": "EC", "kid": "test"}]}
    assert answer.headers["Cache-Control"] == "public, max-age=300"
