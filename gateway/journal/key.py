"""The journal's key: signs where its chains are, and hides which records were looked at."""

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import ConfigurationError
from gateway.key_file import sync_folder

MAX_FILE_BYTES = 4096
RECORD_HASH_BYTES = 16
"""Bytes kept of a record's keyed hash: enough that no two records meet."""

_CONTEXT = b"CPS-JOURNAL-V1\n"
_RECORD_INFO = b"CPS-JOURNAL-RECORD-V1"
_KID_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class JournalVerifier:
    """The public half: knows whether the journal's key signed something."""

    public: Ed25519PublicKey

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Return the key that :meth:`to_pem` wrote.

        :raises ValueError: for anything else.
        """
        try:
            key = serialization.load_pem_public_key(pem)
        except UnsupportedAlgorithm as exc:
            raise ValueError("is not an Ed25519 public key in PEM") from exc
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("is not an Ed25519 public key in PEM")  # noqa: TRY004 - as above
        return cls(key)

    @property
    def kid(self) -> str:
        """The key's name: the beginning of its SHA-256, hexadecimal."""
        return hashlib.sha256(self.public.public_bytes_raw()).hexdigest()[:_KID_CHARACTERS]

    def to_pem(self) -> bytes:
        """Return the key for whoever verifies on another machine."""
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def has_signed(self, content: bytes, signature: str) -> bool:
        """Return whether *signature*, hexadecimal, is the key's own of *content*."""
        try:
            self.public.verify(bytes.fromhex(signature), _CONTEXT + content)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class JournalKey:
    """The private half, and with it the key of records."""

    private: Ed25519PrivateKey = field(repr=False)
    _record_key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_RECORD_INFO).derive(
            self.private.private_bytes_raw()
        )
        object.__setattr__(self, "_record_key", derived)

    @property
    def verifier(self) -> JournalVerifier:
        """The public half."""
        return JournalVerifier(self.private.public_key())

    def sign(self, content: bytes) -> str:
        """Return the signature of *content*, hexadecimal.

        Source: RFC 8032 §5.1 (Ed25519).
        """
        return self.private.sign(_CONTEXT + content).hex()

    def record_hash(self, record: str) -> str:
        """Return what stands for *record* in the journal, hexadecimal.

        Without the key nobody can try numbers until one fits.

        :param record: the portal's own name of the record, such as a social security number.
        """
        content = record.encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._record_key, content, "sha256")
        return digest[:RECORD_HASH_BYTES].hex()

    def blinding(self, name: str) -> int:
        """Return a number of 64 bits that only this key gives for *name*."""
        content = b"blinding\0" + name.encode("utf-8", "surrogatepass")
        return int.from_bytes(hmac.digest(self._record_key, content, "sha256")[:8])


def load_or_create(path: Path) -> JournalKey:
    """Return the key in *path*, one made now where there is no such file.

    :param path: PEM, mode 0600; processes that start together end up with one key.
    :raises ConfigurationError: for a file that is open to other users, cannot be read or written,
        or holds anything but an Ed25519 key.
    """
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as exc:
        raise ConfigurationError(str(path), "(file)", f"no access: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(str(path), "(file)", str(exc)) from exc


def _read(path: Path) -> JournalKey:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ValueError("other users can open it; take that away with chmod go=")
        content = file.read(MAX_FILE_BYTES)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as exc:
        raise ValueError("is not an Ed25519 key in PEM") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("is not an Ed25519 key in PEM")  # noqa: TRY004 - callers catch ValueError
    return JournalKey(key)


def _create(path: Path) -> None:
    """Write a new key whole and give it the name *path*, unless another process was first."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                Ed25519PrivateKey.generate().private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
        # Without its key nobody finds a record again, or knows a line for true.
        sync_folder(path.parent)
    except FileExistsError:
        return
    finally:
        draft.unlink()
