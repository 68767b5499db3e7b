"""docs/reference/agent-faults.md names a test for each fault at the workstation: is there one?"""

import re
from functools import cache

import pytest

from tests.contract.test_faults_document import known_tests
from tests.support.shared import PROJECT

DOCUMENT = PROJECT / "docs" / "reference" / "agent-faults.md"
FIRST, LAST = 157, 202
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


@cache
def rows() -> dict[int, tuple[tuple[str, str], ...]]:
    """Return each number's tests."""
    found = ROW.findall(DOCUMENT.read_text("utf-8"))
    assert [int(number) for number, _ in found] == list(range(FIRST, LAST + 1))
    return {int(number): tuple(TEST.findall(tests)) for number, tests in found}


@pytest.mark.parametrize("number", range(FIRST, LAST + 1))
def test_each_fault_at_the_workstation_has_a_test(number: int) -> None:
    assert rows()[number]
    for each in rows()[number]:
        assert known_tests()[each] == 1, each
