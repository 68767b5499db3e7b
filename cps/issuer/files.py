"""Files of an authority's folder: written in one step, keys closed to others."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


class FolderError(Exception):
    """The folder is no usable test authority, or what is asked of it makes no sense."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def write_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace *path* in one step: a reader finds the old bytes or the new ones, never a part."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def key_to_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return *key* as PEM without a password, for a file that its owner alone can read."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def read_key(path: Path) -> rsa.RSAPrivateKey:
    """Return the key in a PEM file, which may also hold a certificate.

    :raises FolderError: where others can read it, too, or it is no such key.
    :raises OSError: where it cannot be read.
    """
    if path.stat().st_mode & 0o077:
        raise FolderError(path, "others can read this key; run chmod 600 on it")
    try:
        # This program made the key, and a certificate says which one it must be. To test its primes
        # again would take a second for the two of an authority.
        key = serialization.load_pem_private_key(
            path.read_bytes(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except ValueError as exc:
        raise FolderError(path, "the key is damaged") from exc
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FolderError(path, "the key is no RSA key")
    return key
