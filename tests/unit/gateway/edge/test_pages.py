import base64
import hashlib
import re
from http import HTTPStatus

import pytest
from aiohttp.test_utils import make_mocked_request

from cps.authtoken.catalogue import LANGUAGES, text
from gateway.edge import notices
from gateway.edge.nginx.notices import quoted
from gateway.edge.notices import INTERNAL, MALFORMED, NOT_FOUND, SESSION_REQUIRED, Notice
from gateway.edge.pages import OwnPages, is_navigation

NOTICES = [value for value in vars(notices).values() if isinstance(value, Notice)]
PAGES = OwnPages(label="Portail", origin="https://portal.example")


def _page(notice: Notice, language: str = "fr") -> str:
    request = make_mocked_request(
        "GET", "/", headers={"Sec-Fetch-Mode": "navigate", "Accept-Language": language}
    )
    content = PAGES.answer(request, notice, incident="0a1b-2c3d").body
    assert isinstance(content, bytes)
    return content.decode()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: f"{notice.status:d} {notice.text}")
def test_every_notice_has_its_page(notice: Notice, language: str) -> None:
    page = _page(notice, language)
    assert text(notice.title, language) in page
    assert f'lang="{language}"' in page
    assert "0a1b-2c3d" in page
    assert "{" not in re.sub("<style>.*</style>", "", page)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: f"{notice.status:d} {notice.text}")
def test_every_page_fits_into_one_word_of_a_configuration_of_nginx(
    notice: Notice, language: str
) -> None:
    pages = OwnPages(label="P" * 64, origin=f"https://{'p' * 60}.example", is_test=True)
    page = quoted(pages.page(notice, language, incident="0a1b-2c3d"))
    assert len(page.encode()) < 4000, "nginx reads no word of more than 4096 bytes"


def test_the_style_is_the_one_that_the_policy_allows() -> None:
    request = make_mocked_request("GET", "/", headers={"Accept": "text/html"})
    answer = PAGES.answer(request, INTERNAL, incident="x")
    assert isinstance(answer.body, bytes)
    style = re.search(b"<style>(.*)</style>", answer.body)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    assert b"<script" not in answer.body


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Sec-Fetch-Mode": "navigate"}, True),
        ({"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, False),
        ({"Sec-Fetch-Mode": "websocket"}, False),
        ({"Accept": "text/html,*/*;q=0.8"}, True),
        ({"Accept": "application/json"}, False),
        ({}, False),
    ],
    ids=["navigate", "cors", "websocket", "old browser", "program", "nothing"],
)
def test_a_person_is_told_from_a_program(fields: dict[str, str], expected: bool) -> None:
    assert is_navigation(make_mocked_request("GET", "/", headers=fields)) is expected


def test_a_connection_ends_after_what_was_not_understood() -> None:
    request = make_mocked_request("GET", "/")
    assert PAGES.answer(request, MALFORMED, incident="x").keep_alive is False
    assert PAGES.answer(request, SESSION_REQUIRED, incident="x").keep_alive is None


def test_http_pages_ask_for_no_https() -> None:
    pages = OwnPages(label="Portail", origin="http://localhost:8080")
    answer = pages.to_login("/_cps/login")
    assert answer.status == HTTPStatus.SEE_OTHER
    assert "Strict-Transport-Security" not in answer.headers


def test_a_page_of_a_test_environment_says_so() -> None:
    tested = OwnPages(label="Portail", origin="https://portal.example", is_test=True)
    assert "Environnement de test" in tested.page(NOT_FOUND, "fr", incident="X")
    assert "Environnement de test" not in PAGES.page(NOT_FOUND, "fr", incident="X")
