"""The keys that sign assertions: one file that all processes share, and how it changes.

A new key is published before it signs, so that portals know it when they meet it; an old one stays
published until nothing that it signed is good any more. When each key signs stands in the file, so
processes that read it agree at every instant without speaking to each other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from gateway.key_file import changing, create, mapped_errors, read_closed, replace

KEY_SET_SECONDS = 300
"""How long a portal may keep the published keys before it asks again."""
PUBLISH_SECONDS = KEY_SET_SECONDS + 30
"""How long a new key is published before it signs: every portal has asked by then."""
RETIRE_SECONDS = 120
"""How long a key stays published after its last signature: an assertion's 60 s, and as much again
for clocks that differ."""
MAX_KEYS = 3
"""One that goes, one that signs, one that comes."""
MAX_FILE_BYTES = 10_000

_ENTRY = re.compile(
    rb"(?:signs-from: ([0-9]{1,12})\n)?"
    rb"(-----BEGIN [A-Z ]{1,40}-----\n[A-Za-z0-9+/=\n]{1,2000}-----END [A-Z ]{1,40}-----\n)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key of the gateway."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)
    signs_from: int
    """When it begins to sign, Unix time; 0 for a first key."""
    jwk: ECKey = field(repr=False)
    kid: str
    """The key's name in assertions: its thumbprint (RFC 7638)."""

    @classmethod
    def of(cls, private: ec.EllipticCurvePrivateKey, signs_from: int) -> Self:
        """Return *private* as a key that signs from then on."""
        jwk = ECKey.import_key(private)
        return cls(private=private, signs_from=signs_from, jwk=jwk, kid=jwk.thumbprint())


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The gateway's keys, 1 to ``MAX_KEYS``, in the order in which they begin to sign."""

    keys: tuple[SigningKey, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= MAX_KEYS:
            raise ValueError(f"holds {len(self.keys)} keys; 1 to {MAX_KEYS} are wanted")
        if any(before.signs_from >= after.signs_from for before, after in pairwise(self.keys)):
            raise ValueError("its keys are not in the order in which they begin to sign")

    def signing(self, now: datetime) -> SigningKey:
        """Return the key that signs *now*: the latest that has begun."""
        begun = [key for key in self.keys if key.signs_from <= now.timestamp()]
        return begun[-1] if begun else self.keys[0]

    def published(self, now: datetime) -> tuple[SigningKey, ...]:
        """Return the keys with which an assertion may be checked *now*."""
        ends = [key.signs_from + RETIRE_SECONDS for key in self.keys[1:]]
        going = [key for key, end in zip(self.keys, ends, strict=False) if now.timestamp() < end]
        return (*going, self.keys[-1])

    def rotated(self, now: datetime) -> Self:
        """Return the ring with a new key that signs in ``PUBLISH_SECONDS``.

        :raises ValueError: where the key of an earlier rotation does not sign yet.
        """
        newest = self.keys[-1].signs_from
        if newest > now.timestamp():
            seconds = int(newest - now.timestamp()) + 1
            raise ValueError(f"a rotation is under way: its key signs in {seconds} s")
        new = SigningKey.of(_new_private_key(), int(now.timestamp()) + PUBLISH_SECONDS)
        return type(self)((*self.published(now), new)[-MAX_KEYS:])


def load_or_create(path: Path) -> KeyRing:
    """Return the keys in *path*, one made now where there is no such file.

    :param path: PEM, mode 0600; processes that start together end up with one key.
    :raises ConfigurationError: for a file that is open to other users, cannot be read or written,
        or holds other things than EC P-256 keys.
    """
    with mapped_errors(path):
        if not path.exists():
            create(path, _encode(KeyRing((SigningKey.of(_new_private_key(), 0),))))
        return read(path)


def read(path: Path) -> KeyRing:
    """Return the keys in *path*.

    :raises OSError: where it cannot be read.
    :raises ValueError: for a file that is open to other users or holds other things than keys.
    """
    content = read_closed(path, max_bytes=MAX_FILE_BYTES)
    entries = list(_ENTRY.finditer(content))
    if not entries or b"".join(entry[0] for entry in entries) != content:
        raise ValueError("is not a private key in PEM")
    return KeyRing(tuple(SigningKey.of(_private_key(e[2]), int(e[1] or 0)) for e in entries))


def rotate(
    path: Path, now: datetime, *, at_once: bool, before: Callable[[], object] | None = None
) -> KeyRing:
    """Put a new key into *path* and return the ring; running processes follow by themselves.

    :param at_once: the new key signs now and all others are gone, for a key that got into wrong
        hands; portals that do not ask for the keys at an unknown one refuse everybody for as long
        as they keep them.
    :param before: is called when nothing refuses the change any more; where it raises, nothing is
        changed.
    :raises ConfigurationError: where a rotation is under way, the file belongs to another user, or
        cannot be read or written.
    """
    load_or_create(path)
    with mapped_errors(path), changing(path):
        if at_once:
            ring = KeyRing((SigningKey.of(_new_private_key(), int(now.timestamp())),))
        else:
            ring = read(path).rotated(now)
        if before is not None:
            before()
        replace(path, _encode(ring))
    return ring


def _encode(ring: KeyRing) -> bytes:
    return b"".join(
        b"signs-from: %d\n" % key.signs_from
        + key.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        for key in ring.keys
    )


def _new_private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError("is not a private key in PEM") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("is not an EC P-256 key")  # noqa: TRY004 - callers catch ValueError
    return key
