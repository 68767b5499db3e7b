"""``python -m tests.support.conformance FILE…``: our answers to suites, beside the right ones.

Each file has one case a line, as JSON; the README beside the suites in ``CPS_SHARED`` says how.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tests.support.shared import PROJECT
from tests.support.suites import Case, fault, load

DOCUMENT = PROJECT / "docs" / "reference" / "conformance.md"
_COLUMNS = 4


def differences(cases: Iterable[Case]) -> dict[str, str]:
    """Return the cases that are answered otherwise than the suite says: id → our answer."""
    found = {}
    for case in cases:
        reason = fault(case)
        if (reason is None) != case.expect:
            found[case.id] = "accepted" if reason is None else f"refused: {reason}"
    return found


def documented(suite: str) -> dict[str, str]:
    """Return the differences that the document tells: id → ``accepted`` or ``refused``."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCUMENT.read_text("utf-8").splitlines()
        if line.startswith(f"| {suite} |")
    ]
    told = [row for row in rows if len(row) == _COLUMNS]
    return {case.strip("`"): answer for _, case, answer, _ in told}


def main(files: Iterable[str]) -> int:
    """Print the score of each file, and each difference."""
    for file in files:
        cases = load(Path(file))
        found = differences(cases)
        accepted = sum(answer == "accepted" for answer in found.values())
        print(
            f"{Path(file).name}: {len(cases) - len(found)} of {len(cases)} as expected, "
            f"{accepted} wrongly accepted, {len(found) - accepted} wrongly refused"
        )
        for name, answer in found.items():
            print(f"  {name}: {answer}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
