"""The catalogue's texts of errors, pages and professions: complete, and proper French."""

import re
from pathlib import Path

import pytest

from cps.authtoken import catalogue as package
from cps.authtoken.catalogue import catalogue
from cps.authtoken.codes import ErrorCode

FOLDER = Path(package.__file__).parent
TABLES = (
    "error",
    "error_title",
    "error_page",
    "gateway_page",
    "login_page",
    "session_page",
    "logout_page",
    "portal",
    "card_type",
    "profession",
)
KEYS = sorted(key for key in catalogue() if key.partition(".")[0] in TABLES)
NO_BREAK = "\u00a0"


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_has_a_title_and_a_sentence(code: ErrorCode) -> None:
    for language in ("fr", "en"):
        title = catalogue()[f"error_title.{code}"][language]
        sentence = catalogue()[f"error.{code}"][language]
        assert 5 <= len(title) <= 45
        assert not title.endswith(".")
        assert 20 <= len(sentence) <= 200
        assert sentence.endswith(".")
        # Nothing is filled in, so that every caller can show every code.
        assert "{" not in title + sentence


def test_catalogue_has_no_error_that_is_no_code() -> None:
    named = {key.partition(".")[2] for key in KEYS if key.startswith(("error.", "error_title."))}
    assert named == set(ErrorCode)


def test_french_has_its_typography() -> None:
    plain_space = re.compile(r" [;:?!»]|« ")
    no_space = re.compile(rf"[^{NO_BREAK}][;:?!](\s|$)")
    straight = re.compile(r"'|\.\.\.")
    wrong = [
        key
        for key in KEYS
        if any(form.search(catalogue()[key]["fr"]) for form in (plain_space, no_space, straight))
    ]
    assert wrong == []


def test_both_languages_fill_the_same_places() -> None:
    def places(key: str, language: str) -> set[str]:
        return set(re.findall(r"{(\w*)}", catalogue()[key][language]))

    assert [key for key in KEYS if places(key, "fr") != places(key, "en")] == []


def test_every_text_of_a_page_is_used() -> None:
    web = FOLDER.parents[2] / "gateway" / "web"
    files = [*web.glob("*.py"), *web.glob("templates/*.html")]
    sources = "".join(file.read_text(encoding="utf-8") for file in files)
    pages = ("error_page", "gateway_page", "login_page", "session_page", "logout_page")
    texts = [key for key in KEYS if key.partition(".")[0] in pages]
    assert texts
    assert [key for key in texts if key not in sources] == []
