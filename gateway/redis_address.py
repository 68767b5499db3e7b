"""Where a Redis server is, read from the one line of the settings that says so."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORT = 6379
MAX_DATABASE = 9999
"""Highest number of a database inside the server that a URL may name."""

_FORMS = (
    "redis://[user@]host[:port][/database], rediss:// for TLS, "
    "or unix://[user@]/path[?db=database] is wanted"
)
_USER = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}\Z")
# A Unix socket's path has at most 107 bytes on Linux.
_PATH = re.compile(r"/[!-~]{1,106}\Z")
_DATABASE = re.compile(r"[0-9]{1,4}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """One Redis server and one numbered database in it."""

    host: str | None
    """Name or IP address; ``None`` for a Unix socket."""
    port: int
    """1 to 65535; means nothing for a Unix socket."""
    path: str | None
    """Absolute path of a Unix socket; ``None`` for a host."""
    tls: bool
    user: str | None
    """Name in the server's access list; ``None`` for its default user."""
    database: int
    """0 to 9999."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the address that *url* names.

        :raises ValueError: for any other form, and for a password, which has a file of its own.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise ValueError(_FORMS) from exc
        if parts.password is not None:
            raise ValueError("a password does not belong here: name a file in redis_password_file")
        user = parts.username
        is_sound = url.isascii() and url.isprintable() and not parts.fragment
        if not is_sound or (user is not None and not _USER.match(user)):
            raise ValueError(_FORMS)
        is_unix = parts.scheme == "unix"
        database = _database_of_socket(parts) if is_unix else _database_of_host(parts)
        return cls(
            host=None if is_unix else parts.hostname,
            port=DEFAULT_PORT if port is None else port,
            path=parts.path if is_unix else None,
            tls=parts.scheme == "rediss",
            user=user,
            database=database,
        )

    def __str__(self) -> str:
        """Return the place for the log, without the user."""
        return self.path or f"{self.host}:{self.port}"


def _database_of_socket(parts: SplitResult) -> int:
    if parts.hostname or parts.port is not None or not _PATH.match(parts.path):
        raise ValueError(_FORMS)
    if not parts.query:
        return 0
    if not parts.query.startswith("db="):
        raise ValueError(_FORMS)
    return _database(parts.query.removeprefix("db="))


def _database_of_host(parts: SplitResult) -> int:
    if (
        parts.scheme not in ("redis", "rediss")
        or not _HOST.match(parts.hostname or "")
        or parts.port == 0
        or parts.query
    ):
        raise ValueError(_FORMS)
    return _database(parts.path.removeprefix("/")) if parts.path not in ("", "/") else 0


def _database(text: str) -> int:
    if not _DATABASE.match(text):
        raise ValueError(f"a database from 0 to {MAX_DATABASE} is wanted, not {text[:20]!r}")
    return int(text)
