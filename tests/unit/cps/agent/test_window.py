"""The agent's side of the PIN window: a program of its own, made up here."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cps.agent.window import WindowPINEntry, window_usable
from cps.authtoken.catalogue import text
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


def told_by(window: Callable[[str], WindowPINEntry], told: Path) -> WindowPINEntry:
    """Return an entry whose window writes down what it is given, and says yes."""
    return window(
        READ + f"texts['isolated'] = sys.flags.isolated; "
        f"json.dump(texts, open({str(told)!r}, 'w')); sys.stdout.write('4711')"
    )


def test_the_window_gets_every_text_and_runs_isolated(
    window: Callable[[str], WindowPINEntry], tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    request = pin_request(tries_left=1, was_wrong=True, plain_http=True)
    told_by(window, told).ask(request, lambda: True).wipe()
    texts = json.loads(told.read_text(encoding="utf-8"))
    assert texts["isolated"] == 1
    assert "DÉVELOPPEMENT" in texts["alert"]
    last_try = text("agent_pin.last_try_warning", "fr")
    assert (texts["lines"], texts["warnings"]) == (request.lines(), [*request.warnings(), last_try])
    assert texts["tick"] == text("agent_pin.last_try_tick", "fr")
    assert (texts["pin"]["shortest"], texts["pin"]["longest"]) == (4, 8)


def test_a_new_portal_is_asked_about(
    window: Callable[[str], WindowPINEntry], tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    assert told_by(window, told).confirms("https://new.example", "fr", lambda: True)
    assert "https://new.example" in told.read_text(encoding="utf-8")
    assert not window("import sys; sys.exit(1)").confirms("https://x.example", "fr", lambda: True)


def test_while_the_keypad_works_its_notice_is_shown_and_goes_afterwards(
    window: Callable[[str], WindowPINEntry], tmp_path: Path
) -> None:
    shown, over = tmp_path / "shown", tmp_path / "over"
    entry = window(
        f"import pathlib, time; pathlib.Path({str(shown)!r}).touch(); time.sleep(5); "
        f"pathlib.Path({str(over)!r}).touch()"
    )
    with entry.at_keypad(pin_request(), lambda: True):
        deadline = time.monotonic() + 5
        while not shown.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert shown.exists()
    assert not over.exists()


def test_the_last_try_at_a_keypad_is_confirmed_before(
    window: Callable[[str], WindowPINEntry],
) -> None:
    entry = window("import sys; sys.exit(1)")
    with (
        pytest.raises(PINCancelledError, match="last try"),
        entry.at_keypad(pin_request(tries_left=1), lambda: True),
    ):
        raise AssertionError("the keypad must not be asked")


def test_a_blocked_card_is_told_without_waiting_and_taken_away_at_the_end(
    window: Callable[[str], WindowPINEntry],
) -> None:
    entry = window("import time; time.sleep(60)")
    entry.tell_blocked(pin_request())
    entry.tell_blocked(pin_request())
    notice = entry._notice
    assert notice is not None
    assert notice.poll() is None
    entry.close()
    entry.close()
    assert notice.poll() is not None


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
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert not window_usable()


def test_without_qt_no_window_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not window_usable()
