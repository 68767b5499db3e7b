"""The parts of a card's file tree: files with their access rules, and whole applications."""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cps.simulator import cio
from cps.simulator.files import MF
from cps.simulator.image import FileImage

ROOT_AID = bytes.fromhex("8025000001FF0100")
CONTACT_DF = MF + b"\x00\x01"
CONTACTLESS_DF = MF + b"\x00\x02"

SERIAL_FID = b"\xd0\x03"
DIRECTORY_FID = b"\x2f\x00"

# What the object directory names each kind of object by, and its usual file.
AODF, PRKDF, PUKDF, CDF, DODF = 0xA8, 0xA0, 0xA1, 0xA4, 0xA7
DIRECTORY_FIDS = {
    AODF: b"\x70\x01",
    PRKDF: b"\x70\x02",
    PUKDF: b"\x70\x04",
    CDF: b"\x70\x05",
    DODF: b"\x70\x06",
}

# Access conditions: delete, terminate, activate, deactivate, update, read.
NEVER_WRITTEN = bytes.fromhex("FFFFFFFFFF00")
WRITTEN_BY_ISSUER = bytes.fromhex("45FFFFFF4500")
WRITTEN_AFTER_PIN = bytes.fromhex("FFFFFFFF1100")
READ_AFTER_PIN = bytes.fromhex("FFFFFFFFFF11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A data object: its file's identifier and content, and who may do what with it."""

    label: str
    fid: bytes
    content: bytes
    flags: bytes = cio.NO_FLAGS
    access: bytes = NEVER_WRITTEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A PKCS#15 application: what its directories say, and what they speak of."""

    df: bytes
    aid: bytes
    token_info: bytes
    directories: dict[int, bytes]
    """By :data:`AODF` and so on, in the order of the object directory."""
    credentials: dict[cio.KeyObject, Credential]
    data: list[DataFile]

    def files(self) -> Iterator[FileImage]:
        """Yield the application with all its files."""
        yield df_image(self.df, self.aid)
        places = tuple((kind, self.df + DIRECTORY_FIDS[kind]) for kind in self.directories)
        yield ef_image(self.df, b"\x50\x31", cio.odf(places))
        yield ef_image(self.df, b"\x50\x32", self.token_info)
        for kind, content in self.directories.items():
            yield ef_image(self.df, DIRECTORY_FIDS[kind], content)
        for key, credential in self.credentials.items():
            public_key = credential.key.public_key()
            yield ef_image(
                self.df,
                public_key_fid(key),
                public_key.public_bytes(Encoding.DER, PublicFormat.PKCS1),
            )
            yield ef_image(
                self.df, certificate_fid(key), credential.certificate.public_bytes(Encoding.DER)
            )
        for file in self.data:
            yield ef_image(
                self.df, file.fid, file.content, contact=file.access, contactless=file.access
            )


def public_key_directory(df: bytes, keys: dict[cio.KeyObject, Credential]) -> bytes:
    """Return the PuKDF of an application."""
    return b"".join(cio.public_key_entry(key, df + public_key_fid(key)) for key in keys)


def data_directory(df: bytes, data: list[DataFile]) -> bytes:
    """Return the DODF of an application."""
    return b"".join(cio.data_entry(file.label, file.flags, df + file.fid) for file in data)


def df_image(path: bytes, aid: bytes | None = None) -> FileImage:
    """Return a dedicated file."""
    return FileImage(path=path, aid=aid, contact=NEVER_WRITTEN, contactless=NEVER_WRITTEN)


def ef_image(
    df: bytes,
    fid: bytes,
    content: bytes,
    *,
    sfi: int | None = None,
    contact: bytes = NEVER_WRITTEN,
    contactless: bytes = NEVER_WRITTEN,
) -> FileImage:
    """Return an elementary file of the application *df*, which anybody reads and nobody writes."""
    return FileImage(
        path=df + fid, content=content, sfi=sfi, contact=contact, contactless=contactless
    )


def public_key_fid(key: cio.KeyObject) -> bytes:
    """Return the name of the file that holds a public key."""
    return bytes((0xB0, key.number))


def certificate_fid(key: cio.KeyObject) -> bytes:
    """Return the name of the file that holds a certificate."""
    return bytes((0xC0, key.number))
