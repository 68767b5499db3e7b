import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cps.demo.processes import DemoError, Programs, Stopped, stopped_by_signals

READY = "import time; print('ready now', flush=True); time.sleep(60)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_programs_are_ready_when_started_and_gone_afterwards(tmp_path: Path) -> None:
    with Programs(tmp_path) as programs:
        first = programs.start("first", python(READY), ready="ready")
        second = programs.start("second", python(READY), ready="ready")
        programs.require_alive()
    assert not first.alive
    assert not second.alive


def test_a_program_that_fails_is_shown_with_its_last_words(tmp_path: Path) -> None:
    with (
        Programs(tmp_path) as programs,
        pytest.raises(DemoError, match=r"(?s)broken did not start.*out of paper"),
    ):
        programs.start("broken", python("raise SystemExit('out of paper')"), ready="ready")


def test_a_program_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    with Programs(tmp_path) as programs:
        program = programs.start("short", python("print('ready')"), ready="ready")
        program._process.wait()
        with pytest.raises(DemoError, match=r"short ended by itself \(exit code 0\)"):
            programs.require_alive()


def test_a_program_that_may_end_ends_nothing(tmp_path: Path) -> None:
    with Programs(tmp_path) as programs:
        program = programs.start("short", python("print('ready')"), ready="ready", may_end=True)
        program._process.wait()
        programs.require_alive()


def test_a_program_that_ignores_the_request_to_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cps.demo.processes.STOP_SECONDS", 0.2)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY
    with Programs(tmp_path) as programs:
        program = programs.start("deaf", python(deaf), ready="ready")
    assert not program.alive


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_a_program_ends_the_demo_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    started = []

    def run() -> None:
        with stopped_by_signals(), Programs(tmp_path) as programs:
            started.append(programs.start("first", python(READY), ready="ready"))
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(Stopped):
        run()
    (program,) = started
    assert not program.alive
    assert signal.getsignal(number) is before


def test_programs_end_with_a_demo_that_is_killed(tmp_path: Path) -> None:
    demo = (
        "import os, pathlib, sys; from cps.demo.processes import Programs\n"
        f"programs = Programs(pathlib.Path({str(tmp_path)!r}))\n"
        f"program = programs.start('child', [sys.executable, '-c', {READY!r}], ready='ready')\n"
        "print(program.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    output = subprocess.run(python(demo), stdout=subprocess.PIPE, text=True, check=False).stdout
    deadline = time.monotonic() + 5
    while Path(f"/proc/{int(output)}/cmdline").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{int(output)}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.02)
    else:
        assert time.monotonic() < deadline, "the child outlived the demo"
