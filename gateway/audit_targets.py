"""Where lines of the audit log go: a file, a stream, the system's log, or a chain of files."""

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TextIO

from gateway.journal.chain import Chain
from gateway.journal.line import FieldValue

MAX_SYSLOG_BYTES = 8000
"""Longest line sent to the system's log, whose daemons cut what is longer: half a line is none."""
SYSLOG_SECONDS = 2.0
"""Longest wait for the system's log to take a line."""
SHORT_TEXT_CHARS = 100
"""Length of texts in a line that would be too long for the system's log."""
SHORT_ITEMS = 5
"""Entries of lists in such a line."""

# Facility 10 (security), severity 5 (notice). Source: RFC 5424 §6.2.1.
_PRIORITY = 10 * 8 + 5
_LINE_SECONDS = 0.01
"""Longer than another process takes to write a line."""

Line = Mapping[str, FieldValue]


class AuditTarget(Protocol):
    """Takes lines, from any thread; each is there at the return, or an error is raised."""

    def write(self, line: Line) -> None:
        """Write one line.

        :param line: of bounded size.
        :raises OSError: where it cannot be written whole.
        :raises ValueError: likewise.
        :raises StoreUnavailableError: likewise.
        """


class StreamTarget:
    """An open text stream, such as standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, line: Line) -> None:
        with self._lock:
            self._stream.write(json_line(line))
            self._stream.flush()


class FileTarget:
    """A file, opened for each line, so that it can be moved away at any time.

    :param path: made with mode 0600 where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: Line) -> None:
        content = json_line(line).encode("ascii")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            if self._ends_open(descriptor) and self._stays_open(descriptor):
                content = b"\n" + content
            if os.write(descriptor, content) != len(content):
                raise OSError("only a part of the line was written")
        finally:
            os.close(descriptor)

    def _stays_open(self, descriptor: int) -> bool:
        """Return whether that line was cut off, by a full disk or a crash, and not just begun."""
        time.sleep(_LINE_SECONDS)
        return self._ends_open(descriptor)

    def _ends_open(self, descriptor: int) -> bool:
        """Return whether the file ends in a line without its end."""
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return False
        try:
            with self._path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except OSError:
            # One that may only be written to, or was moved away just now: its line is written.
            return False


class SyslogTarget:
    """The system's log, behind the Unix socket on which its daemon waits.

    :param path: usually ``/dev/log``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: Line) -> None:
        text = json_line(line)
        if len(text) > MAX_SYSLOG_BYTES:
            text = json_line({name: _shortened(value) for name, value in line.items()})
        message = f"<{_PRIORITY}>cps-gateway[{os.getpid()}]: {text.rstrip()}"
        # A connection for each line: the daemon may have been started again since the last one.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SYSLOG_SECONDS)
            sender.connect(str(self._path))
            sender.send(message.encode("ascii"))


class ChainTarget:
    """A chain of files, in which no line can be changed or removed unseen."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def write(self, line: Line) -> None:
        self._chain.append([line])


def json_line(line: Line) -> str:
    """Return *line* as JSON with its end.

    All of it is ASCII: no character of a value can end the line or turn its direction.
    """
    return json.dumps(line, ensure_ascii=True) + "\n"


def _shortened(value: FieldValue) -> FieldValue:
    if isinstance(value, str):
        return value[:SHORT_TEXT_CHARS]
    if isinstance(value, list):
        return [item[:SHORT_TEXT_CHARS] for item in value[:SHORT_ITEMS]]
    return value
