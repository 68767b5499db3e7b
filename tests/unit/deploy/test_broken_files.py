"""The broken files of docs/how-to/check-settings.md, each with what the gateway says of it."""

import re
from pathlib import Path

import pytest

from tests.support.settings_files import faults, settings_folder, with_line

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "check-settings.md"
ROWS = re.findall(
    r"(?m)^\| `\[(\w+)\]` `(.+)` \| `([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8")
)


def test_there_are_at_least_ten() -> None:
    assert len(ROWS) >= 10


@pytest.mark.parametrize(("table", "line", "key", "reason"), ROWS, ids=[row[1] for row in ROWS])
def test_a_broken_file_is_told_as_the_page_says(
    tmp_path: Path, table: str, line: str, key: str, reason: str
) -> None:
    found = faults(settings_folder(tmp_path), with_line(table, line.replace("` `", "\n")))
    assert {k: r.replace(f"{tmp_path}/", "") for k, r in found.items()} == {key: reason}
