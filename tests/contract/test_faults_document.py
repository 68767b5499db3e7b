"""docs/reference/faults.md says what happens in every case of the list of tests: does it?"""

import ast
import re
from collections import Counter
from functools import cache

import pytest

from cps.authtoken.codes import ErrorCode
from tests.support.good_leaves import GOOD
from tests.support.negative_leaves import NEGATIVE
from tests.support.shared import PROJECT

DOCUMENT = PROJECT / "docs" / "reference" / "faults.md"
FIRST, LAST = 41, 145
OTHER_ANSWERS = {"good", "no start", "alarm"}
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


@cache
def rows() -> dict[int, tuple[frozenset[str], tuple[tuple[str, str], ...]]]:
    """Return each number's answers and tests."""
    found = ROW.findall(DOCUMENT.read_text("utf-8"))
    assert [int(number) for number, _, _ in found] == list(range(FIRST, LAST + 1))
    return {
        int(number): (
            frozenset(answers.replace("`", "").split(", ")),
            tuple(TEST.findall(tests)),
        )
        for number, answers, tests in found
    }


@cache
def known_tests() -> Counter[tuple[str, str]]:
    """Return every test of the project, by the name of its file."""
    return Counter(
        (file.name, node.name)
        for file in (PROJECT / "tests").rglob("test_*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    )


@pytest.mark.parametrize("number", range(FIRST, LAST + 1))
def test_each_fault_has_an_answer_and_a_test(number: int) -> None:
    answers, named = rows()[number]
    assert answers <= {*ErrorCode, *OTHER_ANSWERS}
    assert named
    for each in named:
        assert known_tests()[each] == 1, each


@pytest.mark.parametrize("number", range(FIRST, LAST + 1))
def test_the_answers_are_those_of_the_tables_of_certificates(number: int) -> None:
    answers: set[str] = {leaf.code for leaf in NEGATIVE if number in leaf.rows}
    if any(number in leaf.rows for leaf in GOOD):
        answers.add("good")
    if answers:
        assert rows()[number][0] == answers
