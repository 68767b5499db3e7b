"""One key of the journal: signs where its chains are, and hides which records were looked at."""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RECORD_HASH_BYTES = 16
"""Bytes kept of a record's keyed hash: enough that no two records meet."""
RECORD_KEY_BYTES = 32
"""Length of the key of records."""

_CONTEXT = b"CPS-JOURNAL-V1\n"
_RECORD_INFO = b"CPS-JOURNAL-RECORD-V1"
_KID_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class JournalVerifier:
    """The public half: knows whether the journal's key signed something."""

    public: Ed25519PublicKey
    made: int = 0
    """When the key was made, Unix time; 0 for a first key."""

    @classmethod
    def from_pem(cls, pem: bytes, *, made: int = 0) -> Self:
        """Return the key that :meth:`to_pem` wrote.

        :raises ValueError: for anything else.
        """
        try:
            key = serialization.load_pem_public_key(pem)
        except UnsupportedAlgorithm as exc:
            raise ValueError("is not an Ed25519 public key in PEM") from exc
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("is not an Ed25519 public key in PEM")  # noqa: TRY004 - as above
        return cls(key, made)

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
class RecordKey:
    """What names records: without it nobody can try numbers until one fits."""

    secret: bytes = field(repr=False)

    def hash(self, record: str) -> str:
        """Return what stands for *record* in the journal, hexadecimal.

        :param record: the portal's own name of the record, such as a social security number.
        """
        content = record.encode("utf-8", "surrogatepass")
        return hmac.digest(self.secret, content, "sha256")[:RECORD_HASH_BYTES].hex()

    def blinding(self, name: str) -> int:
        """Return a number of 64 bits that only this key gives for *name*."""
        content = b"blinding\0" + name.encode("utf-8", "surrogatepass")
        return int.from_bytes(hmac.digest(self.secret, content, "sha256")[:8])


@dataclass(frozen=True, slots=True)
class JournalKey:
    """The private half, and with it the key of records."""

    private: Ed25519PrivateKey = field(repr=False)
    made: int = 0
    """When it was made, Unix time; 0 for a first key."""
    verifier: JournalVerifier = field(init=False, repr=False)
    """The public half."""
    records: RecordKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        derived = HKDF(
            algorithm=hashes.SHA256(), length=RECORD_KEY_BYTES, salt=None, info=_RECORD_INFO
        ).derive(self.private.private_bytes_raw())
        object.__setattr__(self, "records", RecordKey(derived))
        object.__setattr__(self, "verifier", JournalVerifier(self.private.public_key(), self.made))

    @property
    def kid(self) -> str:
        """The key's name."""
        return self.verifier.kid

    def sign(self, content: bytes) -> str:
        """Return the signature of *content*, hexadecimal.

        Source: RFC 8032 §5.1 (Ed25519).
        """
        return self.private.sign(_CONTEXT + content).hex()
