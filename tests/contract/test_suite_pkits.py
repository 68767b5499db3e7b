"""NIST PKITS 1.0.1, 249 cases, each with its revocation lists."""

from dataclasses import replace

import pytest

from tests.support.conformance import differences, documented
from tests.support.shared import shared_file
from tests.support.suites import Case, fault, load, pkits_of_the_package

REVOCATION = ("4.4.", "4.14.", "4.15.", "4.5.2 ", "4.5.5 ", "4.5.7 ", "4.7.4 ", "4.7.5 ")
"""Sections and cases in which only a revocation list, or its absence, tells that a path is bad."""
UNREADABLE = "4.1.5 Section1ValidDSAParameterInheritanceTest5"


def test_the_suite_is_whole() -> None:
    cases = pkits_of_the_package()
    assert len(cases) == 249
    assert sum(case.expect for case in cases) == 114


def test_the_package_has_the_same_cases_as_the_published_file() -> None:
    assert load(shared_file("suites/pkits.jsonl.xz")) == pkits_of_the_package()


def test_the_answers_are_those_of_the_suite_but_for_what_the_document_tells() -> None:
    """Where this fails for the better, take the row out of docs/reference/conformance.md."""
    found = {
        name: answer.partition(":")[0]
        for name, answer in differences(pkits_of_the_package()).items()
    }
    assert found == documented("pkits")


@pytest.mark.parametrize("case", pkits_of_the_package(), ids=lambda case: case.id.partition(" ")[0])
def test_the_path_alone_is_right_wherever_no_list_is_needed(case: Case) -> None:
    reason = fault(replace(case, revocation="none"))
    if case.expect:
        assert reason is None or case.id == UNREADABLE
    elif not case.id.startswith(REVOCATION):
        assert reason is not None
