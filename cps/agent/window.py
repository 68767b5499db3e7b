"""The person asked in a window: a small program of its own, whose memory goes when it ends."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cps.agent.pin_entry import POLL_SECONDS, PINRequest, Wanted, new_portal_lines
from cps.authtoken.catalogue import text
from cps.errors import PINCancelledError
from cps.pin import PIN

PROGRAM = Path(__file__).with_name("pin_window.py")
_MAX_ANSWER_BYTES = 64


def window_usable() -> bool:
    """Return whether a window can be shown: Qt is installed and there is a display."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    has_display = sys.platform in ("win32", "darwin") or any(map(os.environ.get, displays))
    return has_display and importlib.util.find_spec("PySide6") is not None


class WindowPINEntry:
    """Asks in a window of another process.

    The toolkit keeps text in strings that nobody can overwrite, insists on a program's main thread,
    and ends a program that has lost its display: all is settled by a process for each question.

    :param program: the window's program; it takes what to show on its standard input, and answers
        with the digits on its standard output and 0, or with 1 where the person says no.
    """

    interactive = True

    def __init__(self, program: Path = PROGRAM) -> None:
        self._program = program
        self._notice: subprocess.Popen[bytes] | None = None

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        digits = self._answer(_pin_question(request), wanted)
        if digits is None:
            raise PINCancelledError("the window was closed")
        try:
            return PIN(digits)
        except ValueError as exc:
            raise PINCancelledError("the window gave no PIN") from exc

    @contextmanager
    def at_keypad(self, request: PINRequest, wanted: Wanted) -> Iterator[None]:
        if request.tries_left == 1 and self._answer(_last_try_question(request), wanted) is None:
            raise PINCancelledError("the last try was not confirmed")
        window = self._open(_keypad_notice(request))
        try:
            yield
        finally:
            _end(window)

    def confirms(self, origin: str, language: str, wanted: Wanted) -> bool:
        return self._answer(_portal_question(origin, language), wanted) is not None

    def tell_blocked(self, request: PINRequest) -> None:
        self.close()
        self._notice = self._open(_blocked_notice(request))

    def rejected(self) -> None:
        """Nothing to do: the person reads it in the next window."""

    def close(self) -> None:
        """Take away the notice that nobody closed."""
        if self._notice is not None:
            _end(self._notice)
            self._notice = None

    def _answer(self, shown: dict[str, object], wanted: Wanted) -> bytearray | None:
        """Return what the window gave, in a buffer of the caller's own; ``None`` for a no."""
        window = self._open(shown)
        try:
            _wait(window, wanted)
            digits = bytearray(_MAX_ANSWER_BYTES)
            assert window.stdout is not None  # noqa: S101 - opened as a pipe
            del digits[window.stdout.readinto(digits) :]  # type: ignore[attr-defined]
        finally:
            _end(window)
        if window.returncode not in (0, 1):
            raise PINCancelledError(f"the window failed, exit code {window.returncode}")
        return digits if window.returncode == 0 else None

    def _open(self, shown: dict[str, object]) -> "subprocess.Popen[bytes]":
        # -I: neither the present folder nor the environment decides what the program imports.
        window = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", str(self._program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert window.stdin is not None  # noqa: S101 - opened as a pipe
        try:
            window.stdin.write(json.dumps(shown).encode("ascii"))
            window.stdin.close()
        except BrokenPipeError:
            pass  # It ended at once; its exit code says so.
        return window


def _wait(window: "subprocess.Popen[bytes]", wanted: Wanted) -> None:
    while True:
        try:
            window.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if not wanted():
                raise PINCancelledError("nobody waits for the answer any more") from None
        else:
            return


def _end(window: "subprocess.Popen[bytes]") -> None:
    if window.poll() is None:
        window.kill()
    with window:
        """Closes the pipes, and waits."""


def _pin_question(request: PINRequest) -> dict[str, object]:
    language = request.language
    return {
        **_about(request),
        "pin": {
            "prompt": text("agent_pin.window_prompt", language),
            "erase": text("agent_pin.erase", language),
            "shortest": PIN.MIN_DIGITS,
            "longest": PIN.MAX_DIGITS,
        },
        "says": {
            name: text(f"agent_pin.{name}", language)
            for name in ("form", "digits_only", "no_paste")
        },
        "tick": _tick(request),
        "accept": text("agent_pin.accept", language),
        "cancel": text("agent_pin.cancel", language),
    }


def _last_try_question(request: PINRequest) -> dict[str, object]:
    return {
        **_about(request),
        "tick": _tick(request),
        "accept": text("agent_pin.go_on", request.language),
        "cancel": text("agent_pin.cancel", request.language),
        "careful": True,
    }


def _keypad_notice(request: PINRequest) -> dict[str, object]:
    about = _about(request)
    instruction = text("agent_pin.at_keypad", request.language)
    return {**about, "lines": [*request.lines(), instruction], "stays": True}


def _blocked_notice(request: PINRequest) -> dict[str, object]:
    return {
        "title": text("agent_pin.title", request.language),
        "lines": request.blocked_lines(),
        "accept": text("agent_pin.close", request.language),
    }


def _portal_question(origin: str, language: str) -> dict[str, object]:
    return {
        "title": text("agent_pin.new_portal_title", language),
        "lines": new_portal_lines(origin, language),
        "accept": text("agent_pin.new_portal_accept", language),
        "cancel": text("agent_pin.new_portal_refuse", language),
        "careful": True,
    }


def _about(request: PINRequest) -> dict[str, object]:
    """Return what each window about this login shows."""
    warnings = request.warnings()
    if request.tries_left == 1:
        warnings.append(text("agent_pin.last_try_warning", request.language))
    return {
        "title": text("agent_pin.title", request.language),
        "alert": text("agent_pin.plain_http", request.language) if request.plain_http else None,
        "lines": request.lines(),
        "warnings": warnings,
    }


def _tick(request: PINRequest) -> str | None:
    return text("agent_pin.last_try_tick", request.language) if request.tries_left == 1 else None
