"""The audit log: one JSON line for each decision."""

import json
import os
import threading
from pathlib import Path
from typing import TextIO

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError

MAX_TEXT_CHARS = 500
"""Longest text in a line; the rest is cut, so that nobody can fill the disk with one request."""
MAX_ITEMS = 20
"""Most entries of a list in a line."""

AuditValue = str | int | bool | None | list[str]
"""What a field of a line may hold."""
_OWN_FIELDS = frozenset({"time", "event", "environment"})


class AuditLog:
    """Writes decisions to a file or a stream, each with one write, from any thread or process.

    A decision that cannot be written is not taken: :meth:`record` raises, and a login that is to
    be recorded before its session exists then has none. The file is opened for each line, so that
    it can be moved away at any time.

    :param target: a file, made with mode 0600 where it is missing, or an open text stream.
    :param is_test: whether test cards are let in, which every line then says.
    """

    def __init__(self, target: Path | TextIO, clock: Clock, *, is_test: bool = False) -> None:
        self._own = {"environment": "test"} if is_test else {}
        self._target = target
        self._clock = clock
        self._lock = threading.Lock()

    def record(self, event: str, /, **fields: AuditValue) -> None:
        """Write one line with the time, *event* and *fields*.

        :param event: the decision's name.
        :param fields: never a secret; control characters are escaped, long texts cut.
        :raises StoreUnavailableError: where the line cannot be written whole.
        :raises TypeError: for a field of another type, or one with a name of the log's own.
        """
        if _OWN_FIELDS & fields.keys():
            raise TypeError(f"{', '.join(sorted(_OWN_FIELDS))} are the log's own fields")
        line = {
            "time": self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event": event,
            **self._own,
            **{name: _bounded(name, value) for name, value in fields.items()},
        }
        # ASCII alone: no character of a value can end the line or turn its direction.
        text = json.dumps(line, ensure_ascii=True) + "\n"
        try:
            if isinstance(self._target, Path):
                _append(self._target, text.encode("ascii"))
            else:
                with self._lock:
                    self._target.write(text)
                    self._target.flush()
        except (OSError, ValueError) as exc:
            raise StoreUnavailableError(f"the audit log cannot be written: {exc}") from exc


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError("only a part of the line was written")
    finally:
        os.close(descriptor)


def _bounded(name: str, value: object) -> AuditValue:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return value[:MAX_TEXT_CHARS]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [item[:MAX_TEXT_CHARS] for item in value[:MAX_ITEMS]]
    raise TypeError(f"audit field {name}: {type(value).__name__} is not allowed")
