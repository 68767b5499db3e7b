"""The pages hold nothing but words, and what comes from outside stays words."""

import base64
import hashlib
import re

import pytest

from cps.agent.checks import Refusal, RefusedRequestError
from cps.agent.pages import Failure, Pages
from cps.agent.progress import Stage
from cps.authtoken.catalogue import LANGUAGES
from cps.authtoken.codes import ErrorCode

ORIGIN = "https://portal.example"


def test_the_policy_allows_the_one_style_of_the_page() -> None:
    response = Pages().waiting(Stage.CARD, "fr")
    assert response.text is not None
    style = re.search(r"<style>(.*)</style>", response.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_has_a_page_that_asks_again(stage: Stage, language: str) -> None:
    html = Pages().waiting(stage, language).text
    assert html is not None
    assert f'<html lang="{language}">' in html
    assert 'http-equiv="refresh" content="1"' in html


@pytest.mark.parametrize("refusal", list(Refusal))
def test_a_refusal_page_does_not_ask_again_and_has_no_script(refusal: Refusal) -> None:
    html = Pages().refused(RefusedRequestError(refusal), "fr").text
    assert html is not None
    assert not re.search(r"<script|<form|<img|<link|<iframe|http-equiv|\son\w+=", html)
    assert refusal.value in html


def test_a_failure_leads_back_to_the_portal() -> None:
    failure = Failure(code=ErrorCode.PIN_BLOCKED, incident=None)
    html = Pages().failed(failure, ORIGIN, "en").text
    assert html is not None
    assert f'href="{ORIGIN}/"' in html
    assert "incident" not in html.lower()


def test_what_comes_from_outside_is_escaped() -> None:
    failure = Failure(code=ErrorCode.INTERNAL, incident="<b>1</b>")
    html = Pages().failed(failure, 'https://"><script>', "en").text
    assert html is not None
    assert "<b>" not in html
    assert "<script" not in html


def test_the_banners_are_on_every_page() -> None:
    pages = Pages(("agent_page.development", "agent_page.virtual"))
    answers = [
        pages.waiting(Stage.PIN, "fr"),
        pages.refused(RefusedRequestError(Refusal.HOST), "fr"),
        pages.broken("fr"),
        pages.failed(Failure(code=ErrorCode.BUSY, incident=None), ORIGIN, "fr"),
    ]
    for answer in answers:
        assert (answer.text or "").count('class="banner"') == 2
    assert 'class="banner"' not in (Pages().broken("fr").text or "")


def test_a_defect_is_a_server_error() -> None:
    assert Pages().broken("en").status == 500
