from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from werkzeug.test import Client

from cps.portal.assertion import AssertionVerifier
from cps.portal.errors import KeysUnavailableError
from cps.portal.keys import KeySource
from cps.portal.wsgi import PROFESSIONAL, AssertionMiddleware
from tests.support.assertions import AUDIENCE, GATEWAY, NOW, Issuer


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def seen() -> list[WSGIEnvironment]:
    return []


@pytest.fixture
def middleware(issuer: Issuer, seen: list[WSGIEnvironment]) -> AssertionMiddleware:
    def portal(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return [environ[PROFESSIONAL].family_name.encode()]

    keys = KeySource(issuer.key_set)
    return AssertionMiddleware(
        portal, AssertionVerifier(GATEWAY, AUDIENCE, keys=keys, clock=lambda: NOW)
    )


def test_the_portal_sees_the_person(
    middleware: AssertionMiddleware, issuer: Issuer, seen: list[WSGIEnvironment]
) -> None:
    answer = Client(middleware).get("/", headers={"X-CPS-Assertion": issuer.sign()})
    assert (answer.status_code, answer.text) == (200, "ESSAI")
    assert seen[0]["REMOTE_USER"] == "899900000017"


def test_headers_that_nobody_signed_do_not_reach_the_portal(
    middleware: AssertionMiddleware, issuer: Issuer, seen: list[WSGIEnvironment]
) -> None:
    headers = {"X-CPS-Assertion": issuer.sign(), "X-CPS-Subject": "1", "x_cps_name": "2"}
    Client(middleware).get("/", headers=headers)
    assert not [name for name in seen[0] if name.startswith("HTTP_X_CPS_")]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"X-CPS-Assertion": "forged"}, id="forged"),
        pytest.param({"X-CPS-Subject": "899900000017"}, id="bare header"),
    ],
)
def test_others_do_not_come_in(
    middleware: AssertionMiddleware, seen: list[WSGIEnvironment], headers: dict[str, str]
) -> None:
    environ = {"REMOTE_USER": "899900000017", PROFESSIONAL: object()}
    answer = Client(middleware).get("/", headers=headers, environ_overrides=environ)
    assert answer.status_code == 403
    assert "carte CPS" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert seen == []


def test_a_refusal_is_in_the_persons_language(middleware: AssertionMiddleware) -> None:
    answer = Client(middleware).get("/", headers={"Accept-Language": "en"})
    assert "CPS card" in answer.text


def test_head_gets_no_body(middleware: AssertionMiddleware) -> None:
    answer = Client(middleware).head("/")
    assert (answer.status_code, answer.data) == (403, b"")


def test_keys_away_is_503(issuer: Issuer) -> None:
    def away() -> bytes:
        raise KeysUnavailableError("away")

    def portal(_environ: WSGIEnvironment, _start: StartResponse) -> Iterable[bytes]:
        raise AssertionError("reached")

    verifier = AssertionVerifier(GATEWAY, AUDIENCE, keys=KeySource(away))
    answer = Client(AssertionMiddleware(portal, verifier)).get(
        "/", headers={"X-CPS-Assertion": issuer.sign()}
    )
    assert answer.status_code == 503


def test_a_portal_answers_refusals_its_own_way(issuer: Issuer) -> None:
    def refused(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("401 Unauthorized", [])
        return [type(environ["cps.refused"]).__name__.encode()]

    def portal(_environ: WSGIEnvironment, _start: StartResponse) -> Iterable[bytes]:
        raise AssertionError("reached")

    verifier = AssertionVerifier(GATEWAY, AUDIENCE, keys=KeySource(issuer.key_set))
    answer = Client(AssertionMiddleware(portal, verifier, refused=refused)).get("/")
    assert (answer.status_code, answer.text) == (401, "AssertionRefusedError")
