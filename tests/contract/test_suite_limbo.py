"""C2SP x509-limbo without its host names: 151 cases in the strict profile."""

from tests.support.conformance import differences, documented
from tests.support.shared import shared_file
from tests.support.suites import load


def test_the_answers_are_those_of_the_suite_but_for_what_the_document_tells() -> None:
    """Where this fails for the better, take the row out of docs/reference/conformance.md."""
    cases = load(shared_file("suites/limbo-generic.jsonl.xz"))
    assert len(cases) == 151
    found = {name: answer.partition(":")[0] for name, answer in differences(cases).items()}
    assert found == documented("limbo-generic")


def test_a_heap_of_certificates_without_end_is_given_up() -> None:
    cases = load(shared_file("suites/limbo-generic.jsonl.xz"))
    endless = [case for case in cases if case.group == "pathological" and len(case.inter) == 100]
    assert len(endless) == 4
    assert not {case.id for case in endless} & differences(endless).keys()
