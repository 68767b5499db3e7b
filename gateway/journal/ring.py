"""The journal's keys: one signs, the ones before it are kept to check and to find what is old.

A key changes in three steps. A new one stands in the file beside the one that signs; each chain is
handed over to it, by a line that the old one signs; then the old one's private half goes, so that
nobody who gets hold of the file later can write what was signed before. What names records stays,
or nobody would find them again.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.journal.key import RECORD_KEY_BYTES, JournalKey, JournalVerifier, RecordKey
from gateway.key_file import changing, create, mapped_errors, read_closed, replace
from gateway.watched_file import WatchedFile

MAX_KEYS = 100
"""Most keys that are kept; a further one drops the oldest, whose lines are long gone by then."""
MAX_FILE_BYTES = 100_000

_PEM = rb"-----BEGIN %b KEY-----\n[A-Za-z0-9+/=\n]{1,1000}-----END %b KEY-----\n"
_ENTRY = re.compile(
    rb"(?:made: ([0-9]{1,12})\n)?(?:records: ([0-9a-f]{%d})\n(" % (2 * RECORD_KEY_BYTES)
    + _PEM % (b"PUBLIC", b"PUBLIC")
    + rb")|("
    + _PEM % (b"PRIVATE", b"PRIVATE")
    + rb"))"
)
_PUBLIC_ENTRY = re.compile(
    rb"(?:key: [0-9a-f]{1,64}\n)?(?:made: ([0-9]{1,12})\n)?("
    + _PEM % (b"PUBLIC", b"PUBLIC")
    + rb")"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastKey:
    """What is left of a key that signs no more."""

    verifier: JournalVerifier
    records: RecordKey


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRing:
    """All keys of a journal."""

    past: tuple[PastKey, ...] = ()
    """Oldest first."""
    leaving: JournalKey | None = None
    """The key that signs no more once every chain is handed over."""
    current: JournalKey

    @property
    def verifiers(self) -> tuple[JournalVerifier, ...]:
        """The public halves, oldest first."""
        return (*(key.verifier for key in self.past), *(key.verifier for key in self._private()))

    @property
    def record_keys(self) -> tuple[RecordKey, ...]:
        """What names records, or has named them; oldest first."""
        return (*(key.records for key in self.past), *(key.records for key in self._private()))

    def signer(self, kid: str) -> JournalKey | None:
        """Return the key *kid* if it can sign."""
        return next((key for key in self._private() if key.kid == kid), None)

    def rotated(self, now: datetime) -> Self:
        """Return the ring with a new key, to which chains are to be handed over.

        :raises ValueError: where an earlier change is not finished.
        """
        if self.leaving is not None:
            raise ValueError(
                f"key {self.leaving.kid} still signs elsewhere; audit rotate-key --finish ends that"
            )
        made = max(int(now.timestamp()), self.current.made)
        new = JournalKey(Ed25519PrivateKey.generate(), made)
        # Room for the one that leaves and the new one.
        return type(self)(past=self.past[2 - MAX_KEYS :], leaving=self.current, current=new)

    def finished(self) -> Self:
        """Return the ring in which one key alone can sign."""
        if self.leaving is None:
            return self
        left = PastKey(verifier=self.leaving.verifier, records=self.leaving.records)
        return type(self)(past=(*self.past, left), current=self.current)

    def encode(self) -> bytes:
        """Return the content of the keys' file."""
        return b"".join(
            [
                *(
                    _made(key.verifier.made)
                    + b"records: %b\n" % key.records.secret.hex().encode()
                    + key.verifier.to_pem()
                    for key in self.past
                ),
                *(_made(key.made) + _private_pem(key.private) for key in self._private()),
            ]
        )

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Return the ring that :meth:`encode` wrote.

        :raises ValueError: for anything else.
        """
        past, private = list[PastKey](), list[JournalKey]()
        for made, records, public_pem, private_pem in _entries(_ENTRY, content):
            if private_pem:
                private.append(JournalKey(_private_key(private_pem), int(made or 0)))
            elif private:
                raise ValueError("a key that signs no more follows one that signs")
            else:
                verifier = JournalVerifier.from_pem(public_pem, made=int(made or 0))
                past.append(
                    PastKey(verifier=verifier, records=RecordKey(bytes.fromhex(records.decode())))
                )
        if not 1 <= len(private) <= 2 or len(past) + len(private) > MAX_KEYS:
            raise ValueError("wants one Ed25519 key that signs, or two while it changes")
        ring = cls(
            past=tuple(past),
            leaving=private[0] if private[1:] else None,
            current=private[-1],
        )
        _require_order(ring.verifiers)
        return ring

    def _private(self) -> tuple[JournalKey, ...]:
        return (self.current,) if self.leaving is None else (self.leaving, self.current)


Keys = Callable[[], JournalRing]
"""Gives the journal's keys as they are at this moment."""


