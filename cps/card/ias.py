"""The CPS3 card by its contacts: directory files, PIN and signature."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cps import tlv
from cps.card.certificate import mended, rsa_public_key
from cps.card.files import MF, select_file
from cps.errors import CardDataError, PINLengthError, PINRejectedError
from cps.iso7816 import commands
from cps.iso7816.channel import Channel
from cps.pin import PIN
from cps.pkcs15 import directory
from cps.pkcs15.directory import PINObject, PrivateKey, Usage
from cps.status import SW
from cps.tlv import TLV
from cps.transport.connection import CardConnection

APPLICATION = bytes.fromhex("3F000001")
"""The DF of the application reached by the contacts."""
MAX_DIRECTORY_BYTES = 4096
MAX_DIRECTORY_FILES = 4
"""How many files of one kind the ODF may name."""
MAX_CERTIFICATE_BYTES = 8192

_ODF = APPLICATION + bytes.fromhex("5031")
_RSA_PKCS1 = 0x02
"""The card's number for: pad this as PKCS#1 v1.5 says and use the key; it stands in TokenInfo."""
_SHA256_DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420")
"""What comes before the hash: RFC 8017 §9.2, note 1."""
_GLOBAL_PINS = range(1, 0x80)
"""PIN numbers of the whole card; a number with bit 8 would belong to one DF."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Login:
    """What a login needs of this card, as its directory files say."""

    pin: PINObject
    key_reference: int
    certificate: bytes
    public_key: rsa.RSAPublicKey


class IASCard:
    """A CPS3 card, opened and recognised.

    :param connection: this object's to close.
    :param serial: 8 digits.
    :param reset: whether the card is reset after each signature, so that no other program can use
        the key behind the PIN. It also ends what other programs had open with the card.
    """

    interface = "contact"

    def __init__(self, connection: CardConnection, serial: str, *, reset: bool) -> None:
        self._connection = connection
        self._channel = Channel(connection)
        self._serial = serial
        self._reset = reset
        self._remembered: _Login | None = None
        self._known_tries: int | None = None

    @property
    def serial(self) -> str:
        return self._serial

    @property
    def atr(self) -> bytes:
        return self._connection.atr

    def authentication_certificate(self) -> bytes:
        return self._login().certificate

    def tries_left(self) -> int:
        pin = self._login().pin
        with self._connection.transaction(reset=False):
            select_file(self._channel, MF)
            self._known_tries = self._read_tries(pin)
        return self._known_tries

    def sign(self, pin: PIN, message: bytes) -> bytes:
        login = self._login()
        block = _pin_block(login.pin, pin)
        challenge = _SHA256_DIGEST_INFO + hashlib.sha256(message).digest()
        with self._connection.transaction(reset=self._reset):
            self._verify(login.pin, block)
            select_file(self._channel, APPLICATION)
            commands.set_authentication_key(
                self._channel, algorithm=_RSA_PKCS1, reference=login.key_reference
            )
            signature = commands.internal_authenticate(self._channel, challenge)
        try:
            login.public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as exc:
            raise CardDataError("the signature is not one of the certificate's key") from exc
        return signature

    def close(self) -> None:
        self._connection.close()

    def _verify(self, pin: PINObject, block: bytes) -> None:
        """Send the PIN, once, unless it is known to be blocked."""
        select_file(self._channel, MF)
        if self._known_tries is None:
            self._known_tries = self._read_tries(pin)
        if self._known_tries == 0:
            raise PINRejectedError("VERIFY", SW.AUTHENTICATION_METHOD_BLOCKED, 0)
        # Whatever comes back, the count may have changed.
        self._known_tries = None
        commands.verify(self._channel, reference=pin.reference, block=block)

    def _read_tries(self, pin: PINObject) -> int:
        """Return the tries left of *pin*; the MF is the current file."""
        request = (
            bytes.fromhex("4D08 7006 BF81") + bytes((pin.reference,)) + bytes.fromhex("02A080")
        )
        answer = commands.get_data(self._channel, request)
        return _parsed("GET DATA", answer, lambda raw: _tries(raw, pin.reference))

    def _login(self) -> _Login:
        if self._remembered is None:
            with self._connection.transaction(reset=False):
                self._remembered = self._read_login()
        return self._remembered

    def _read_login(self) -> _Login:
        odf = _parsed("ODF", self._read(_ODF), directory.object_directory)
        keys = self._read_all("PrKDF", odf.private_keys, directory.private_keys)
        key, reference = _authentication_key(keys)
        pins = self._read_all("AODF", odf.authentication, directory.pin_objects)
        pin = _only("PIN of the authentication key", [p for p in pins if p.auth_id == key.auth_id])
        if pin.reference not in _GLOBAL_PINS:
            raise CardDataError(f"AODF: PIN reference {pin.reference:02X}")
        listed = self._read_all("CDF", odf.certificates, directory.certificates)
        entry = _only("certificate of the key", [c for c in listed if c.id == key.id])
        select_file(self._channel, directory.absolute(entry.path, APPLICATION))
        raw = commands.read_data_object(self._channel, max_bytes=MAX_CERTIFICATE_BYTES)
        certificate = _parsed("certificate", raw, mended)
        return _Login(
            pin=pin,
            key_reference=reference,
            certificate=certificate,
            public_key=_parsed("certificate", certificate, rsa_public_key),
        )

    def _read_all(
        self, name: str, paths: tuple[bytes, ...], decode: Callable[[bytes], list[_T]]
    ) -> list[_T]:
        """Return what all directory files of one kind list."""
        if not 1 <= len(paths) <= MAX_DIRECTORY_FILES:
            raise CardDataError(f"ODF: {len(paths)} {name} where 1 to {MAX_DIRECTORY_FILES} may be")
        listed: list[_T] = []
        for path in paths:
            content = self._read(directory.absolute(path, APPLICATION))
            listed += _parsed(name, content, decode)
        return listed

    def _read(self, path: bytes) -> bytes:
        select_file(self._channel, path)
        return commands.read_file(self._channel, max_bytes=MAX_DIRECTORY_BYTES)


def _authentication_key(keys: list[PrivateKey]) -> tuple[PrivateKey, int]:
    """Return the key that logs in and its reference.

    It signs and deciphers, which leaves the signature key out, and stands behind a PIN, which
    leaves the technical key out.
    """
    usable = [
        key
        for key in keys
        if {Usage.SIGN, Usage.DECIPHER} <= key.usage
        and Usage.NON_REPUDIATION not in key.usage
        and key.auth_id is not None
    ]
    key = _only("authentication key", usable)
    if not key.reference:
        raise CardDataError("PrKDF: the authentication key has no reference")
    return key, key.reference


def _pin_block(pin: PINObject, entered: PIN) -> bytes:
    digits = entered.digits()
    if not pin.min_length <= len(digits) <= pin.longest:
        raise PINLengthError(pin.min_length, pin.longest)
    try:
        return pin.block(digits)
    except ValueError as exc:
        raise CardDataError(f"AODF: {exc}") from exc


def _tries(raw: bytes, reference: int) -> int:
    """Return the tries left that the PIN's data object tells.

    ``70 { BF81 <reference> { A0 { 9A maximum, 9B left, 9D uses left, ... } } }``; a PIN that is
    used up, 9D, is as blocked as one without tries.
    """
    values = list(tlv.iterate(raw))
    for tag in (0x70, 0xBF8100 | reference, 0xA0):
        values = _required(values, tag).children()
    left = int.from_bytes(_required(values, 0x9B).value, "big")
    uses = [value for value in values if value.tag == 0x9D]
    if uses and not int.from_bytes(uses[0].value, "big"):
        return 0
    if left > 0x0F:
        raise ValueError(f"{left} tries left")
    return left


def _required(objects: list[TLV], tag: int) -> TLV:
    found = next((each for each in objects if each.tag == tag), None)
    if found is None or not found.value:
        raise ValueError(f"data object {tag:02X} is missing")
    return found


def _only(name: str, found: list[_T]) -> _T:
    """Return the one thing in *found*; with none or several, nobody knows which is right."""
    if len(found) != 1:
        raise CardDataError(f"{len(found)} times: {name}")
    return found[0]


def _parsed(name: str, raw: bytes, decode: Callable[[bytes], _T]) -> _T:
    """Return what *decode* reads in *raw*; its ValueError is the card's fault."""
    try:
        return decode(raw)
    except ValueError as exc:
        raise CardDataError(f"{name}: {exc}") from exc
