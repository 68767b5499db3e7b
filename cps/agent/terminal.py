"""The PIN from the terminal that the agent was started in, without echo."""

import os
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from cps.agent.pin_entry import POLL_SECONDS, PINRequest, Wanted
from cps.authtoken.catalogue import text
from cps.errors import PINCancelledError
from cps.pin import PIN

_LINE_BYTES = 256
_LOCAL_MODES = 3
"""Place of the local modes, with ECHO, in what tcgetattr returns."""


class TerminalPINEntry:
    """Asks on the controlling terminal, whatever standard input and output are.

    :param path: the terminal's device.
    """

    interactive = True

    def __init__(self, path: str = "/dev/tty") -> None:
        self._path = path

    def usable(self) -> bool:
        """Return whether there is a terminal to ask on."""
        try:
            os.close(self._open())
        except OSError:
            return False
        return True

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        try:
            descriptor = self._open()
        except OSError as exc:
            raise PINCancelledError("no terminal to ask on") from exc
        try:
            return _Dialogue(descriptor, request.language, wanted).ask(request)
        except (OSError, termios.error) as exc:
            raise PINCancelledError("the terminal went away") from exc
        finally:
            os.close(descriptor)

    def rejected(self) -> None:
        """Nothing to do: the person reads it in the next question."""

    def close(self) -> None:
        """Nothing is held between two questions."""

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_NOCTTY)


class _Dialogue:
    def __init__(self, descriptor: int, language: str, wanted: Wanted) -> None:
        self._descriptor = descriptor
        self._language = language
        self._wanted = wanted

    def ask(self, request: PINRequest) -> PIN:
        self._write("\n" + "\n".join(request.lines()) + "\n")
        if request.tries_left == 1:
            self._confirm_last_try()
        while True:
            with self._echo_off():
                # Asked only now: whoever answers at once must not see the PIN on the screen.
                self._write(text("agent_pin.prompt", self._language) + " ")
                digits = self._read_line()
            self._write("\n")
            if not digits:
                raise PINCancelledError("an empty line was typed")
            try:
                return PIN(digits)
            except ValueError:
                self._write(text("agent_pin.form", self._language) + "\n")

    def _confirm_last_try(self) -> None:
        word = text("agent_pin.confirm_word", self._language)
        termios.tcflush(self._descriptor, termios.TCIFLUSH)
        self._write(text("agent_pin.last_try", self._language, word=word) + " ")
        if self._read_line().decode("utf-8", "replace").strip().casefold() != word.casefold():
            raise PINCancelledError("the last try was not confirmed")

    def _read_line(self) -> bytearray:
        """Return one line without its end, in a buffer that no copy was made of."""
        while not select.select([self._descriptor], [], [], POLL_SECONDS)[0]:
            if not self._wanted():
                raise PINCancelledError("nobody waits for the sign-in any more")
        line = bytearray(_LINE_BYTES)
        del line[os.readv(self._descriptor, [line]) :]
        while line.endswith((b"\n", b"\r")):
            del line[-1]
        return line

    @contextmanager
    def _echo_off(self) -> Iterator[None]:
        before = termios.tcgetattr(self._descriptor)
        silent = termios.tcgetattr(self._descriptor)
        silent[_LOCAL_MODES] &= ~termios.ECHO
        # Flushed on both ends: what was typed ahead is not the PIN, and a PIN half typed when the
        # time is over does not end up in the shell.
        termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, silent)
        try:
            yield
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, before)

    def _write(self, words: str) -> None:
        os.write(self._descriptor, words.encode("utf-8", "replace"))
