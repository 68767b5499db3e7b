"""The agent's side of the PIN window: a program of its own, made up here."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cps.agent.window import PROGRAM, WindowPINEntry, window_usable
from cps.errors import PINCancelledError
from tests.unit.cps.agent.test_pin_entry import pin_request

READ = "import json, sys; texts = json.load(sys.stdin); "


@pytest.fixture
def window(tmp_path: Path) -> Callable[[str], WindowPINEntry]:
    def make(program: str) -> WindowPINEntry:
        file = tmp_path / "window.py"
        file.write_text(program, encoding="utf-8")
        return WindowPINEntry(file)

    return make


def test_the_digits_come_back(window: Callable[[str], WindowPINEntry]) -> None:
    entry = window(READ + "sys.stdout.write('4711')")
    with entry.ask(pin_request(), lambda: True) as pin:
        assert pin.digits() == b"4711"


def test_the_window_gets_every_text_and_runs_isolated(
    window: Callable[[str], WindowPINEntry], tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    entry = window(
        READ + f"texts['isolated'] = sys.flags.isolated; "
        f"json.dump(texts, open({str(told)!r}, 'w')); sys.stdout.write('4711')"
    )
    entry.ask(pin_request(tries_left=1, plain_http=True), lambda: True).wipe()
    texts = json.loads(told.read_text(encoding="utf-8"))
    assert texts["isolated"] == 1
    assert texts["warns"]
    assert texts["lines"] == pin_request(tries_left=1, plain_http=True).lines()
    assert texts["word"] in texts["confirm"]
    assert (texts["min_digits"], texts["max_digits"]) == (4, 8)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(READ + "sys.exit(1)", id="cancelled"),
        pytest.param("import sys; sys.exit(1)", id="ended-at-once"),
        pytest.param("import sys; sys.stderr = None; raise SystemExit('no display')", id="failed"),
        pytest.param(READ + "sys.stdout.write('12')", id="too-short"),
        pytest.param(READ + "sys.stdout.write('x' * 1000)", id="no-digits"),
        pytest.param(READ, id="nothing"),
    ],
)
def test_anything_but_a_pin_cancels(
    window: Callable[[str], WindowPINEntry], program: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PINCancelledError):
        window(program).ask(pin_request(), lambda: True)


def test_the_window_goes_when_nobody_waits(window: Callable[[str], WindowPINEntry]) -> None:
    entry = window(READ + "import time; time.sleep(60)")
    asked = threading.Event()

    def wanted() -> bool:
        asked.set()
        return False

    with pytest.raises(PINCancelledError, match="nobody waits"):
        entry.ask(pin_request(), wanted)
    assert asked.is_set()


def test_without_a_display_no_window_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert not window_usable()


def test_the_windows_program_is_there_and_imports_nothing_of_ours() -> None:
    source = PROGRAM.read_text(encoding="utf-8")
    assert "import cps" not in source
    assert "from cps" not in source
