"""BoringSSL's OCSP cases: what the gateway takes for good, all others would, and none wrongly."""

from tests.support.conformance import differences, documented
from tests.support.shared import shared_file
from tests.support.suites import load

SUITE = "suites/bssl-ocsp.jsonl.xz"


def test_the_answers_are_those_of_the_suite_but_for_what_the_document_tells() -> None:
    """Where this fails for the better, take the row out of docs/reference/conformance.md."""
    cases = load(shared_file(SUITE))
    assert len(cases) == 36
    found = {name: answer.partition(":")[0] for name, answer in differences(cases).items()}
    assert found == documented("bssl-ocsp")
    assert set(found.values()) == {"refused"}
