"""The administrator's file: what agents on this machine may do, whatever their users say."""

import base64
import binascii
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from cps.agent.errors import ConfigurationError
from cps.agent.owned_file import read_owned, require_owned_folder
from cps.agent.ports import PORTS
from cps.agent.settings import AfterSignature
from cps.authtoken.frame import require_origin

MAX_POLICY_BYTES = 65_536
MAX_DENIED_READERS = 64
MAX_PINS = 16
"""Public keys of one gateway: the present one, the next ones, the spare ones."""
ROOT = 0
"""Whose the file must be."""
_OTHERS_WRITE = 0o022
_PIN_PREFIX = "sha256/"
_DIGEST_BYTES = 32

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the file says; the defaults are those of a machine without one."""

    origins: tuple[str, ...] = ()
    """Portals for every user of this machine, as they are written; see :mod:`cps.agent.origins`."""
    users_may_add: bool = True
    """Whether a user may name further portals. In a file that does not say it: no."""
    pins: Mapping[str, frozenset[bytes]] = field(default_factory=lambda: MappingProxyType({}))
    """Origin to the SHA-256 of the public keys (SPKI, DER) of which its server must have one,
    beside a certificate that the system trusts."""
    ports: tuple[int, ...] = PORTS
    """Loopback ports, the first free one of which is taken; 1 to 8 of them."""
    keypads: bool = True
    """Whether the PIN is typed at the reader where it has a keypad."""
    after_signature: AfterSignature | None = None
    """What becomes of the card; ``None`` leaves it to the user's settings."""
    lock_ends: bool = False
    """Whether sessions end with a locked screen; else that is for each portal to decide."""
    denied_readers: tuple[str, ...] = ()
    """How the names of readers begin that are not to be used, in whatever case."""

    @classmethod
    def load(cls, file: Path, *, owner: int = ROOT) -> "Policy":
        """Return what *file* says; one that is absent leaves everything to the user.

        :param owner: whose file and folder must be; where others can write either, the file is
            refused, and with it the agent: a policy that anyone can change is none.
        :raises ConfigurationError: for a file that is wrong, or not the administrator's alone.
        """
        if not file.exists():
            return cls()
        require_owned_folder(file.parent, forbidden_mode=_OTHERS_WRITE, owner=owner)
        raw = read_owned(
            file, forbidden_mode=_OTHERS_WRITE, max_bytes=MAX_POLICY_BYTES, owner=owner
        )
        try:
            said = tomllib.loads(raw.decode("utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise ConfigurationError(str(file), f"not TOML: {exc}") from exc
        if unknown := sorted(set(said) - set(_READERS)):
            raise ConfigurationError(
                str(file), f"{unknown[0]}: not a rule; those are {', '.join(_READERS)}"
            )
        values: dict[str, Any] = {"users_may_add": False}
        for name, value in said.items():
            attribute, read = _READERS[name]
            try:
                values[attribute] = read(value)
            except ValueError as exc:
                raise ConfigurationError(str(file), f"{name}: {exc}") from exc
        policy = cls(**values)
        if unlisted := sorted(set(policy.pins) - set(policy.origins)):
            raise ConfigurationError(str(file), f"pins: {unlisted[0]} is not among the origins")
        return policy

    def denies(self, reader: str) -> bool:
        """Return whether the reader of that name is not to be used."""
        name = reader.casefold()
        return any(name.startswith(denied.casefold()) for denied in self.denied_readers)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
        raise ValueError("a list of texts is wanted")
    return tuple(value)


def _origins(value: object) -> tuple[str, ...]:
    return tuple(require_origin(origin) for origin in _texts(value))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is wanted")  # noqa: TRY004 - one error for the caller
    return value


def _ports(value: object) -> tuple[int, ...]:
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= 8
        or not all(type(port) is int and 1024 <= port <= 65535 for port in value)
        or len(set(value)) < len(value)
    ):
        raise ValueError("1 to 8 different ports from 1024 to 65535 are wanted")
    return tuple(value)


def _keypads(value: object) -> bool:
    return _one_of(value, {"use": True, "never": False})


def _after_signature(value: object) -> AfterSignature:
    return _one_of(value, {entry.value: entry for entry in AfterSignature})


def _on_lock(value: object) -> bool:
    return _one_of(value, {"portal": False, "end": True})


def _one_of(value: object, meanings: Mapping[str, _T]) -> _T:
    if not isinstance(value, str) or value not in meanings:
        raise ValueError(f"{' or '.join(meanings)} is wanted")
    return meanings[value]


def _denied_readers(value: object) -> tuple[str, ...]:
    names = _texts(value)
    if len(names) > MAX_DENIED_READERS:
        raise ValueError(f"more than {MAX_DENIED_READERS} names")
    return names


def _pins(value: object) -> Mapping[str, frozenset[bytes]]:
    if not isinstance(value, dict):
        raise ValueError("a table of origins is wanted")  # noqa: TRY004 - one error for the caller
    return MappingProxyType(
        {require_origin(origin): _digests(texts) for origin, texts in value.items()}
    )


def _digests(value: object) -> frozenset[bytes]:
    texts = _texts(value)
    if not 1 <= len(texts) <= MAX_PINS:
        raise ValueError(f"1 to {MAX_PINS} public keys are wanted for each origin")
    return frozenset(_digest(text) for text in texts)


def _digest(text: str) -> bytes:
    try:
        digest = base64.b64decode(text.removeprefix(_PIN_PREFIX), validate=True)
    except binascii.Error:
        digest = b""
    if not text.startswith(_PIN_PREFIX) or len(digest) != _DIGEST_BYTES:
        raise ValueError(f"{text[:80]!r} is not {_PIN_PREFIX} and 32 bytes in base64")
    return digest


_READERS: Mapping[str, tuple[str, Callable[[object], object]]] = MappingProxyType(
    {
        "origins": ("origins", _origins),
        "users_may_add": ("users_may_add", _truth),
        "pins": ("pins", _pins),
        "ports": ("ports", _ports),
        "pinpad": ("keypads", _keypads),
        "after_signature": ("after_signature", _after_signature),
        "on_lock": ("lock_ends", _on_lock),
        "denied_readers": ("denied_readers", _denied_readers),
    }
)
"""Each rule's name in the file: the attribute that it sets, and how it is read."""
