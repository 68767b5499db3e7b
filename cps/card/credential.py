"""The credential that logs in, found by what the card's directory files say of it.

Reading and understanding are two steps, so that what was read can be kept: see
:mod:`cps.card.cache`. There are two ways to read. The long one follows the card's directory of
directories and so finds the files of any card. The short one looks where every known card has them
and takes the key for the usual one: it spares four commands, nearly half a second. What it takes
for granted costs no PIN try where it is wrong, and shows, at the latest by a signature that is not
the certificate's; the card is then read the long way. How a PIN is written is never taken for
granted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa

from cps.card.applet import APPLICATION, USUAL_AODF, USUAL_CDF, Applet
from cps.card.certificate import mended, rsa_public_key
from cps.card.files import parsed
from cps.errors import CardDataError, CardRefusedError, CertificateMissingError
from cps.iso7816 import commands
from cps.pkcs15 import directory
from cps.pkcs15.directory import CertificateEntry, PINObject, PrivateKey, Usage
from cps.status import SW

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
    """The PrKDF files, each at most 4096 bytes; none where the key is taken for the usual one."""
    pins: tuple[bytes, ...]
    """The AODF files, 1 to 4, each at most 4096 bytes; the next likewise."""
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
    :raises CertificateMissingError: where the card has no certificate of its authentication key.
    :raises CardDataError: where there is no such key or PIN, or more than one of any.
    :raises CardRefusedError: where a file is missing or may not be read.
    """
    odf = parsed("ODF", _read(applet, _ODF), directory.object_directory)
    private_keys = _read_all(applet, "PrKDF", odf.private_keys)
    key = _key(private_keys)
    pins = _read_all(applet, "AODF", odf.authentication)
    _pin(pins, key)
    if not odf.certificates:
        raise CertificateMissingError("ODF: no CDF")
    certificates = _read_all(applet, "CDF", odf.certificates)
    return CardFiles(
        private_keys=private_keys,
        pins=pins,
        certificates=certificates,
        certificate=_read_certificate(applet, _certificate_entry(certificates, key)),
    )


def read_usual_files(applet: Applet) -> CardFiles:
    """Return the same in fewer commands, of a card that is like every known one.

    :raises CardDataError: where the card is not like that, or is not right.
    :raises CardRefusedError: where a file is not where it usually is, or may not be read.
    """
    pins, certificates = (_read(applet, USUAL_AODF),), (_read(applet, USUAL_CDF),)
    _only_pin(pins, applet.usual_key)
    entry = _certificate_entry(certificates, applet.usual_key)
    return CardFiles(
        private_keys=(),
        pins=pins,
        certificates=certificates,
        certificate=_read_certificate(applet, entry),
    )


def credential_in(files: CardFiles, usual_key: PrivateKey) -> Credential:
    """Return the one credential in *files* that can log in.

    The authentication key signs and deciphers, which leaves the signature key out, and stands
    behind a PIN, which leaves the technical key out. Its PIN and its certificate are those that
    the card lists under the key's own identifiers.

    :param usual_key: what the key is taken for where its file was not read.
    :raises CardDataError: where there is no such key, PIN or certificate, or more than one.
    """
    if files.private_keys:
        key = _key(files.private_keys)
        pin = _pin(files.pins, key)
    else:
        key = usual_key
        pin = _only_pin(files.pins, key)
    _certificate_entry(files.certificates, key)
    certificate = parsed("certificate", files.certificate, mended)
    return Credential(
        pin=pin,
        puk=_puk(files.pins, pin),
        key_reference=_reference(key),
        certificate=certificate,
        public_key=parsed("certificate", certificate, rsa_public_key),
    )


def _key(files: tuple[bytes, ...]) -> PrivateKey:
    """Return the one key that can log in."""
    keys = _entries("PrKDF", files, directory.private_keys)
    key = _only("authentication key", [each for each in keys if _logs_in(each)])
    _reference(key)
    return key


def _reference(key: PrivateKey) -> int:
    """Return the key's number in the card."""
    if not key.reference:
        raise CardDataError("PrKDF: the authentication key has no reference")
    return key.reference


def _logs_in(key: PrivateKey) -> bool:
    return (
        {Usage.SIGN, Usage.DECIPHER} <= key.usage
        and Usage.NON_REPUDIATION not in key.usage
        and key.auth_id is not None
    )


def _pin(files: tuple[bytes, ...], key: PrivateKey) -> PINObject:
    listed = _entries("AODF", files, directory.pin_objects)
    named = [each for each in listed if each.auth_id == key.auth_id]
    return _global(_only("PIN of the key", named))


def _only_pin(files: tuple[bytes, ...], key: PrivateKey) -> PINObject:
    """Return the PIN of a key whose file was not read: the card must have no other PIN.

    With several, the one that is sent could be the wrong one, and lose a try.
    """
    listed = _entries("AODF", files, directory.pin_objects)
    pin = _only("PIN", [each for each in listed if not each.unblocks])
    if pin.auth_id != key.auth_id:
        raise CardDataError("AODF: the PIN is not that of the usual key")
    return _global(pin)


def _global(pin: PINObject) -> PINObject:
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
    found = [each for each in listed if each.id == key.id]
    if not found:
        raise CertificateMissingError("CDF: no certificate of the authentication key")
    return _only("certificate of the key", found)


def _read_certificate(applet: Applet, entry: CertificateEntry) -> bytes:
    try:
        applet.select(directory.absolute(entry.path, APPLICATION))
    except CardRefusedError as exc:
        if exc.sw == SW.FILE_NOT_FOUND:
            raise CertificateMissingError(f"CDF: no file {entry.path.hex()}") from exc
        raise
    return commands.read_data_object(applet.channel, max_bytes=MAX_CERTIFICATE_BYTES)


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
