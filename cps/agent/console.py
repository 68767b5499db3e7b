"""The controlling terminal, whatever standard input and output are: for POSIX systems."""

import os
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from cps.agent.pin_entry import POLL_SECONDS, Wanted
from cps.errors import PINCancelledError

_LINE_BYTES = 256
_LOCAL_MODES = 3
"""Place of the local modes, with ECHO, in what tcgetattr returns."""


def _always() -> bool:
    return True


class Console:
    """A terminal to ask a person on, until the ``with`` block ends.

    Every method raises :class:`OSError` or :class:`termios.error` where the terminal went away.

    :param path: the terminal's device.
    :raises OSError: where there is none.
    """

    def __init__(self, path: str = "/dev/tty") -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def write(self, words: str) -> None:
        """Show *words*."""
        os.write(self._descriptor, words.encode("utf-8", "replace"))

    def ask(self, question: str, wanted: Wanted = _always) -> str:
        """Return the line typed after *question*; what was typed before it does not count.

        :raises PINCancelledError: where the answer is not wanted any more.
        """
        termios.tcflush(self._descriptor, termios.TCIFLUSH)
        self.write(f"{question} ")
        return self._read_line(wanted).decode("utf-8", "replace").strip()

    def ask_hidden(self, question: str, wanted: Wanted = _always) -> bytearray:
        """Return the line typed after *question*, shown nowhere, in a buffer without a copy.

        :raises PINCancelledError: where the answer is not wanted any more.
        """
        with self._echo_off():
            # Asked only now: whoever answers at once must not see the answer on the screen.
            self.write(f"{question} ")
            line = self._read_line(wanted)
        self.write("\n")
        return line

    def _read_line(self, wanted: Wanted) -> bytearray:
        while not select.select([self._descriptor], [], [], POLL_SECONDS)[0]:
            if not wanted():
                raise PINCancelledError("nobody waits for the answer any more")
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
        # Flushed on both ends: what was typed ahead is not the answer, and one half typed when the
        # time is over does not end up in the shell.
        termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, silent)
        try:
            yield
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, before)
