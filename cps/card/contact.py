"""A CPS card by its contacts: certificate, PIN and signature, the same for every generation."""

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cps.card.applet import APPLICATION, Applet
from cps.card.cache import CardCache
from cps.card.card import MessageFor, Signed
from cps.card.credential import (
    CardFiles,
    Credential,
    credential_in,
    read_files,
    read_usual_files,
)
from cps.card.files import serial_number
from cps.card.keypad import Keypad, takes
from cps.errors import (
    CardDataError,
    CardRefusedError,
    CardRemovedError,
    KeypadError,
    PINLengthError,
    PINRejectedError,
)
from cps.pin import PIN
from cps.pkcs15.directory import PINObject
from cps.status import SW
from cps.transport.connection import CardConnection
from cps.transport.keypad import KeypadEntry

_KEY_FORGOTTEN = (SW.CONDITIONS_NOT_SATISFIED, SW.REFERENCED_DATA_NOT_FOUND)
"""What a card may say that forgets the chosen key when a PIN is verified; none is known to."""
_LOG = logging.getLogger(__name__)


class ContactCard:
    """A CPS card, opened and recognised.

    :param connection: this object's to close.
    :param applet: how the card's generation is spoken to, through *connection*.
    :param serial: 8 digits.
    :param saw_serial: whether the card itself told that number just now.
    :param reset: whether the card is reset after each signature, so that no other program can use
        the key behind the PIN. It also ends what other programs had open with the card.
    :param cache: where what is read of cards is kept, if it is.
    """

    interface = "contact"

    def __init__(
        self,
        connection: CardConnection,
        applet: Applet,
        serial: str,
        *,
        saw_serial: bool,
        reset: bool,
        cache: CardCache | None,
    ) -> None:
        self._connection = connection
        self._applet = applet
        self._serial = serial
        self._saw_serial = saw_serial
        self._reset = reset
        self._cache = cache
        self._remembered: Credential | None = None
        self._is_from_cache = False
        self._is_listed = False
        """Whether the card's own directories led to the credential, step by step."""
        self._believes_cache = True
        self._in_application = False
        """Whether the application was the current DF when a command of ours was last answered."""
        self._known_tries: int | None = None
        self._keypad: Keypad | None = None

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
            self._known_tries = self._applet.tries_left(pin.reference)
        return self._known_tries

    def has_keypad(self) -> bool:
        if not takes(self._credential().pin):
            return False
        if self._keypad is None:
            self._keypad = Keypad.of(self._connection)
        return self._keypad is not None

    def sign(self, pin: PIN | KeypadEntry, message_for: MessageFor) -> Signed:
        credential = self._credential()
        verify = self._verification(credential.pin, pin)
        with self._connection.transaction(reset=self._reset):
            self._require_tries(credential.pin)
            if not self._can_choose_key(credential):
                credential = self._read_again()
                verify = self._verification(credential.pin, pin)
            self._verify(verify)
            signed = self._sign_verified(credential, message_for)
        self._in_application = not self._reset
        return signed

    def puk_tries_left(self) -> int:
        """Return how many wrong PUKs the card still takes, 0 where it is blocked; spends none.

        :raises CardDataError: where the card names no PUK.
        """
        puk = self._puk()
        with self._connection.transaction(reset=False):
            return self._applet.tries_left(puk.reference)

    def change_pin(self, old: PIN, new: PIN) -> None:
        """Put a new PIN in place of the old one, which is sent at most once.

        :raises PINRejectedError: where the old one is wrong or blocked, with the tries left.
        :raises PINLengthError: for a count of digits that the card does not take; nothing was sent.
        """
        pin = self._credential().pin
        old_block, new_block = _pin_block(pin, old), _pin_block(pin, new)
        with self._connection.transaction(reset=self._reset):
            self._require_tries(pin)
            self._known_tries = None
            self._applet.change_pin(pin.reference, old_block, new_block)

    def unblock_pin(self, puk: PIN, new: PIN) -> None:
        """Give the PIN a new value and all its tries; the PUK is sent at most once.

        :raises PINRejectedError: where the PUK is wrong or blocked, with the tries it has left.
        :raises PINLengthError: for a count of digits that the card does not take; nothing was sent.
        :raises CardDataError: where the card names no PUK.
        """
        pin, puk_object = self._credential().pin, self._puk()
        puk_block, new_block = _pin_block(puk_object, puk), _pin_block(pin, new)
        with self._connection.transaction(reset=self._reset):
            self._known_tries = None
            self._applet.unblock_pin(
                pin.reference, new_block, puk_reference=puk_object.reference, puk=puk_block
            )

    def close(self) -> None:
        self._connection.close()

    def _can_choose_key(self, credential: Credential) -> bool:
        """Choose the key; return whether that can be done with what is taken for granted.

        The key is chosen before the PIN is sent: the number of a key that no other application
        has also tells that the card stands in ours.
        """
        try:
            self._choose_key(credential)
        except CardRefusedError:
            if self._is_listed:
                raise
            return False
        return True

    def _choose_key(self, credential: Credential) -> None:
        if self._in_application:
            # Unless another program moved the card meanwhile: then it refuses.
            with suppress(CardRefusedError):
                self._applet.choose_key(credential.key_reference)
                return
        self._applet.select(APPLICATION)
        self._applet.choose_key(credential.key_reference)

    def _verification(self, pin: PINObject, entry: PIN | KeypadEntry) -> Callable[[], None]:
        """Return what sends the PIN."""
        if isinstance(entry, PIN):
            return partial(self._applet.verify, pin.reference, _pin_block(pin, entry))
        if not self.has_keypad() or self._keypad is None:
            raise KeypadError("the reader has no keypad for this PIN")
        return partial(self._keypad.verify, self._applet.channel, pin, entry)

    def _verify(self, verify: Callable[[], None]) -> None:
        """Send the PIN, once."""
        # Whatever comes back, the count may have changed.
        self._known_tries = None
        try:
            verify()
        except CardRefusedError:
            self._in_application = False
            # Was the PIN written as this card wants it? What was kept of it may be wrong: the card
            # itself is asked before another try is spent.
            if self._is_from_cache:
                self._remembered, self._believes_cache = None, False
            raise

    def _require_tries(self, pin: PINObject) -> None:
        if self._known_tries is None:
            self._known_tries = self._applet.tries_left(pin.reference)
        if self._known_tries == 0:
            raise PINRejectedError("VERIFY", SW.AUTHENTICATION_METHOD_BLOCKED, 0)

    def _sign_verified(self, credential: Credential, message_for: MessageFor) -> Signed:
        """Return the signature of a card whose PIN is verified, with a certificate that fits it."""
        if not self._is_listed:
            try:
                return self._signed(credential, message_for)
            except (CardDataError, CardRefusedError) as exc:
                _LOG.info("what was taken for card %s is not true: %s", self._serial, exc)
            credential = self._read_again()
        return self._signed(credential, message_for)

    def _signed(self, credential: Credential, message_for: MessageFor) -> Signed:
        message = message_for(credential.certificate)
        digest, modulus_bytes = (
            hashlib.sha256(message).digest(),
            credential.public_key.key_size // 8,
        )
        try:
            signature = self._applet.use_key(digest, modulus_bytes)
        except CardRefusedError as exc:
            if exc.sw not in _KEY_FORGOTTEN:
                raise
            self._choose_key(credential)
            signature = self._applet.use_key(digest, modulus_bytes)
        try:
            credential.public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as exc:
            raise CardDataError("the signature is not one of the certificate's key") from exc
        return Signed(certificate=credential.certificate, signature=signature)

    def _read_again(self) -> Credential:
        """Return the card's own credential, its key chosen; a PIN stays verified."""
        self._saw_serial = False
        self._require_same_card()
        self._remembered = self._understood(read_files(self._applet))
        self._choose_key(self._remembered)
        return self._remembered

    def _puk(self) -> PINObject:
        puk = self._credential().puk
        if puk is None:
            raise CardDataError("AODF: the card names no PUK")
        return puk

    def _credential(self) -> Credential:
        if self._remembered is None:
            self._remembered = self._cached()
        if self._remembered is None:
            with self._connection.transaction(reset=False):
                self._remembered = self._read()
        return self._remembered

    def _cached(self) -> Credential | None:
        if self._cache is None or not self._believes_cache:
            return None
        files = self._cache.load(self._serial)
        if files is None:
            return None
        try:
            credential = credential_in(files, self._applet.usual_key)
        except CardDataError as exc:
            _LOG.info("what is kept of card %s is of no use: %s", self._serial, exc)
            return None
        self._is_from_cache = True
        return credential

    def _read(self) -> Credential:
        """Return what the card itself says, and keep it."""
        self._require_same_card()
        try:
            return self._understood(read_usual_files(self._applet))
        except (CardDataError, CardRefusedError) as exc:
            _LOG.info("card %s is not like others: %s", self._serial, exc)
        return self._understood(read_files(self._applet))

    def _require_same_card(self) -> None:
        """Have the card tell its serial number, before anything is kept under that."""
        if not self._saw_serial:
            if serial_number(self._applet.read_serial()) != self._serial:
                raise CardRemovedError("another card is in the reader")
            self._saw_serial = True

    def _understood(self, files: CardFiles) -> Credential:
        """Return the credential in what was just read of the card, and keep the files."""
        credential = credential_in(files, self._applet.usual_key)
        self._is_from_cache, self._is_listed = False, bool(files.private_keys)
        self._in_application = True
        if self._cache is not None:
            self._cache.save(self._serial, files)
        return credential


def _pin_block(pin: PINObject, entered: PIN) -> bytes:
    digits = entered.digits()
    if not pin.min_length <= len(digits) <= pin.longest:
        raise PINLengthError(pin.min_length, pin.longest)
    try:
        return pin.block(digits)
    except ValueError as exc:
        raise CardDataError(f"AODF: {exc}") from exc
