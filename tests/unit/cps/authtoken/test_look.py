"""The look that all pages share: nothing from elsewhere, and readable in both themes."""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources

import pytest

from cps.authtoken import look
from cps.authtoken.look import PlainPage, base_style, mark, plain_page_policy

EVIL = "<script>alert(1)</script>"
READABLE = 4.5
"""Contrast of text. Source: WCAG 2.2, 1.4.3."""
PAIRS = [("ink", "ground"), ("ink", "paper"), ("quiet", "ground"), ("quiet", "paper"),
         ("accent", "ground"), ("accent", "paper"), ("on", "accent"), ("bad", "paper"),
         ("warned", "warn")]  # fmt: skip


def page(**changes: object) -> str:
    texts: dict[str, object] = {"label": "Portail", "title": "Titre", "sentence": "Phrase."}
    return PlainPage(language="fr", **{**texts, **changes}).html()  # type: ignore[arg-type]


def test_the_policy_allows_the_one_style_of_the_page() -> None:
    style = re.search(r"<style>(.*)</style>", page(), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in plain_page_policy()
    assert plain_page_policy().startswith("default-src 'none'; ")


@pytest.mark.parametrize("member", ["label", "title", "sentence"])
def test_texts_stay_text(member: str) -> None:
    assert EVIL not in page(**{member: EVIL})
    assert "&lt;script&gt;" in page(**{member: EVIL})


def test_banners_links_and_lines_stay_text() -> None:
    html = page(banners=[EVIL], link=(f'/"{EVIL}', EVIL), small=[EVIL, EVIL])
    assert "<script" not in html
    assert '"&quot;' not in html


def test_a_page_asks_again_only_where_it_is_told_to() -> None:
    assert "http-equiv" not in page()
    assert '<meta http-equiv="refresh" content="1">' in page(refresh_seconds=1)


def test_nothing_is_loaded_from_anywhere() -> None:
    assert not re.search(r"https?:|url\(|@import|expression", base_style())
    assert not re.search(r"https?:", mark().replace("http://www.w3.org/2000/svg", ""))


def test_the_short_style_says_what_the_long_one_says() -> None:
    long = resources.files(look).joinpath("base.css").read_text(encoding="utf-8")
    assert "/*" in long
    assert "/*" not in base_style()
    rules = re.findall(r"([^{};]+){", base_style())
    # A space before a colon would be a rule for descendants: there is none to lose.
    assert ":focus-visible" in rules
    assert len(rules) == len(re.findall(r"{", long))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), PAIRS, ids=[" on ".join(pair) for pair in PAIRS])
def test_text_can_be_read_in_both_themes(theme: str, front: str, back: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[front], colours[back]) >= READABLE


def themes() -> Mapping[str, Mapping[str, str]]:
    light, dark = re.findall(r":root{(.*?)}", base_style())
    named = [dict(re.findall(r"--(\w+):(#\w+)", theme)) for theme in (light, dark)]
    return {"light": named[0], "dark": named[0] | named[1]}


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, "contrast ratio"."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, "relative luminance"."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
