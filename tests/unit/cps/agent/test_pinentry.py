"""The Assuan protocol with a pinentry made up here, and with a real one where it is installed."""

import os
import pty
import shutil
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cps.agent.pinentry import PinentryPINEntry, pinentry_program
from cps.errors import PINCancelledError
from tests.unit.cps.agent.test_pin_entry import pin_request

if os.name != "posix":
    pytest.skip("pinentry is for POSIX systems", allow_module_level=True)

HEAD = f"""#!{sys.executable}
import sys, time
heard = open(sys.argv[0] + ".heard", "a", encoding="utf-8")
print("OK Pleased to meet you", flush=True)
for line in sys.stdin:
    heard.write(line)
    heard.flush()
    command = line.split()[0]
    if command == "GETPIN":
        {{get_pin}}
    elif command == "CONFIRM":
        print({{confirm!r}}, flush=True)
    elif command == "BYE":
        print("OK closing", flush=True)
        break
    else:
        print("ERR 83886254 Unknown" if line.startswith("OPTION lc") else "OK", flush=True)
"""
RIGHT = "print('S PASSPHRASE_FROM_CACHE\\nD 4711\\nOK', flush=True)"

Make = Callable[..., PinentryPINEntry]


@pytest.fixture
def pinentry(tmp_path: Path) -> Make:
    def make(
        get_pin: str = RIGHT, confirm: str = "OK", terminal: str | None = None
    ) -> PinentryPINEntry:
        file = tmp_path / "pinentry"
        file.write_text(HEAD.format(get_pin=get_pin, confirm=confirm), encoding="utf-8")
        file.chmod(0o700)
        return PinentryPINEntry(str(file), terminal)

    return make


def heard(tmp_path: Path) -> str:
    return (tmp_path / "pinentry.heard").read_text(encoding="utf-8")


def always() -> bool:
    return True


def test_the_digits_come_back_and_every_fact_was_shown(pinentry: Make, tmp_path: Path) -> None:
    with pinentry(terminal="/dev/pts/7").ask(pin_request(was_wrong=True), always) as pin:
        assert pin.digits() == b"4711"
    told = heard(tmp_path)
    for fact in ("https://portal.example", "CAMILLE EXEMPLE", "5678", "ttyname=/dev/pts/7"):
        assert fact in told
    assert "SETERROR Le code tapé était faux." in told
    assert "4711" not in told


def test_what_a_gateway_says_adds_no_command(pinentry: Make, tmp_path: Path) -> None:
    assert pinentry().confirms("https://x.example\nGETPIN\n%00", "fr", always)
    assert "https://x.example%0AGETPIN%0A%2500" in heard(tmp_path)


def test_what_is_no_pin_is_asked_again(pinentry: Make, tmp_path: Path) -> None:
    marker = tmp_path / "once"
    entry = pinentry(
        f"import os; print('D ' + ('4711' if os.path.exists({str(marker)!r}) else '47')); "
        f"open({str(marker)!r}, 'w'); print('OK', flush=True)"
    )
    with entry.ask(pin_request(), always) as pin:
        assert pin.digits() == b"4711"
    assert heard(tmp_path).count("GETPIN") == 2


@pytest.mark.parametrize(
    "get_pin",
    [
        pytest.param("print('ERR 83886179 Operation cancelled', flush=True)", id="cancelled"),
        pytest.param("sys.exit(1)", id="went away"),
        pytest.param("print('S x\\n' * 200, flush=True)", id="says too much"),
        pytest.param("print('D ' + 'x' * 5000, flush=True)", id="line without end"),
    ],
)
def test_anything_but_an_answer_is_a_no(pinentry: Make, get_pin: str) -> None:
    with pytest.raises(PINCancelledError):
        pinentry(get_pin).ask(pin_request(), always)


def test_the_last_try_is_confirmed_before_the_pin(pinentry: Make, tmp_path: Path) -> None:
    with pytest.raises(PINCancelledError, match="last try"):
        pinentry(confirm="ERR 1 no").ask(pin_request(tries_left=1), always)
    assert "GETPIN" not in heard(tmp_path)
    with pinentry().ask(pin_request(tries_left=1), always) as pin:
        assert pin.digits() == b"4711"


def test_the_last_try_at_a_keypad_is_confirmed_too(pinentry: Make) -> None:
    with (
        pytest.raises(PINCancelledError),
        pinentry(confirm="ERR 1 no").at_keypad(pin_request(tries_left=1), always),
    ):
        raise AssertionError("the keypad must not be asked")


def test_a_question_that_nobody_waits_for_goes_away(pinentry: Make) -> None:
    with pytest.raises(PINCancelledError, match="nobody waits"):
        pinentry("time.sleep(60)").ask(pin_request(), lambda: False)


def test_a_program_that_is_not_there_is_a_no() -> None:
    with pytest.raises(PINCancelledError, match="cannot be run"):
        PinentryPINEntry("/nonexistent/pinentry").ask(pin_request(), always)


def test_a_graphical_one_is_taken_where_there_is_a_display(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = {"pinentry-qt": "/bin/pinentry-qt", "pinentry-tty": "/bin/pinentry-tty"}
    monkeypatch.setattr(shutil, "which", installed.get)
    monkeypatch.setenv("DISPLAY", ":0")
    assert pinentry_program() == ("/bin/pinentry-qt", False)
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("cps.agent.pinentry._has_terminal", lambda: True)
    assert pinentry_program() == ("/bin/pinentry-tty", True)
    monkeypatch.setattr("cps.agent.pinentry._has_terminal", lambda: False)
    assert pinentry_program() is None


@pytest.mark.skipif(shutil.which("pinentry-curses") is None, reason="needs pinentry-curses")
def test_a_real_pinentry_takes_a_pin_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))

    def type_pin() -> None:
        seen = b""
        while b"Valider" not in seen:
            seen += os.read(ours, 4096)
        os.write(ours, b"4711\r")
        # What it draws must be read, or it would wait.
        while os.read(ours, 4096):
            pass

    threading.Thread(target=type_pin, daemon=True).start()
    entry = PinentryPINEntry("pinentry-curses", os.ttyname(theirs))
    with entry.ask(pin_request(), always) as pin:
        assert pin.digits() == b"4711"
