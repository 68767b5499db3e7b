"""A file that is read again when it changed; what it said before stays in use until then."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

_T = TypeVar("_T")
_Stamp = tuple[int, int, int]
_log = logging.getLogger(__name__)


class _State(NamedTuple, Generic[_T]):
    """What is known of the file; replaced as one, so that other threads never see a half."""

    stamp: _Stamp | None
    """Time of change, size and inode when it was last read; ``None`` where it cannot be read."""
    current: _T | None
    problem: str | None


class WatchedFile(Generic[_T]):
    """The last good contents of one file."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path, _T | None], _T],
        *,
        label: str | None = None,
        optional: bool = False,
    ) -> None:
        """Nothing is read yet.

        :param read: returns the contents, given those that are in use; raises OSError or ValueError
            where the file is not to be taken.
        :param label: how the file is called in the log; its path where absent.
        :param optional: whether it is no problem that there is no such file.
        """
        self.label = label or str(path)
        self._path = path
        self._read = read
        self._optional = optional
        self._state: _State[_T] = _State(None, None, None)

    @property
    def current(self) -> _T | None:
        """What the file said when it was last good: in use, whatever became of the file."""
        return self._state.current

    @property
    def problem(self) -> str | None:
        """Why the file as it is now was not taken."""
        return self._state.problem

    def look(self) -> bool:
        """Read the file if it changed; return whether other contents are in use now."""
        stamp: _Stamp | None = None
        before = self._state
        try:
            # Taken before reading: a file written to meanwhile has another one next time.
            stamp = _stamp(self._path)
            if stamp == before.stamp:
                return False
            fresh = self._read(self._path, before.current)
        except FileNotFoundError as exc:
            problem = None if self._optional and before.current is None else str(exc.strerror)
            self._keep(stamp, problem)
            return False
        except OSError as exc:
            self._keep(stamp, f"cannot be read: {exc.strerror}")
            return False
        except ValueError as exc:
            self._keep(stamp, str(exc))
            return False
        self._state = _State(stamp, fresh, None)
        _log.info("%s: read", self.label)
        return True

    def _keep(self, stamp: _Stamp | None, problem: str | None) -> None:
        before = self._state
        if problem is not None and problem != before.problem:
            _log.error(
                "%s: not taken: %s; in use: %s",
                self.label,
                problem,
                "nothing" if before.current is None else "what it said before",
            )
        self._state = _State(stamp, before.current, problem)


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
