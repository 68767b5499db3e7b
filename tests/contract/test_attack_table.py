"""The attacks in docs/reference/engines.md: no row without its tests, no test without a row."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = TESTS.parents[1] / "docs" / "reference" / "engines.md"
ROWS = {
    *("H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8"),
    *("P1", "P2", "P3", "P4", "P5", "P6", "P7"),
    *("R1", "R2", "S1", "S2", "S3", "M1", "U1", "C1", "C2", "C3"),
    *("X1", "V1", "V2", "L1", "L2", "O1", "T1", "J1", "D1"),
}


def test_each_attack_has_a_row_with_a_result_for_each_engine() -> None:
    rows = re.findall(r"(?m)^\| ([A-Z][0-9]) \| (.+) \| (.+) \| (.+) \|$", TABLE.read_text("utf-8"))
    assert sorted(name for name, *_ in rows) == sorted(ROWS)
    assert all(cell.strip() for _, *cells in rows for cell in cells)


def test_each_row_has_tests_and_each_test_a_row() -> None:
    files = TESTS.glob("test_*.py")
    found = {
        name.upper()
        for file in files
        for name in re.findall(r"def test_([a-z][0-9])_", file.read_text("utf-8"))
    }
    assert found == ROWS
