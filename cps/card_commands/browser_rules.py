"""What an administrator's rules for browsers say of portals that reach this computer.

A login opens a page of this computer, which no browser asks about today, and fetches nothing from
it, which browsers do ask about. What a person answered is in each browser's own profile, and is not
looked at here: the portal's page ``/_cps/diag`` shows it.

Source: docs/how-to/browsers.md, with the makers' names of the rules.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto, unique
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

MAX_FILE_BYTES = 1_048_576
MAX_FILES = 64
"""Of one browser."""

Rules = Mapping[str, object]

_CHROMIUM_FOLDERS = MappingProxyType(
    {
        "Chromium": Path("/etc/chromium/policies/managed"),
        "Chrome": Path("/etc/opt/chrome/policies/managed"),
        "Edge": Path("/etc/opt/edge/policies/managed"),
    }
)
_FIREFOX_FILES = (
    Path("/etc/firefox/policies/policies.json"),
    Path("/usr/lib/firefox/distribution/policies.json"),
    Path("/usr/lib/firefox-esr/distribution/policies.json"),
)


@unique
class Verdict(Enum):
    """What the rules of one browser say of one portal."""

    ALLOWED = auto()
    BLOCKED = auto()
    SILENT = auto()
    """Nothing: the browser asks the person, where it asks at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserRules:
    """The rules of one browser."""

    browser: str
    """Its name."""
    judge: Callable[[str], tuple[Verdict, str]]
    """Returns what they say of a portal's origin, and the name of the rule that says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRules:
    """Rules that are there and cannot be read."""

    browser: str
    file: Path


def browser_rules(root: Path = Path("/")) -> Iterator[BrowserRules | UnreadableRules]:
    """Yield the rules of each browser that has any, as Linux keeps them.

    :param root: below which the files are.
    """
    for browser, folder in _CHROMIUM_FOLDERS.items():
        # Of two files with the same rule, the one that comes later in the alphabet is taken.
        files = sorted(_below(root, folder).glob("*.json"))[:MAX_FILES]
        yield from _merged(browser, files, _judge_chromium)
    files = [file for each in _FIREFOX_FILES if (file := _below(root, each)).exists()]
    yield from _merged("Firefox", files[:1], _judge_firefox)


def _merged(
    browser: str, files: list[Path], judge: Callable[[Rules, str], tuple[Verdict, str]]
) -> Iterator[BrowserRules | UnreadableRules]:
    rules: dict[str, object] = {}
    for file in files:
        try:
            rules |= _read(file)
        except (OSError, ValueError, RecursionError):
            yield UnreadableRules(browser=browser, file=file)
    if rules:
        yield BrowserRules(browser=browser, judge=lambda origin: judge(rules, origin))


def _read(file: Path) -> dict[str, object]:
    with file.open("rb") as opened:
        raw = opened.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise ValueError(f"{file} is larger than {MAX_FILE_BYTES} bytes")
    said = json.loads(raw)
    if not isinstance(said, dict):
        raise ValueError(f"{file}: no table of rules")  # noqa: TRY004 - one error for the caller
    return said


def _judge_chromium(rules: Rules, origin: str) -> tuple[Verdict, str]:
    # In the order in which the browser takes them.
    for name, verdict in (
        ("LoopbackNetworkBlockedForUrls", Verdict.BLOCKED),
        ("LoopbackNetworkAllowedForUrls", Verdict.ALLOWED),
        ("LocalNetworkAccessBlockedForUrls", Verdict.BLOCKED),
        ("LocalNetworkAccessAllowedForUrls", Verdict.ALLOWED),
    ):
        if any(_covers(pattern, origin) for pattern in _texts(rules.get(name))):
            return verdict, name
    return Verdict.SILENT, ""


def _judge_firefox(rules: Rules, origin: str) -> tuple[Verdict, str]:
    policies = rules.get("policies")
    said = policies.get("LocalNetworkAccess") if isinstance(policies, dict) else None
    if not isinstance(said, dict):
        return Verdict.SILENT, ""
    host = urlsplit(origin).hostname or ""
    skipped = _texts(said.get("SkipDomains"))
    if said.get("Enabled") is False:
        return Verdict.ALLOWED, "LocalNetworkAccess.Enabled"
    if any(host == domain or _is_below(host, domain.removeprefix("*.")) for domain in skipped):
        return Verdict.ALLOWED, "LocalNetworkAccess.SkipDomains"
    if said.get("EnablePrompting") is False:
        return Verdict.BLOCKED, "LocalNetworkAccess.EnablePrompting"
    return Verdict.SILENT, ""


def _covers(pattern: str, origin: str) -> bool:
    """Return whether a pattern of Chromium's means *origin*: ``*``, or scheme, host and port."""
    if pattern == "*":
        return True
    wanted = urlsplit(origin)
    scheme, mark, rest = pattern.rpartition("://")
    if mark and scheme not in ("*", wanted.scheme):
        return False
    place = rest.partition("/")[0]
    host, mark, port = place.rpartition(":")
    if not mark or place.endswith("]"):
        host, port = place, "*"
    if port not in ("*", str(wanted.port or {"https": 443, "http": 80}.get(wanted.scheme))):
        return False
    name = wanted.hostname or ""
    if host.startswith("[*.]"):
        domain = host.removeprefix("[*.]")
        return name == domain or _is_below(name, domain)
    return host in ("*", name)


def _is_below(host: str, domain: str) -> bool:
    return bool(domain) and host.endswith(f".{domain}")


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")
