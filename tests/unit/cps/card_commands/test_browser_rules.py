"""The administrator's rules for browsers: what they say of a portal, in the browsers' own order."""

import json
from pathlib import Path

import pytest

from cps.card_commands.browser_rules import (
    MAX_FILE_BYTES,
    BrowserRules,
    UnreadableRules,
    Verdict,
    browser_rules,
)

ORIGIN = "https://portal.example"
CHROME = "etc/opt/chrome/policies/managed"
FIREFOX = "etc/firefox/policies/policies.json"
ALLOWED, BLOCKED, SILENT = Verdict.ALLOWED, Verdict.BLOCKED, Verdict.SILENT


def write(root: Path, file: str, said: object) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")


def judged(root: Path, origin: str = ORIGIN) -> tuple[Verdict, str]:
    """Return what the one browser with rules says."""
    (rules,) = browser_rules(root)
    assert isinstance(rules, BrowserRules)
    return rules.judge(origin)


def test_without_rules_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert list(browser_rules(tmp_path)) == []


@pytest.mark.parametrize(
    ("folder", "browser"),
    [
        ("etc/chromium/policies/managed", "Chromium"),
        (CHROME, "Chrome"),
        ("etc/opt/edge/policies/managed", "Edge"),
    ],
)
def test_each_browser_has_its_folder(tmp_path: Path, folder: str, browser: str) -> None:
    write(tmp_path, f"{folder}/cps.json", {"LoopbackNetworkAllowedForUrls": [ORIGIN]})
    (rules,) = browser_rules(tmp_path)
    assert isinstance(rules, BrowserRules)
    assert rules.browser == browser
    assert rules.judge(ORIGIN) == (ALLOWED, "LoopbackNetworkAllowedForUrls")


@pytest.mark.parametrize(
    "names",
    [
        ("LoopbackNetworkBlockedForUrls", "LoopbackNetworkAllowedForUrls"),
        ("LoopbackNetworkAllowedForUrls", "LocalNetworkAccessBlockedForUrls"),
        ("LocalNetworkAccessBlockedForUrls", "LocalNetworkAccessAllowedForUrls"),
    ],
    ids=lambda names: names[0],
)
def test_of_two_rules_the_browser_takes_the_first(tmp_path: Path, names: tuple[str, str]) -> None:
    write(tmp_path, f"{CHROME}/a.json", {name: [ORIGIN] for name in reversed(names)})
    assert judged(tmp_path)[1] == names[0]


def test_of_two_files_the_later_one_counts(tmp_path: Path) -> None:
    write(tmp_path, f"{CHROME}/a.json", {"LoopbackNetworkAllowedForUrls": [ORIGIN]})
    write(tmp_path, f"{CHROME}/b.json", {"LoopbackNetworkAllowedForUrls": []})
    assert judged(tmp_path) == (SILENT, "")


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        ORIGIN,
        f"{ORIGIN}:443",
        f"{ORIGIN}/",
        "*://portal.example",
        "portal.example",
        "[*.]portal.example",
        "[*.]example",
        "https://*",
        "https://[*.]example:443",
    ],
)
def test_patterns_that_mean_the_portal(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, f"{CHROME}/a.json", {"LoopbackNetworkBlockedForUrls": [pattern]})
    assert judged(tmp_path)[0] is BLOCKED


@pytest.mark.parametrize(
    "pattern",
    [
        "http://portal.example",
        "https://portal.example:8443",
        "https://other.example",
        "https://portal.example.evil",
        "[*.]rtal.example",
        "[*.]",
        "",
    ],
)
def test_patterns_that_mean_others(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, f"{CHROME}/a.json", {"LoopbackNetworkBlockedForUrls": [pattern]})
    assert judged(tmp_path) == (SILENT, "")


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        pytest.param({"SkipDomains": ["portal.example"]}, ALLOWED, id="skipped"),
        pytest.param({"SkipDomains": ["*.example"]}, ALLOWED, id="skipped below"),
        pytest.param({"SkipDomains": ["other.example"]}, SILENT, id="another skipped"),
        pytest.param({"Enabled": False}, ALLOWED, id="switched off"),
        pytest.param({"Enabled": True, "EnablePrompting": False}, BLOCKED, id="nobody is asked"),
        pytest.param([], SILENT, id="no table"),
        pytest.param(None, SILENT, id="nothing"),
    ],
)
def test_what_firefox_is_told(tmp_path: Path, said: object, verdict: Verdict) -> None:
    write(tmp_path, FIREFOX, {"policies": {"LocalNetworkAccess": said}})
    assert judged(tmp_path)[0] is verdict


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="no table"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param(" " * (MAX_FILE_BYTES + 1), id="large"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_hides_no_other(
    tmp_path: Path, content: str
) -> None:
    write(tmp_path, f"{CHROME}/a.json", content)
    write(tmp_path, f"{CHROME}/b.json", {"LoopbackNetworkAllowedForUrls": ["*"]})
    broken, rules = browser_rules(tmp_path)
    assert broken == UnreadableRules(browser="Chrome", file=tmp_path / CHROME / "a.json")
    assert isinstance(rules, BrowserRules)


@pytest.mark.parametrize("value", ["*", 1, {"a": 1}, [1, None]], ids=str)
def test_a_rule_of_another_type_says_nothing(tmp_path: Path, value: object) -> None:
    write(tmp_path, f"{CHROME}/a.json", {"LoopbackNetworkAllowedForUrls": value})
    assert judged(tmp_path) == (SILENT, "")
