"""The credential that logs in, found by what the card's directory files say of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa

from cps.card.certificate import mended, rsa_public_key
from cps.card.files import parsed, select_file
from cps.errors import CardDataError
from cps.iso7816 import commands
from cps.iso7816.channel import Channel
from cps.pkcs15 import directory
from cps.pkcs15.directory import PINObject, PrivateKey, Usage

APPLICATION = bytes.fromhex("3F000001")
"""The DF of the application reached by the contacts."""
MAX_DIRECTORY_BYTES = 4096
MAX_DIRECTORY_FILES = 4
"""How many files of one kind the ODF may name."""
MAX_CERTIFICATE_BYTES = 8192

_ODF = APPLICATION + bytes.fromhex("5031")
_GLOBAL_PINS = range(1, 0x80)
"""PIN numbers of the whole card; a number with bit 8 would belong to one DF."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The authentication key of a card, with its PIN and its certificate."""

    pin: PINObject
    """The PIN that opens the key; its reference is 0x01 to 0x7F."""
    key_reference: int
    """The key's number in the card, 0x01 to 0xFF."""
    certificate: bytes
    """DER, at most 8192 bytes; not verified."""
    public_key: rsa.RSAPublicKey
    """That of the certificate."""


def read_credential(channel: Channel) -> Credential:
    """Return the one credential of this card that can log in.

    The authentication key signs and deciphers, which leaves the signature key out, and stands
    behind a PIN, which leaves the technical key out. Its PIN and its certificate are those that
    the card lists under the key's own identifiers.

    :param channel: to a card that no other program uses meanwhile.
    :raises CardDataError: where there is no such key, PIN or certificate, or more than one.
    :raises CardRefusedError: where a file is missing or may not be read.
    """
    odf = parsed("ODF", _read(channel, _ODF), directory.object_directory)
    keys = _read_all(channel, "PrKDF", odf.private_keys, directory.private_keys)
    key = _only("authentication key", [each for each in keys if _logs_in(each)])
    if not key.reference:
        raise CardDataError("PrKDF: the authentication key has no reference")
    pins = _read_all(channel, "AODF", odf.authentication, directory.pin_objects)
    pin = _only("PIN of the key", [each for each in pins if each.auth_id == key.auth_id])
    if pin.reference not in _GLOBAL_PINS:
        raise CardDataError(f"AODF: PIN reference {pin.reference:02X}")
    listed = _read_all(channel, "CDF", odf.certificates, directory.certificates)
    entry = _only("certificate of the key", [each for each in listed if each.id == key.id])
    select_file(channel, directory.absolute(entry.path, APPLICATION))
    raw = commands.read_data_object(channel, max_bytes=MAX_CERTIFICATE_BYTES)
    certificate = parsed("certificate", raw, mended)
    return Credential(
        pin=pin,
        key_reference=key.reference,
        certificate=certificate,
        public_key=parsed("certificate", certificate, rsa_public_key),
    )


def _logs_in(key: PrivateKey) -> bool:
    return (
        {Usage.SIGN, Usage.DECIPHER} <= key.usage
        and Usage.NON_REPUDIATION not in key.usage
        and key.auth_id is not None
    )


def _read_all(
    channel: Channel, name: str, paths: tuple[bytes, ...], decode: Callable[[bytes], list[_T]]
) -> list[_T]:
    """Return what all directory files of one kind list."""
    if not 1 <= len(paths) <= MAX_DIRECTORY_FILES:
        raise CardDataError(f"ODF: {len(paths)} {name} where 1 to {MAX_DIRECTORY_FILES} may be")
    listed: list[_T] = []
    for path in paths:
        content = _read(channel, directory.absolute(path, APPLICATION))
        listed += parsed(name, content, decode)
    return listed


def _read(channel: Channel, path: bytes) -> bytes:
    select_file(channel, path)
    return commands.read_file(channel, max_bytes=MAX_DIRECTORY_BYTES)


def _only(name: str, found: list[_T]) -> _T:
    """Return the one thing in *found*; with none or several, nobody knows which is right."""
    if len(found) != 1:
        raise CardDataError(f"{len(found)} times: {name}")
    return found[0]
