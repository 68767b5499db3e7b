"""The verdicts that nginx may keep for a moment, and how one is taken away before its time.

nginx writes each into a file whose name is the MD5 of the key, and asks again where the file is
gone or not of a version that it knows. It keeps the files open that it reads often, so taking one
away spoils it first: a file that was only unlinked would still be read. The key holds the session's
cookie in clear, so the folder must be in memory and our own.
"""

import asyncio
import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

LEVELS = "1:2"
"""How nginx spreads the files over folders: by the last character, then by the two before."""
SWEEP_SECONDS = 0.1
"""Time between two looks for a verdict that nginx wrote after it was taken away."""
MAX_OPEN_FILES = 1_000
"""Most files that a process of nginx keeps open."""
MAX_SESSIONS = 10_000
"""Most sessions whose files are remembered; the verdicts of a forgotten one end by themselves."""
_NO_VERSION = bytes(8)
_TAKEN = "taken"

_log = logging.getLogger("gateway.edge")


def cache_key(host: str, policy: str, cookie: str) -> str:
    """Return the key of one verdict: for whom, where, and by which rule."""
    return f"{host}|{policy}|{cookie}"


class VerdictCache:
    """Takes verdicts away from nginx when their session ends."""

    def __init__(self, folder: Path, *, host: str, seconds: int) -> None:
        """Take what the configuration of nginx says too.

        :param seconds: how long nginx keeps a verdict.
        """
        self._folder = folder
        self._host = host
        self._seconds = seconds
        self._files: dict[bytes, dict[str, Path]] = {}
        self._removed: dict[Path, float] = {}

    def remember(self, key: bytes, policy: str, cookie: str) -> None:
        """Take note that nginx may keep a verdict of the session *key*."""
        files = self._files.get(key)
        if files is None:
            if len(self._files) >= MAX_SESSIONS:
                del self._files[next(iter(self._files))]
            files = self._files[key] = {}
        if policy not in files:
            text = cache_key(self._host, policy, cookie)
            name = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            files[policy] = self._folder / name[-1] / name[-3:-1] / name

    def remove(self, key: bytes) -> None:
        """Take the verdicts of the session *key* away, also one that nginx is about to write."""
        until = asyncio.get_running_loop().time() + self._seconds
        for file in self._files.pop(key, {}).values():
            _take_away(file)
            self._removed[file] = until

    def remove_all(self) -> None:
        """Take every verdict away."""
        for key in tuple(self._files):
            self.remove(key)

    async def sweep(self) -> None:
        """Remove what nginx wrote late, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for file, until in tuple(self._removed.items()):
                _take_away(file)
                if loop.time() > until:
                    del self._removed[file]


def _take_away(file: Path) -> None:
    # By a name of its own: nginx may write the next verdict at this moment, and open that one.
    taken = file.with_name(_TAKEN)
    try:
        with suppress(FileNotFoundError):
            file.rename(taken)
            try:
                _spoil(taken)
            finally:
                taken.unlink()
    except OSError as exc:
        # It ends by itself within seconds, so nothing else has to stop for it.
        _log.error("a verdict of nginx cannot be removed: %s", exc.strerror)


def _spoil(file: Path) -> None:
    """Write a version that no nginx has over the one at the file's beginning."""
    opened = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(opened, _NO_VERSION)
    finally:
        os.close(opened)
