import sys
from pathlib import Path

import pytest

from cps.demo.processes import DemoError, Programs

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
        with pytest.raises(DemoError, match="short ended by itself"):
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
