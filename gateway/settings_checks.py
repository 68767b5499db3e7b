"""The types of single settings: what each value must be, in itself and on this machine.

Files and folders are looked at only while a settings file is loaded, which is when pydantic's
context holds its folder; settings that a program builds around other paths are values and no more.
"""

import ipaddress
import os
import re
import stat
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from cps.authtoken.frame import require_origin
from gateway.redis_address import RedisAddress

_OBJECT_IDENTIFIER = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,18})){1,30}")
_ANY_POLICY = "2.5.29.32.0"
_PORTAL_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


def _resolve(value: object, info: ValidationInfo) -> object:
    """Make text a path; a relative one starts at the settings file's folder."""
    if not isinstance(value, str):
        return value
    if not value or "\0" in value:
        raise ValueError("a path is wanted")
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / value


def _status(path: Path) -> os.stat_result | None:
    """Return what the system says of *path*, or ``None`` where nothing is there."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ValueError(f"{path} cannot be looked at: {exc.strerror}") from exc


def _require_file(path: Path, info: ValidationInfo) -> Path:
    if info.context is not None:
        status = _status(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is not a file")
        if not os.access(path, os.R_OK):
            raise ValueError(f"{path} cannot be read by this user")
    return path


def _require_secret_file(path: Path, info: ValidationInfo) -> Path:
    if info.context is not None:
        status = _status(path)
        if status is None or status.st_mode & stat.S_IRWXO:
            raise ValueError(f"{path} is open to every user; take that away with chmod o=")
    return path


def _require_folder(path: Path, info: ValidationInfo) -> Path:
    if info.context is not None:
        if _status(path) is None:
            _require_parent(path)
        else:
            require_private_folder(path)
    return path


def _require_writable_place(path: Path, info: ValidationInfo) -> Path:
    if info.context is not None:
        status = _status(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise ValueError(f"{path} is a folder, a file is wanted")
        _require_parent(path)
    return path


def _require_socket(path: Path, info: ValidationInfo) -> Path:
    if info.context is not None:
        status = _status(path)
        if status is None or not stat.S_ISSOCK(status.st_mode):
            raise ValueError(f"{path} is not a socket")
    return path


def _require_parent(path: Path) -> None:
    status = _status(path.parent)
    if status is None or not stat.S_ISDIR(status.st_mode):
        raise ValueError(f"the folder {path.parent} does not exist")


def require_private_folder(path: Path) -> None:
    """Refuse a folder in which somebody else could put or replace files.

    :raises ValueError: where *path* is no folder, another user's, or writable by others.
    """
    status = _status(path)
    if status is None or not stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{path} is not a folder")
    if status.st_uid != os.geteuid():
        raise ValueError(f"{path} belongs to another user than the one that runs the gateway")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(f"{path} can be written by other users; take that away with chmod go-w")


def _require_upstream(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"{value!r} is not a URL") from exc
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == 0
        or parts.username is not None
        or value != f"{parts.scheme}://{parts.netloc}"
        or not value.isascii()
        or not value.isprintable()
        or " " in value
    ):
        raise ValueError(
            "http://host[:port] or https://host[:port] is wanted, "
            "without user name, path, query or trailing slash"
        )
    return value


def _require_redis_url(value: str) -> str:
    RedisAddress.parse(value)
    return value


def _require_address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} is not an IP address") from exc
    return value


def _require_network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} is not an IP address or network such as 10.0.0.0/24") from exc
    if network.prefixlen == 0:
        raise ValueError("that is everybody, who could then say any address")
    return value


def _require_printable(value: str) -> str:
    # Also refuses characters that turn the direction of writing, which could disguise a name.
    if not value.isprintable() or value != value.strip():
        raise ValueError("printable text without space at either end is wanted")
    return value


def _require_token(value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("printable ASCII without space is wanted")
    return value


def _require_version(value: str) -> str:
    parts = value.split(".")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) <= 4 for p in parts):
        raise ValueError(f"{value!r} is not a version like 1.2.3")
    return value


def _require_policy(value: str) -> str:
    if not _OBJECT_IDENTIFIER.fullmatch(value):
        raise ValueError(f"{value!r} is not an object identifier like 1.2.250.1")
    if value == _ANY_POLICY:
        raise ValueError("anyPolicy demands nothing; leave the list empty for that")
    return value


def _require_portal_name(value: str) -> str:
    if not _PORTAL_NAME.fullmatch(value):
        raise ValueError("small letters, digits and -, at most 32, with a letter first are wanted")
    return value


def _require_one(values: tuple[object, ...]) -> tuple[object, ...]:
    if not values:
        raise ValueError("at least one is wanted")
    return values


InputFile = Annotated[Path, BeforeValidator(_resolve), AfterValidator(_require_file)]
"""A file that the gateway reads."""
SecretFile = Annotated[InputFile, AfterValidator(_require_secret_file)]
"""A file that the gateway reads and other users must not."""
OutputFile = Annotated[Path, BeforeValidator(_resolve), AfterValidator(_require_writable_place)]
"""A file that the gateway writes."""
SystemSocket = Annotated[Path, BeforeValidator(_resolve), AfterValidator(_require_socket)]
"""A Unix socket of another program."""
PrivateFolder = Annotated[Path, BeforeValidator(_resolve), AfterValidator(_require_folder)]
"""A folder in which nobody else can write; it may be missing."""
NotEmpty = AfterValidator(_require_one)
"""Marks a list that has at least one entry."""
Origin = Annotated[str, AfterValidator(require_origin)]
"""An origin in its one canonical spelling."""
Upstream = Annotated[str, AfterValidator(_require_upstream)]
"""The address of a web server, without a path."""
RedisURL = Annotated[str, AfterValidator(_require_redis_url)]
"""The address of a Redis server, without a password."""
Label = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_require_printable)]
"""A name that people read."""
Audience = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_require_token)]
"""A name that programs read."""
PortalName = Annotated[str, AfterValidator(_require_portal_name)]
"""A portal's name in commands, folders and logs."""
PolicyIdentifier = Annotated[str, AfterValidator(_require_policy)]
"""The OID of a certificate policy, in dotted decimal."""
ListenAddress = Annotated[str, AfterValidator(_require_address)]
"""An IP address, never a name."""
IPNetwork = Annotated[str, AfterValidator(_require_network)]
"""An IP address or a network, never everybody."""
Version = Annotated[str, AfterValidator(_require_version)]
"""A version of three numbers."""
