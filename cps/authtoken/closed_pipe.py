"""Both command lines: who reads a command's output may leave before its end, as ``head`` does."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

EXIT_UNREAD = 128 + 13
"""What shells say of other tools then: ended by signal 13, SIGPIPE."""


@contextmanager
def quiet_when_unread() -> Iterator[None]:
    """Have a command whose output nobody reads any more end without a word.

    Not by SIGPIPE itself, which would end the process at any connection that is closed by the other
    side, and in the midst of what it was doing.

    :raises SystemExit: with :data:`EXIT_UNREAD`, once there is nobody.
    """
    shown = sys.stdout
    if shown is not sys.__stdout__ or shown is None or not isinstance(shown, io.TextIOWrapper):
        # Somebody in this process reads it, such as a test.
        yield
        return
    shown.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(shown.fileno(), "w", closefd=False)),
        encoding=shown.encoding,
        errors=shown.errors,
        line_buffering=shown.line_buffering,
        write_through=shown.write_through,
    )
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        finally:
            sys.stdout = shown


class _Output(io.FileIO):
    """Standard output, whose reader's end is no error that a command could take for its own."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            # What is still to be written, at the latest as Python ends, goes nowhere.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            raise SystemExit(EXIT_UNREAD) from None
