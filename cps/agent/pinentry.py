"""The person asked by a pinentry program, as GnuPG does it: where Qt or a display is missing.

Source: the manual of pinentry, "pinentry's Assuan protocol"; the manual of Assuan, "Client
requests" and "Server responses".
"""

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from cps.agent.pin_entry import POLL_SECONDS, PINRequest, Wanted, new_portal_lines
from cps.authtoken.catalogue import text
from cps.errors import PINCancelledError
from cps.pin import PIN

GRAPHICAL = ("pinentry-gnome3", "pinentry-qt", "pinentry-gtk-2")
ON_A_TERMINAL = ("pinentry-curses", "pinentry-tty")
MAX_LINE_BYTES = 1000
"""Of the protocol, with the end of the line."""
_MAX_LINES = 100
"""Status lines before an answer; more come from no pinentry."""


def pinentry_program() -> tuple[str, bool] | None:
    """Return the path of a pinentry that can be used here, and whether it wants the terminal."""
    if any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        for name in GRAPHICAL:
            if (path := shutil.which(name)) is not None:
                return path, False
    for name in ON_A_TERMINAL:
        if (path := shutil.which(name)) is not None and _has_terminal():
            return path, True
    return None


class PinentryPINEntry:
    """Asks by a program of its own for each question.

    :param program: the path of the pinentry.
    :param terminal: the device that it is to use, where it wants one.
    """

    interactive = True

    def __init__(self, program: str, terminal: str | None = None) -> None:
        self._program = program
        self._terminal = terminal

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        language, errors = request.language, request.warnings()
        if request.tries_left == 1:
            self._require_last_try(request, wanted)
        while True:
            with self._dialogue(request.plain_lines(), language, wanted) as pinentry:
                pinentry.tell("SETPROMPT", text("agent_pin.window_prompt", language))
                if errors:
                    pinentry.tell("SETERROR", " ".join(errors))
                digits = pinentry.ask("GETPIN")
            if digits is None:
                raise PINCancelledError("cancelled in the pinentry")
            try:
                return PIN(digits)
            except ValueError:
                errors = [text("agent_pin.form", language)]

    @contextmanager
    def at_keypad(self, request: PINRequest, wanted: Wanted) -> Iterator[None]:
        if request.tries_left == 1:
            self._require_last_try(request, wanted)
        # No pinentry shows words without waiting for an answer: the browser's page says the rest.
        yield

    def confirms(self, origin: str, language: str, wanted: Wanted) -> bool:
        with self._dialogue(new_portal_lines(origin, language), language, wanted) as pinentry:
            pinentry.tell("SETOK", text("agent_pin.new_portal_accept", language))
            pinentry.tell("SETCANCEL", text("agent_pin.new_portal_refuse", language))
            return pinentry.ask("CONFIRM") is not None

    def tell_blocked(self, request: PINRequest) -> None:
        """Nothing here: a pinentry waits for an answer, and the browser's page says it."""

    def rejected(self) -> None:
        """Nothing to do: the person reads it in the next question."""

    def close(self) -> None:
        """Nothing is held between two questions."""

    def _require_last_try(self, request: PINRequest, wanted: Wanted) -> None:
        language = request.language
        lines = [*request.plain_lines(), text("agent_pin.last_try_warning", language)]
        with self._dialogue(lines, language, wanted) as pinentry:
            if pinentry.ask("CONFIRM") is None:
                raise PINCancelledError("the last try was not confirmed")

    @contextmanager
    def _dialogue(self, lines: list[str], language: str, wanted: Wanted) -> "Iterator[_Dialogue]":
        try:
            dialogue = _Dialogue(self._program, wanted)
        except OSError as exc:
            raise PINCancelledError(f"{self._program} cannot be run: {exc.strerror}") from exc
        with dialogue:
            if self._terminal is not None:
                dialogue.tell("OPTION", f"ttyname={self._terminal}")
                dialogue.tell("OPTION", f"ttytype={os.environ.get('TERM', 'vt100')}")
            dialogue.tell("OPTION", "lc-ctype=C.UTF-8")
            dialogue.tell("SETTITLE", text("agent_pin.title", language))
            dialogue.tell("SETDESC", "\n".join(lines))
            dialogue.tell("SETOK", text("agent_pin.accept", language))
            dialogue.tell("SETCANCEL", text("agent_pin.cancel", language))
            yield dialogue


class _Dialogue:
    """One running pinentry, until the ``with`` block ends.

    :param wanted: whether the answer is still of use.
    :raises OSError: where the program cannot be run.
    """

    def __init__(self, program: str, wanted: Wanted) -> None:
        self._wanted = wanted
        self._read = bytearray()
        self._process = subprocess.Popen(  # noqa: S603 - a program of the system's
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def __enter__(self) -> Self:
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._read[:] = bytes(len(self._read))
        with suppress(OSError, PINCancelledError):
            self._send("BYE")
        try:
            self._process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        with self._process:
            """Closes the pipes, and waits."""

    def tell(self, command: str, words: str) -> None:
        """Send what needs no answer; an option that this pinentry does not know does not matter."""
        self._send(f"{command} {_escaped(words)}")
        self._answer()

    def ask(self, command: str) -> bytearray | None:
        """Return the data of the answer, the caller's to overwrite; ``None`` for a no."""
        self._send(command)
        return self._answer()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        raw = line.encode("utf-8")
        if len(raw) >= MAX_LINE_BYTES:
            # Cut between letters, and never within one that is escaped.
            raw = raw[: MAX_LINE_BYTES - 1].decode("utf-8", "ignore").rpartition(" ")[0].encode()
        try:
            self._process.stdin.write(raw + b"\n")
        except OSError as exc:
            raise PINCancelledError("the pinentry went away") from exc

    def _answer(self) -> bytearray | None:
        data = bytearray()
        for _ in range(_MAX_LINES):
            line = self._line()
            if line.startswith(b"D "):
                data += memoryview(line)[2:]
            elif line.startswith(b"OK"):
                return data
            elif line.startswith(b"ERR"):
                return None
            line[:] = bytes(len(line))
        raise PINCancelledError("the pinentry says too much")

    def _line(self) -> bytearray:
        """Return the next line without its end, in a buffer of the caller's own."""
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe
        while (end := self._read.find(b"\n")) < 0:
            if len(self._read) > MAX_LINE_BYTES:
                raise PINCancelledError("the pinentry sends a line without end")
            if not select.select([self._process.stdout], [], [], POLL_SECONDS)[0]:
                if not self._wanted():
                    self._process.kill()
                    raise PINCancelledError("nobody waits for the answer any more")
                continue
            chunk = bytearray(MAX_LINE_BYTES)
            count = os.readv(self._process.stdout.fileno(), [chunk])
            if count == 0:
                raise PINCancelledError("the pinentry went away")
            self._read += memoryview(chunk)[:count]
            chunk[:] = bytes(len(chunk))
        line = self._read[:end]
        self._read[: end + 1] = bytes(end + 1)
        del self._read[: end + 1]
        return line


def _escaped(words: str) -> str:
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
