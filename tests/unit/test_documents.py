"""The documents are true to the programs: links, anchors, command lines, settings."""

import argparse
import re
import shlex
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import cps.main
import gateway.main
from gateway.settings import Settings
from gateway.settings_portals import Portals
from tests.unit.test_repository import ROOT, tracked

DOCS = Path("docs")
INDEX = DOCS / "README.md"
AGENT_SETTINGS = frozenset({DOCS / "how-to" / "agent.md"})
"""Pages whose TOML is the agent's, not the gateway's."""
PARSERS: Mapping[str, argparse.ArgumentParser] = {
    "cps": cps.main.build_parser(),
    "cps-gateway": gateway.main.build_parser(),
}
SMALLEST: Mapping[str, object] = {
    "state_dir": "state",
    "portal": {
        "origin": "https://portal.example",
        "upstream": "http://127.0.0.1:8000",
        "label": "Portail",
    },
    "trust": {"anchors": ["r.pem"], "intermediates": ["i.pem"], "crls": ["i.crl"]},
}
SEVERAL = """
state_dir = "state"
trust = { anchors = ["r.pem"], intermediates = ["i.pem"], crls = ["i.crl"] }
listen = { tls_certificate = "all.pem", tls_key = "all.key" }
"""

_FENCED = re.compile(r"(?ms)^ *```(\w*)\n(.*?)^ *```$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"(?m)^#+ +(.+?) *$")
_COMMAND = re.compile(
    r"(?:[$#] +)?(?:sudo -u \S+ +)?(?:/\S*/)?(cps(?:-gateway)?) ((?:[a-z][a-z-]*|--).*)"
)
_SHELL = frozenset({">", "2>&1", "&", "|", "&&", ";", "#", "\\"})
"""Words that end a command of ours on its line."""


def pages() -> list[Path]:
    """Return the documents of the repository."""
    return [name for name in tracked() if name.suffix == ".md"]


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _FENCED.sub("", text_of(page))


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Return language and text of each block of code."""
    for found in _FENCED.finditer(text_of(page)):
        yield found[1], found[2]


def anchors(page: Path) -> set[str]:
    """Return the names under which the headings of a page are linked to."""
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h) for h in _HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


def broken_links(page: Path) -> Iterator[str]:
    """Name each relative link of a page that leads nowhere."""
    for link in _LINK.findall(_SPAN.sub("", prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = Path(*_flat(page.parent / path)) if path else page
        if not (ROOT / target).exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: no such heading"


def _flat(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return parts


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """Return program and arguments of each command line of ours in a page."""
    for _, block in blocks(page):
        for line in block.replace("\\\n", " ").splitlines():
            if found := _COMMAND.match(line.strip()):
                yield found[1], found[2]
    for span in _SPAN.findall(prose(page)):
        if found := _COMMAND.match(" ".join(span.split())):
            yield found[1], found[2]


def unknown(program: str, arguments: str) -> str | None:
    """Return the first word of a command line that its parser does not know."""
    parser = PARSERS[program]
    for word in _words(arguments):
        if word.startswith("-"):
            if word.partition("=")[0] not in parser._option_string_actions:
                return word
            continue
        actions = _subcommands(parser)
        if actions is None:
            continue
        if word not in actions:
            # A place that the page leaves open, such as ACTION or an ellipsis.
            return word if re.fullmatch(r"[a-z-]+", word) else None
        parser = actions[word]
    return None


def _words(arguments: str) -> Iterator[str]:
    # Brackets are for what may be left out; the first of several choices stands for all.
    for word in shlex.split(re.sub(r"[\[\]]", " ", arguments.replace("'", ""))):
        if word in _SHELL:
            return
        yield word.split("|")[0].rstrip(",.;:")


def _subcommands(
    parser: argparse.ArgumentParser,
) -> Mapping[str, argparse.ArgumentParser] | None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return None


def settings_blocks() -> Iterator[tuple[Path, str]]:
    """Return each page with settings of the gateway, and those settings."""
    for page in pages():
        for language, block in blocks(page):
            is_toml = language == "toml" or (not language and re.match(r"\s*\[\[?[a-z]", block))
            if is_toml and page not in AGENT_SETTINGS:
                yield page, block


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_every_page_is_in_the_index() -> None:
    linked = {Path(*_flat(DOCS / link.partition("#")[0])) for link in _LINK.findall(text_of(INDEX))}
    assert [str(p) for p in pages() if p.parts[0] == "docs" and p not in linked | {INDEX}] == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_command_line_is_one_that_the_programs_know(page: Path) -> None:
    wrong = [
        f"{program} {arguments}: {word}"
        for program, arguments in commands(page)
        if (word := unknown(program, arguments)) is not None
    ]
    assert wrong == []


def test_commands_are_found_and_wrong_ones_too() -> None:
    assert sum(len(list(commands(page))) for page in pages()) > 100
    assert unknown("cps-gateway", "audit touched --card 1 --since 2026-11-23") is None
    assert unknown("cps-gateway", "audit touched --sinse 2026-11-23") == "--sinse"
    assert unknown("cps-gateway", "audits verify") == "audits"
    assert unknown("cps", "virtual insert --rubbish") == "--rubbish"


@pytest.mark.parametrize(
    ("page", "block"),
    [
        pytest.param(page, block, id=f"{page}-{number}")
        for number, (page, block) in enumerate(settings_blocks())
    ],
)
def test_settings_in_a_page_are_taken(page: Path, block: str) -> None:
    if "[[portals]]" in block:
        require_taken(SEVERAL + block)
        return
    values: dict[str, object] = dict(SMALLEST)
    for key, value in tomllib.loads(block).items():
        before = values.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            values[key] = {**before, **value}
        else:
            values[key] = value
    if "rules" in str(values.get("guard")):
        # Rules name routes that stand in another block of the page.
        values["guard"] = {**_every_route(page), **_mapping(values["guard"])}
    Settings.model_validate(values)


def require_taken(settings: str) -> None:
    """Check that a file with several portals is taken, all that it names being there."""
    # Sockets have short paths; pytest's own folders have long names.
    with tempfile.TemporaryDirectory(prefix="cps-") as name:
        folder = Path(name)
        for named in re.findall(r'"([^"]+\.(?:pem|key|crl))"', settings):
            (folder / named).parent.mkdir(exist_ok=True)
            (folder / named).touch(mode=0o600)
        file = folder / "gateway.toml"
        file.write_text(settings, encoding="utf-8")
        assert Portals.load(file).are_several


def _every_route(page: Path) -> dict[str, object]:
    routes: list[object] = []
    for other, block in settings_blocks():
        if other == page:
            guard = _mapping(tomllib.loads(block).get("guard", {}))
            found = guard.get("routes", [])
            routes += found if isinstance(found, list) else []
    return {"routes": routes}


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value


def test_a_setting_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(ValueError, match="adress"):
        Settings.model_validate({**SMALLEST, "listen": {"adress": "127.0.0.1"}})
