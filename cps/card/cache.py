"""What was read of a card, kept for its next login: a cold login reads for a second and more.

A cache may only be faster, never decide: whoever uses what comes from here has the card prove it.
So nothing here fails. A file that is damaged, of another user or open to others counts for nothing.
"""

import hashlib
import hmac
import json
import logging
import os
import secrets
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cps.card.credential import MAX_DIRECTORY_FILES, CardFiles

MAX_FILE_BYTES = 131_072
"""Of one card: twelve directory files and a certificate, at their limits, in base64."""
MAX_CARDS = 64
"""How many cards are remembered; the one whose file is oldest goes first."""

_VERSION = 1
_SUFFIX = ".json"
_OTHERS = 0o077
_LOG = logging.getLogger(__name__)


class CardCache(Protocol):
    """A memory of cards by their serial number."""

    def load(self, serial: str) -> CardFiles | None:
        """Return what was read of that card, if it is known."""

    def save(self, serial: str, files: CardFiles) -> None:
        """Remember what was read of that card."""


def default_folder() -> Path:
    """Return the user's folder of caches, as the XDG Base Directory Specification names it."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    base = Path(configured) if Path(configured).is_absolute() else Path.home() / ".cache"
    return base / "cps" / "cards"


class FolderCache:
    """A file of mode 0600 for each card, in a folder of mode 0700.

    :param folder: made at the first use; its parents, too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, serial: str) -> CardFiles | None:
        try:
            return _decode(serial, _read_private(self._path(serial)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as exc:
            _LOG.info("what is kept of card %s is of no use: %s", serial, exc)
            return None

    def save(self, serial: str, files: CardFiles) -> None:
        try:
            self._make_folder()
            _write_private(self._path(serial), _encode(serial, files))
            self._drop_oldest()
        except (OSError, ValueError) as exc:
            _LOG.info("card %s is not kept: %s", serial, exc)

    def _path(self, serial: str) -> Path:
        if not serial.isascii() or not serial.isdigit():
            raise ValueError(f"serial number {serial!r} names no file")
        return self._folder / f"{serial}{_SUFFIX}"

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            _require_private(self._folder.lstat(), stat.S_ISDIR)

    def _drop_oldest(self) -> None:
        kept = sorted(
            self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True
        )
        for path in kept[MAX_CARDS:]:
            path.unlink(missing_ok=True)


def _encode(serial: str, files: CardFiles) -> bytes:
    def texts(contents: tuple[bytes, ...]) -> list[str]:
        return [b64encode(content).decode("ascii") for content in contents]

    (certificate,) = texts((files.certificate,))
    content = {
        "v": _VERSION,
        "serial": serial,
        "private_keys": texts(files.private_keys),
        "pins": texts(files.pins),
        "certificates": texts(files.certificates),
        "certificate": certificate,
    }
    return json.dumps({**content, "sha256": _digest(content)}).encode("ascii")


def _decode(serial: str, raw: bytes) -> CardFiles:
    """Return what *raw* holds.

    :raises ValueError: where it is not what :func:`_encode` makes for that card.
    """
    document = json.loads(raw)
    if not isinstance(document, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - callers catch ValueError
    expected = str(document.pop("sha256", ""))
    # Not against an enemy, who could write a digest as well: a bit that fell over could make
    # another PIN of this one, and cost a try.
    if not hmac.compare_digest(_digest(document).encode(), expected.encode("utf-8", "replace")):
        raise ValueError("damaged")
    if document.get("v") != _VERSION or document.get("serial") != serial:
        raise ValueError("of another version or card")
    return CardFiles(
        private_keys=_contents(document, "private_keys", least=0),
        pins=_contents(document, "pins", least=1),
        certificates=_contents(document, "certificates", least=1),
        certificate=_content(document.get("certificate")),
    )


def _contents(document: dict[str, object], name: str, *, least: int) -> tuple[bytes, ...]:
    texts = document.get(name)
    if not isinstance(texts, list) or not least <= len(texts) <= MAX_DIRECTORY_FILES:
        raise ValueError(f"{name}: {least} to {MAX_DIRECTORY_FILES} files are wanted")
    return tuple(_content(text) for text in texts)


def _content(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("base64 is wanted")  # noqa: TRY004 - callers catch ValueError
    return b64decode(text, validate=True)


def _digest(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def _read_private(path: Path) -> bytes:
    """Return the content of a regular file that is this user's and closed to others.

    :raises OSError: where it is not that, or cannot be read.
    :raises ValueError: where it is too long.
    """
    # Without O_NONBLOCK a named pipe would hold the program until somebody wrote to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        if os.name == "posix":
            _require_private(os.fstat(file.fileno()), stat.S_ISREG)
            _require_private(path.parent.lstat(), stat.S_ISDIR)
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
    return content


def _require_private(facts: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    if not is_kind(facts.st_mode):
        raise PermissionError("not of the right kind")
    if facts.st_uid != os.getuid():
        raise PermissionError(f"belongs to user {facts.st_uid}")
    if facts.st_mode & _OTHERS:
        raise PermissionError("open to others")


def _write_private(path: Path, content: bytes) -> None:
    """Replace *path* in one step: a reader finds the old bytes or the new ones, never a part."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
