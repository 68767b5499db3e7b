"""The example of a portal's own tests passes, as its reader runs it."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "portal-tests"
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "test-your-portal.md"
SECONDS = 110
WITH_READER = "test_a_card_in_a_real_reader_opens_the_portal"


def run_example(*options: str, **environment: str) -> str:
    """Return what pytest says of the example."""
    # No settings of this project: the example is another one.
    alone = ("-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider")
    strict = ("-W", "error", "--strict-markers")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *alone, *strict, *options],
        cwd=EXAMPLE,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_portals_tests_pass_without_any_reader() -> None:
    assert "8 passed, 1 deselected" in run_example("--deselect", f"test_portal.py::{WITH_READER}")


@pytest.mark.pcscd
@pytest.mark.usefixtures("pcscd")
def test_a_portals_test_passes_with_a_real_reader() -> None:
    # We have the reader to ourselves, by a lock in the temporary folder: theirs is another one.
    with TemporaryDirectory(prefix="cps-") as folder:
        said = run_example("-k", WITH_READER, TMPDIR=folder)

    assert "1 passed, 8 deselected" in said


def test_the_page_about_it_shows_what_the_example_does() -> None:
    page = HOW_TO.read_text(encoding="utf-8")
    blocks = page.split("```python\n")[1:]
    tests = (EXAMPLE / "test_portal.py").read_text(encoding="utf-8")

    shown = [block.split("```")[0].strip() for block in blocks]
    assert shown
    assert [block for block in shown if block not in tests] == []
