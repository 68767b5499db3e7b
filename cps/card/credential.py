"""The credential that logs in, found by what the card's directory files say of it.

Reading and understanding are two steps, so that what was read can be kept: see
:mod:`cps.card.cache`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa

from cps.card.applet import APPLICATION, Applet
from cps.card.certificate import mended, rsa_public_key
from cps.card.files import parsed
from cps.errors import CardDataError
from cps.iso7816 import commands
from cps.pkcs15 import directory
from cps.pkcs15.directory import CertificateEntry, PINObject, PrivateKey, Usage

MAX_DIRECTORY_BYTES = 4096
MAX_DIRECTORY_FILES = 4
"""How many files of one kind the ODF may name."""
MAX_CERTIFICATE_BYTES = 8192

_ODF = APPLICATION + bytes.fromhex("5031")
_GLOBAL_PINS = range(1, 0x80)
"""PIN numbers of the whole card; a number with bit 8 would belong to one DF."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFiles:
    """What a login reads, byte for byte: directory files and one certificate."""

    private_keys: tuple[bytes, ...]
    """The PrKDF files, 1 to 4, each at most 4096 bytes; the next two likewise."""
    pins: tuple[bytes, ...]
    """The AODF files."""
    certificates: tuple[bytes, ...]
    """The CDF files."""
    certificate: bytes
    """The authentication certificate, DER, at most 8192 bytes, as the card gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The authentication key of a card, with its PIN and its certificate."""

    pin: PINObject
    """The PIN that opens the key; its reference is 0x01 to 0x7F."""
    puk: PINObject | None
    """What unblocks that PIN, where the card says so; its reference is 0x01 to 0x7F."""
    key_reference: int
    """The key's number in the card, 0x01 to 0xFF."""
    certificate: bytes
    """DER, at most 8192 bytes; mended, not verified."""
    public_key: rsa.RSAPublicKey
    """That of the certificate."""


def read_files(applet: Applet) -> CardFiles:
    """Return all that is needed to know the one credential of this card that can log in.

    :param applet: of a card that no other program uses meanwhile.
    :raises CardDataError: where there is no such key, PIN or certificate, or more than one.
    :raises CardRefusedError: where a file is missing or may not be read.
    """
    odf = parsed("ODF", _read(applet, _ODF), directory.object_directory)
    private_keys = _read_all(applet, "PrKDF", odf.private_keys)
    key, _ = _key(private_keys)
    pins = _read_all(applet, "AODF", odf.authentication)
    _pin(pins, key)
    certificates = _read_all(applet, "CDF", odf.certificates)
    entry = _certificate_entry(certificates, key)
    applet.select(directory.absolute(entry.path, APPLICATION))
    return CardFiles(
        private_keys=private_keys,
        pins=pins,
        certificates=certificates,
        certificate=commands.read_data_object(applet.channel, max_bytes=MAX_CERTIFICATE_BYTES),
    )


def credential_in(files: CardFiles) -> Credential:
    """Return the one credential in *files* that can log in.

    The authentication key signs and deciphers, which leaves the signature key out, and stands
    behind a PIN, which leaves the technical key out. Its PIN and its certificate are those that
    the card lists under the key's own identifiers.

    :raises CardDataError: where there is no such key, PIN or certificate, or more than one.
    """
    key, reference = _key(files.private_keys)
    pin = _pin(files.pins, key)
    _certificate_entry(files.certificates, key)
    certificate = parsed("certificate", files.certificate, mended)
    return Credential(
        pin=pin,
        puk=_puk(files.pins, pin),
        key_reference=reference,
        certificate=certificate,
        public_key=parsed("certificate", certificate, rsa_public_key),
    )


def _key(files: tuple[bytes, ...]) -> tuple[PrivateKey, int]:
    """Return the one key that can log in, with its number in the card."""
    keys = _entries("PrKDF", files, directory.private_keys)
    key = _only("authentication key", [each for each in keys if _logs_in(each)])
    if not key.reference:
        raise CardDataError("PrKDF: the authentication key has no reference")
    return key, key.reference


def _logs_in(key: PrivateKey) -> bool:
    return (
        {Usage.SIGN, Usage.DECIPHER} <= key.usage
        and Usage.NON_REPUDIATION not in key.usage
        and key.auth_id is not None
    )


def _pin(files: tuple[bytes, ...], key: PrivateKey) -> PINObject:
    listed = _entries("AODF", files, directory.pin_objects)
    pin = _only("PIN of the key", [each for each in listed if each.auth_id == key.auth_id])
    if pin.reference not in _GLOBAL_PINS:
        raise CardDataError(f"AODF: PIN reference {pin.reference:02X}")
    return pin


def _puk(files: tuple[bytes, ...], pin: PINObject) -> PINObject | None:
    """Return what the PIN's entry names, else the one PUK of the card."""
    listed = _entries("AODF", files, directory.pin_objects)
    others = [each for each in listed if each.auth_id != pin.auth_id]
    named = [each for each in others if each.auth_id == pin.unblocked_by]
    found = named or [each for each in others if each.unblocks]
    return found[0] if len(found) == 1 and found[0].reference in _GLOBAL_PINS else None


def _certificate_entry(files: tuple[bytes, ...], key: PrivateKey) -> CertificateEntry:
    listed = _entries("CDF", files, directory.certificates)
    return _only("certificate of the key", [each for each in listed if each.id == key.id])


def _entries(name: str, files: tuple[bytes, ...], decode: Callable[[bytes], list[_T]]) -> list[_T]:
    return [entry for file in files for entry in parsed(name, file, decode)]


def _read_all(applet: Applet, name: str, paths: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return all directory files of one kind."""
    if not 1 <= len(paths) <= MAX_DIRECTORY_FILES:
        raise CardDataError(f"ODF: {len(paths)} {name} where 1 to {MAX_DIRECTORY_FILES} may be")
    return tuple(_read(applet, directory.absolute(path, APPLICATION)) for path in paths)


def _read(applet: Applet, path: bytes) -> bytes:
    applet.select(path)
    return commands.read_file(applet.channel, max_bytes=MAX_DIRECTORY_BYTES)


def _only(name: str, found: list[_T]) -> _T:
    """Return the one thing in *found*; with none or several, nobody knows which is right."""
    if len(found) != 1:
        raise CardDataError(f"{len(found)} times: {name}")
    return found[0]
