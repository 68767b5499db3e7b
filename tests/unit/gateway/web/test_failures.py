"""Refusals and defects: one code, one incident number, a page or JSON, and nothing more."""

import logging
import re

import pytest
from werkzeug.exceptions import ImATeapot, InternalServerError, RequestEntityTooLarge

from cps.authtoken.codes import ErrorCode
from gateway.errors import (
    HTTP_STATUS,
    LoginRejectedError,
    SessionRequiredError,
    StoreUnavailableError,
    UpstreamError,
)
from gateway.web.failures import explain
from tests.support.gateway_fakes import ORIGIN, FakedGateway

INCIDENT = re.compile(r"\b[0-9a-f]{4}-[0-9a-f]{4}\b")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("code", list(HTTP_STATUS))
def test_every_code_is_answered_with_its_status(code: ErrorCode) -> None:
    failure = explain(LoginRejectedError(code, "why"))
    assert (failure.code, failure.status, failure.detail) == (code, HTTP_STATUS[code], "why")


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        pytest.param(SessionRequiredError("x"), "session_required", 401, id="no session"),
        pytest.param(StoreUnavailableError("x"), "store_unavailable", 503, id="store away"),
        pytest.param(RequestEntityTooLarge(), "request_too_large", 413, id="too large"),
        pytest.param(ImATeapot(), "request_malformed", 418, id="another status of the web"),
        pytest.param(InternalServerError(), "internal", 500, id="server error"),
        pytest.param(ValueError("x"), "internal", 500, id="defect"),
        pytest.param(LoginRejectedError(ErrorCode.NO_READER, "x"), "no_reader", 500, id="not ours"),
        pytest.param(UpstreamError(ErrorCode.INTERNAL, "x"), "internal", 500, id="not the web's"),
    ],
)
def test_every_error_has_one_code(error: Exception, code: str, status: int) -> None:
    failure = explain(error)
    assert (failure.code, failure.status) == (code, status)


def test_detail_is_bounded() -> None:
    failure = explain(LoginRejectedError(ErrorCode.SIG_INVALID, "x" * 10_000))
    assert len(failure.detail) == 300


@pytest.mark.parametrize(
    ("headers", "mimetype"),
    [
        pytest.param({"Accept": BROWSER}, "text/html", id="old browser"),
        pytest.param({"Accept": "*/*"}, "application/json", id="any program"),
        pytest.param({}, "application/json", id="nothing said"),
        pytest.param({"Accept": "application/json"}, "application/json", id="JSON asked"),
        pytest.param({"Sec-Fetch-Mode": "navigate", "Accept": "*/*"}, "text/html", id="navigation"),
        pytest.param({"Sec-Fetch-Mode": "cors", "Accept": BROWSER}, "application/json", id="fetch"),
    ],
)
def test_person_gets_a_page_and_a_program_json(
    gateway: FakedGateway, headers: dict[str, str], mimetype: str
) -> None:
    answer = gateway.app.test_client().get("/_cps/session", headers=headers, base_url=ORIGIN)
    assert answer.status_code == 401
    assert answer.mimetype == mimetype


def test_page_that_does_not_exist_says_so_without_repeating_its_name(gateway: FakedGateway) -> None:
    answer = gateway.browser().open("/_cps/<script>alert(1)</script>")
    assert answer.status_code == 404
    assert "Page introuvable" in answer.text
    assert "alert" not in answer.text


def test_login_is_offered_where_it_helps(gateway: FakedGateway) -> None:
    again = "Recommencer la connexion"
    assert again in gateway.browser().open("/_cps/session").text
    assert again not in gateway.browser().open("/_cps/nothing").text


def test_unknown_path_gives_a_program_a_code(gateway: FakedGateway) -> None:
    answer = gateway.post_json("/_cps/agent/sign", b"{}")
    assert answer.status_code == 404
    assert answer.get_json()["error"] == "request_forbidden"


@pytest.mark.parametrize("path", ["/_cps//login", "/_cps/login/"])
def test_another_spelling_of_a_path_is_not_redirected(gateway: FakedGateway, path: str) -> None:
    answer = gateway.browser().open(path)
    assert answer.status_code == 404


def test_wrong_method_is_named_with_the_right_one(gateway: FakedGateway) -> None:
    answer = gateway.browser().submit("/_cps/session")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_defect_shows_a_number_alone_and_logs_the_trace_without_the_query(
    gateway: FakedGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object, **__: object) -> None:
        raise RuntimeError("inner words")

    monkeypatch.setattr(gateway.challenges, "redeem", defect)
    browser = gateway.browser()
    code = "A" * 43
    with caplog.at_level(logging.ERROR):
        answer = browser.open(f"/_cps/callback?code={code}")
    assert answer.status_code == 500
    assert "inner words" not in answer.text
    assert "Traceback" not in answer.text
    found = INCIDENT.search(answer.text)
    assert found
    assert found[0] in caplog.text
    assert "inner words" in caplog.text
    assert code not in caplog.text


def test_a_store_that_is_away_is_one_line_in_the_log(
    gateway: FakedGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("gateway.db: busy")

    monkeypatch.setattr(gateway.challenges, "redeem", away)
    answer = gateway.browser().open(f"/_cps/callback?code={'A' * 43}")
    assert answer.status_code == 503
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    assert record.getMessage().endswith("in login.callback: store_unavailable: gateway.db: busy")


def test_refusal_that_cannot_be_recorded_is_still_a_refusal(
    gateway: FakedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.audit.failure = StoreUnavailableError("disk full")
    answer = gateway.claim("A" * 22)
    assert answer.status_code == 404
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage() == (
        f"incident {answer.get_json()['ref']} could not be recorded: disk full"
    )


def test_refusals_of_a_person_are_not_logged_as_errors(
    gateway: FakedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.browser().open("/_cps/session")
    gateway.claim("A" * 22)
    assert caplog.text == ""


@pytest.mark.parametrize("code", [c for c in HTTP_STATUS if c is not ErrorCode.INTERNAL])
def test_page_of_every_code_speaks_both_languages(
    gateway: FakedGateway, monkeypatch: pytest.MonkeyPatch, code: ErrorCode
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LoginRejectedError(code, "hidden detail")

    monkeypatch.setattr(gateway.challenges, "redeem", refuse)
    pages = {
        language: gateway.browser().open(
            f"/_cps/callback?code={'A' * 43}", {"Accept-Language": language}
        )
        for language in ("fr", "en")
    }
    for language, page in pages.items():
        assert page.status_code == HTTP_STATUS[code]
        assert f'<html lang="{language}">' in page.text
        assert "hidden detail" not in page.text
    assert pages["fr"].text != pages["en"].text
