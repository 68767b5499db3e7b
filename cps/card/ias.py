"""The CPS3 card by its contacts: certificate, PIN and signature."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cps import tlv
from cps.card.credential import APPLICATION, Credential, read_credential
from cps.card.files import MF, parsed, select_file
from cps.errors import CardDataError, PINLengthError, PINRejectedError
from cps.iso7816 import commands
from cps.iso7816.channel import Channel
from cps.pin import PIN
from cps.pkcs15 import lax
from cps.pkcs15.directory import PINObject
from cps.status import SW
from cps.transport.connection import CardConnection

MAX_TRIES = 15
"""The most that a status word can tell."""

_RSA_PKCS1 = 0x02
"""The card's number for: pad this as PKCS#1 v1.5 says and use the key; it stands in TokenInfo."""
_SHA256_DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420")
"""What comes before the hash: RFC 8017 §9.2, note 1."""


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
        self._remembered: Credential | None = None
        self._known_tries: int | None = None

    @property
    def serial(self) -> str:
        return self._serial

    @property
    def atr(self) -> bytes:
        return self._connection.atr

    def authentication_certificate(self) -> bytes:
        return self._credential().certificate

    def tries_left(self) -> int:
        pin = self._credential().pin
        with self._connection.transaction(reset=False):
            select_file(self._channel, MF)
            self._known_tries = self._read_tries(pin)
        return self._known_tries

    def sign(self, pin: PIN, message: bytes) -> bytes:
        credential = self._credential()
        block = _pin_block(credential.pin, pin)
        challenge = _SHA256_DIGEST_INFO + hashlib.sha256(message).digest()
        with self._connection.transaction(reset=self._reset):
            self._verify(credential.pin, block)
            select_file(self._channel, APPLICATION)
            commands.set_authentication_key(
                self._channel, algorithm=_RSA_PKCS1, reference=credential.key_reference
            )
            signature = commands.internal_authenticate(self._channel, challenge)
        try:
            credential.public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
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
        return parsed("GET DATA", answer, lambda raw: _tries(raw, pin.reference))

    def _credential(self) -> Credential:
        if self._remembered is None:
            with self._connection.transaction(reset=False):
                self._remembered = read_credential(self._channel)
        return self._remembered


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
        values = lax.required(values, tag, f"data object {tag:02X}").children()
    left = lax.natural(lax.required(values, 0x9B, "the count of tries left").value)
    uses = lax.first(values, 0x9D)
    if uses and not int.from_bytes(uses.value, "big"):
        return 0
    if left > MAX_TRIES:
        raise ValueError(f"{left} tries left")
    return left
