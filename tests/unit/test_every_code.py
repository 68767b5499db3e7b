"""Every error code: given by somebody, asserted by name in some test, said in both languages."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cps.authtoken.catalogue import LANGUAGES, text
from cps.authtoken.codes import ErrorCode
from gateway.errors import HTTP_STATUS

ROOT = Path(__file__).parents[2]
GATEWAY_ERRORS = ROOT / "gateway" / "errors.py"
CODES = ROOT / "cps" / "authtoken" / "codes.py"

NOT_GIVEN_YET: Mapping[ErrorCode, str] = {
    ErrorCode.PINPAD_FAILED: "readers with a keypad are not used yet",
}
"""Codes of the protocol that no program gives, each with the reason; they cannot be exercised."""


def modules(*folders: str) -> list[Path]:
    return [file for folder in folders for file in (ROOT / folder).rglob("*.py")]


def named_codes(tree: ast.AST) -> Iterator[str]:
    """Yield the names of the codes that stand in *tree* as ``ErrorCode.NAME``."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "ErrorCode"
        ):
            yield node.attr


def given_by(*folders: str) -> set[str]:
    """Return the codes that the programs in *folders* name, but for the tables of all codes."""
    return {
        name
        for file in modules(*folders)
        if file != CODES
        for part in _programs(file)
        for name in named_codes(part)
    }


def _programs(file: Path) -> list[ast.stmt]:
    """Return what *file* does; of the gateway's errors the classes, for the rest is the table."""
    body = parsed(file).body
    return [part for part in body if file != GATEWAY_ERRORS or isinstance(part, ast.ClassDef)]


def asserted_codes(tree: ast.AST) -> set[str]:
    """Return the codes that a test names other than to make an error of its own with them."""
    made = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _name(node.func).endswith("Error")
        for inner in ast.walk(node)
    }
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and id(node) not in made
        and node.attr in named_codes(node)
    }


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


@pytest.fixture(scope="module")
def asserted() -> set[str]:
    own = Path(__file__)
    tests = (file for file in modules("tests") if file.name.startswith("test_") and file != own)
    return {name for file in tests for name in asserted_codes(parsed(file))}


@pytest.mark.parametrize("code", [code for code in ErrorCode if code not in NOT_GIVEN_YET])
def test_every_code_is_asserted_by_name_in_some_test(asserted: set[str], code: ErrorCode) -> None:
    assert code.name in asserted


def test_a_code_that_is_only_made_does_not_count_as_asserted() -> None:
    made = "def test():\n    work(LoginRejectedError(ErrorCode.BUSY, 'x'))\n"
    seen = "def test():\n    assert work() is ErrorCode.BUSY\n"
    assert asserted_codes(ast.parse(made)) == set()
    assert asserted_codes(ast.parse(made + seen)) == {"BUSY"}


def test_what_is_not_given_yet_is_given_by_nobody() -> None:
    # The workstation's list of codes that no gateway may claim names them without giving them.
    given = given_by("gateway") | given_by("cps") - {ErrorCode.PINPAD_FAILED.name}
    assert {code.name for code in ErrorCode} - given == {code.name for code in NOT_GIVEN_YET}


def test_every_code_that_the_gateway_gives_has_an_http_status() -> None:
    with_status = {code.name for code in HTTP_STATUS}
    assert given_by("gateway") <= with_status
    assert with_status - given_by("gateway") <= {code.name for code in NOT_GIVEN_YET}
    assert all(400 <= status <= 599 for status in HTTP_STATUS.values())


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_is_said_in_both_languages(code: ErrorCode) -> None:
    for table in ("error_title", "error"):
        said = {text(f"{table}.{code}", language) for language in LANGUAGES}
        assert len(said) == len(LANGUAGES)
        assert all(said)


def test_the_value_of_a_code_is_its_name_in_small_letters() -> None:
    assert [code.value for code in ErrorCode] == [code.name.lower() for code in ErrorCode]
