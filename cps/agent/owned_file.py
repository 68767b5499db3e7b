"""Files that decide something: read only where they are this user's and closed to others."""

import os
import stat
from pathlib import Path

from cps.agent.errors import ConfigurationError


def read_owned(
    path: Path, *, forbidden_mode: int, max_bytes: int, owner: int | None = None
) -> bytearray:
    """Return the content of a regular file that belongs to one user.

    Owner and mode are those of the file that was opened, so that it cannot be exchanged between
    the look and the reading. On Windows, where they mean nothing, they are not looked at.

    :param forbidden_mode: permission bits of which none may be set, such as ``0o177``.
    :param max_bytes: the size allowed.
    :param owner: that user's number; the present user where absent.
    :returns: a buffer of the caller's own, to be overwritten where it holds a secret.
    :raises ConfigurationError: with the path and the reason.
    """
    # Without O_NONBLOCK a named pipe would hold the program until somebody wrote to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise ConfigurationError(str(path), "not a regular file")
            if os.name == "posix":
                _require_private(path, facts, forbidden_mode, owner)
            content = bytearray(max_bytes + 1)
            del content[file.readinto(content) :]
    except OSError as exc:
        raise ConfigurationError(str(path), exc.strerror or "cannot be read") from exc
    if len(content) > max_bytes:
        raise ConfigurationError(str(path), f"more than {max_bytes} bytes")
    return content


def require_owned_folder(path: Path, *, forbidden_mode: int, owner: int) -> None:
    """Check that nobody else can put another file in the place of one in this folder.

    :raises ConfigurationError: with the path and the reason.
    """
    if os.name == "posix":
        _require_private(path, path.stat(), forbidden_mode, owner)


def _require_private(
    path: Path, facts: os.stat_result, forbidden_mode: int, owner: int | None
) -> None:
    if facts.st_uid != (os.getuid() if owner is None else owner):
        wanted = "this user" if owner is None else f"user {owner}"
        raise ConfigurationError(str(path), f"belongs to user {facts.st_uid}, not to {wanted}")
    if facts.st_mode & forbidden_mode:
        allowed = 0o777 & ~forbidden_mode
        raise ConfigurationError(
            str(path),
            f"mode {stat.S_IMODE(facts.st_mode):04o} lets others in: at most {allowed:04o}",
        )
