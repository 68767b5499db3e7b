"""Commands whose reader leaves end like other tools: without a word, and with things put right."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cps.authtoken.closed_pipe import EXIT_UNREAD, quiet_when_unread

PROJECT = Path(__file__).parents[4]
SECONDS = 60
PROGRAM = """
import sys
from cps.authtoken.closed_pipe import quiet_when_unread

with quiet_when_unread():
    try:
        {work}
    except OSError:
        print("taken for an error of the command's own", file=sys.stderr)
    finally:
        print("put right", file=sys.stderr)
"""


def run_unread(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with an output that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            timeout=SECONDS,
            check=False,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param('print("short")', id="left in the buffer"),
        pytest.param('print("now", flush=True)', id="flushed"),
        pytest.param('print("x" * 100_000)', id="more than the buffer"),
    ],
)
def test_nobody_reads_and_nothing_is_said(work: str) -> None:
    done = run_unread("-c", PROGRAM.format(work=work))
    assert done.returncode == EXIT_UNREAD
    assert done.stderr == "put right\n"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("cps.main", "virtual", "--help"), id="cps, help"),
        pytest.param(("cps.main", "virtual", "list", "--help"), id="cps, help of a part"),
        pytest.param(("gateway.main", "--version"), id="cps-gateway, version"),
        pytest.param(("gateway.main", "init", "--help"), id="cps-gateway, help"),
    ],
)
def test_every_command_line_is_quiet(command: tuple[str, ...]) -> None:
    done = run_unread("-m", *command)
    assert (done.returncode, done.stderr) == (EXIT_UNREAD, "")


def test_what_is_read_arrives_whole_and_in_order() -> None:
    program = (
        "import sys; from cps.authtoken.closed_pipe import quiet_when_unread\n"
        "print('before')\n"
        "with quiet_when_unread():\n    print('é' * 50_000)\n"
        "print('after')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        cwd=PROJECT,
        timeout=SECONDS,
        check=True,
    )
    assert done.stdout.decode() == "before\n" + "é" * 50_000 + "\nafter\n"


def test_an_output_of_this_process_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with quiet_when_unread():
        assert sys.stdout is before
        print("seen")
    assert capsys.readouterr().out == "seen\n"