class RingFile:
    """The journal's keys as their file has them, looked at at each question; for any thread."""

    def __init__(self, path: Path) -> None:
        """Read them, or make a first one where there is no such file.

        :param path: PEM, mode 0600; processes that start together end up with one key.
        :raises ConfigurationError: for a file that is open to other users, cannot be read or
            written, or holds other things than the journal's keys.
        """
        self._ring = load_or_create(path)
        self._file: WatchedFile[JournalRing] = WatchedFile(
            path, lambda place, _: read(place), label="journal keys"
        )

    def current(self) -> JournalRing:
        """Return the keys; those that were there before, where the file is not to be used."""
        self._file.look()
        return self._file.current or self._ring


def load_or_create(path: Path) -> JournalRing:
    """Return the keys in *path*, a first one made now where there is no such file.

    :raises ConfigurationError: as :class:`RingFile`.
    """
    with mapped_errors(path):
        if not path.exists():
            create(path, JournalRing(current=JournalKey(Ed25519PrivateKey.generate())).encode())
        return read(path)


def read(path: Path) -> JournalRing:
    """Return the keys in *path*.

    :raises OSError: where it cannot be read.
    :raises ValueError: for a file that is open to other users or holds other things.
    """
    return JournalRing.decode(read_closed(path, max_bytes=MAX_FILE_BYTES))


def begin_change(
    path: Path, now: datetime, *, before: Callable[[], object] | None = None
) -> JournalRing:
    """Put a new key into *path*, to which running processes hand their chains over.

    :param before: is called when nothing refuses the change any more; where it raises, nothing is
        changed.
    :raises ConfigurationError: where a change is under way already, the file belongs to another
        user, or cannot be read or written.
    """
    with mapped_errors(path), changing(path):
        ring = read(path).rotated(now)
        if before is not None:
            before()
        replace(path, ring.encode())
    return ring


def require_changeable(path: Path) -> None:
    """Return where the keys in *path* can be changed.

    :raises ConfigurationError: where the file belongs to another user, or cannot be read.
    """
    with mapped_errors(path), changing(path):
        read(path)


def finish_change(path: Path) -> JournalRing:
    """Take the private half of the key that leaves out of *path*, once no chain wants it.

    :raises ConfigurationError: where the file belongs to another user, or cannot be read or
        written.
    """
    with mapped_errors(path), changing(path):
        ring = read(path).finished()
        replace(path, ring.encode())
    return ring


def encode_public(verifiers: Sequence[JournalVerifier]) -> bytes:
    """Return the public keys, oldest first, for whoever checks the journal on another machine."""
    return b"".join(
        b"key: %b\n" % key.kid.encode() + _made(key.made) + key.to_pem() for key in verifiers
    )


def decode_public(content: bytes) -> tuple[JournalVerifier, ...]:
    """Return the keys that :func:`encode_public` wrote; one public key in PEM alone will do too.

    :raises ValueError: for anything else.
    """
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES} bytes")
    verifiers = tuple(
        JournalVerifier.from_pem(pem, made=int(made or 0))
        for made, pem in _entries(_PUBLIC_ENTRY, content)
    )
    _require_order(verifiers)
    return verifiers


def _entries(pattern: re.Pattern[bytes], content: bytes) -> list[tuple[bytes, ...]]:
    """Return the groups of the entries of which *content* consists.

    :raises ValueError: where there is anything else, or nothing.
    """
    found = list(pattern.finditer(content))
    if not found or b"".join(entry[0] for entry in found) != content:
        raise ValueError("does not hold Ed25519 keys in PEM, as the gateway writes them")
    return [entry.groups(b"") for entry in found]


def _require_order(verifiers: Sequence[JournalVerifier]) -> None:
    times = [key.made for key in verifiers]
    if times != sorted(times) or len({key.kid for key in verifiers}) != len(verifiers):
        raise ValueError("its keys are not in the order in which they were made")


def _made(seconds: int) -> bytes:
    return b"made: %d\n" % seconds if seconds else b""


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _private_key(pem: bytes) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as exc:
        raise ValueError("is not an Ed25519 key in PEM") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("is not an Ed25519 key in PEM")  # noqa: TRY004 - callers catch ValueError
    return key
