"""Files of private keys: closed to other users, and changed whole or not at all."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ConfigurationError


def read_closed(path: Path, *, max_bytes: int) -> bytes:
    """Return what is in *path*.

    :raises OSError: where it cannot be read.
    :raises ValueError: for a file that is open to other users, or larger than *max_bytes*.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ValueError("other users can open it; take that away with chmod go=")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"is larger than {max_bytes} bytes")
    return content


def create(path: Path, content: bytes) -> None:
    """Give a new file with *content* the name *path*, unless another process was first."""
    draft = _write_draft(path, content)
    try:
        path.hardlink_to(draft)
        sync_folder(path.parent)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def replace(path: Path, content: bytes) -> None:
    """Put *content* in the place of what is in *path*, in one step that outlasts a power failure.

    :raises ValueError: where the file belongs to another user.
    """
    _require_own(path)
    draft = _write_draft(path, content)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Let one process at a time change *path*; the lock ends with the process, however it ends.

    :raises ValueError: where the file belongs to another user.
    """
    # Before there is a lock of ours, which the gateway's user could not open.
    _require_own(path)
    # A file of its own: the one with the keys is replaced.
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """Make errors of *path* ones of the configuration, which name it."""
    try:
        yield
    except OSError as exc:
        raise ConfigurationError(str(path), "(file)", f"no access: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(str(path), "(file)", str(exc)) from exc


def _require_own(path: Path) -> None:
    if path.stat().st_uid != os.geteuid():
        # The new file would be ours, and the gateway could not read it.
        raise ValueError("belongs to another user; run this as the gateway's user")


def _write_draft(path: Path, content: bytes) -> Path:
    """Write *content* beside *path*, whole and on the disk, so that a rename is one step."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft


def sync_folder(folder: Path) -> None:
    """Bring the names in *folder* to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
