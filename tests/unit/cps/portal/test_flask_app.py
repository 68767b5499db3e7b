import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from cps.portal.assertion import AssertionVerifier
from cps.portal.errors import KeysUnavailableError
from cps.portal.flask_app import require_assertion
from cps.portal.keys import Fetch, KeySource
from tests.support.assertions import AUDIENCE, GATEWAY, NOW, Issuer


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def portal(fetch: Fetch) -> FlaskClient:
    app = Flask("portal")
    keys = KeySource(fetch)
    require_assertion(app, AssertionVerifier(GATEWAY, AUDIENCE, keys=keys, clock=lambda: NOW))

    @app.get("/")
    def page() -> str:
        return str(g.professional.family_name)

    return app.test_client()


def test_a_view_knows_the_person(issuer: Issuer) -> None:
    answer = portal(issuer.key_set).get("/", headers={"X-CPS-Assertion": issuer.sign()})
    assert (answer.status_code, answer.text) == (200, "ESSAI")


@pytest.mark.parametrize("path", ["/", "/static/x.css", "/none"])
def test_no_path_is_open(issuer: Issuer, path: str) -> None:
    answer = portal(issuer.key_set).get(path, headers={"X-CPS-Subject": "899900000017"})
    assert answer.status_code == 403
    assert "carte CPS" in answer.text


def test_keys_away_is_503(issuer: Issuer) -> None:
    def away() -> bytes:
        raise KeysUnavailableError("away")

    headers = {"X-CPS-Assertion": issuer.sign(), "Accept-Language": "en"}
    answer = portal(away).get("/", headers=headers)
    assert answer.status_code == 503
    assert "cannot be checked" in answer.text
