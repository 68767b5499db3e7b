"""The PIN from a window: a small program of its own, whose memory goes when it ends."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cps.agent.pin_entry import POLL_SECONDS, PINRequest, Wanted
from cps.authtoken.catalogue import text
from cps.errors import PINCancelledError
from cps.pin import PIN

PROGRAM = Path(__file__).with_name("pin_window.py")
_MAX_ANSWER_BYTES = 64


def window_usable() -> bool:
    """Return whether a window can be shown: tkinter is installed and there is a display."""
    has_display = sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY"))
    return has_display and importlib.util.find_spec("_tkinter") is not None


class WindowPINEntry:
    """Asks in a window of another process.

    The toolkit keeps text in strings that nobody can overwrite, and insists on a program's main
    thread: both are settled by a process that lives for one question.

    :param program: the window's program; it takes the texts on its standard input, and answers
        with the digits on its standard output and 0, or with 1 where the person says no.
    """

    interactive = True

    def __init__(self, program: Path = PROGRAM) -> None:
        self._program = program

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        # -I: neither the present folder nor the environment decides what the program imports.
        window = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", str(self._program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        with window:
            assert window.stdin is not None  # noqa: S101 - opened above
            try:
                window.stdin.write(_texts(request))
                window.stdin.close()
            except BrokenPipeError:
                pass  # It ended at once; its exit code says so below.
            self._wait(window, wanted)
            digits = bytearray(_MAX_ANSWER_BYTES)
            del digits[window.stdout.readinto(digits) :]  # type: ignore[union-attr]
        if window.returncode != 0:
            raise PINCancelledError(f"the window was closed, exit code {window.returncode}")
        try:
            return PIN(digits)
        except ValueError as exc:
            raise PINCancelledError("the window gave no PIN") from exc

    @contextmanager
    def at_keypad(self, request: PINRequest, wanted: Wanted) -> Iterator[None]:
        yield

    def tell_blocked(self, request: PINRequest) -> None:
        """Nothing yet."""

    def rejected(self) -> None:
        """Nothing to do: the person reads it in the next window."""

    def close(self) -> None:
        """Nothing is held between two questions."""

    def _wait(self, window: "subprocess.Popen[bytes]", wanted: Wanted) -> None:
        while True:
            try:
                window.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if wanted():
                    continue
                window.kill()
                raise PINCancelledError("nobody waits for the sign-in any more") from None
            else:
                return


def _texts(request: PINRequest) -> bytes:
    language = request.language
    word = text("agent_pin.confirm_word", language)
    return json.dumps(
        {
            "title": text("agent_pin.title", language),
            "lines": request.lines(),
            "warns": request.plain_http,
            "prompt": text("agent_pin.window_prompt", language),
            "form": text("agent_pin.form", language),
            "accept": text("agent_pin.accept", language),
            "cancel": text("agent_pin.cancel", language),
            "confirm": (
                text("agent_pin.last_try", language, word=word) if request.tries_left == 1 else None
            ),
            "word": word,
            "min_digits": PIN.MIN_DIGITS,
            "max_digits": PIN.MAX_DIGITS,
        }
    ).encode("ascii")
