"""What a program wants of a CPS card, whatever its generation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cps.pin import PIN
from cps.transport.keypad import KeypadEntry

MessageFor = Callable[[bytes], bytes]
"""Returns what the card is to sign, for the DER of the certificate that goes with the signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature, with the certificate whose key verifies it."""

    certificate: bytes
    """DER; not verified."""
    signature: bytes
    """RSA PKCS#1 v1.5 with SHA-256, as many bytes as the key's modulus, 256 for 2048 bits."""


class CPSCard(Protocol):
    """A CPS card in a reader, from :func:`cps.card.recognise.open_card` until `close`.

    Every method may raise a :class:`cps.errors.CardError`. After a
    :class:`cps.errors.TransportError` the card is closed and opened anew; after any other error,
    such as a wrong PIN, it can be used again.
    """

    @property
    def serial(self) -> str:
        """Return the chip's serial number, 8 digits; not the card number of the certificate."""

    @property
    def atr(self) -> bytes:
        """Return the answer to reset, 2 to 33 bytes."""

    @property
    def interface(self) -> str:
        """Return ``contact`` or ``contactless``."""

    def authentication_certificate(self) -> bytes:
        """Return the DER of the certificate whose key logs in; read once, then remembered.

        It may come from a cache: only :meth:`sign` proves that the card has its key.

        :raises CardDataError: where there is none, or it is no certificate of an RSA key.
        """

    def tries_left(self) -> int:
        """Return how many wrong PINs the card still takes, 0 where it is blocked; spends none."""

    def has_keypad(self) -> bool:
        """Return whether this card's PIN can be typed at its reader's own keypad."""

    def sign(self, pin: PIN | KeypadEntry, message_for: MessageFor) -> Signed:
        """Return the card's signature over a message, checked with the certificate's own key.

        PIN and signature are one transaction, in which no other program reaches the card. The PIN
        is sent at most once, and not at all where the card is known to be blocked. Where the
        certificate came from a cache and is not the card's any more, the card's own is read, and
        the message for that one is signed behind the same PIN.

        :param pin: where it is to be typed at the reader's keypad, this program never has it.
        :param message_for: its result is hashed here; the caller never signs a hash that came from
            elsewhere.
        :raises PINRejectedError: wrong or blocked, with the tries left.
        :raises PINLengthError: for a count of digits that the card does not take; nothing was sent.
        :raises PINCancelledError: where the person said no at the keypad, or typed nothing.
        :raises KeypadError: where the keypad failed.
        :raises CardDataError: where the signature is not one of the certificate's key.
        """

    def close(self) -> None:
        """Let the card go; safe to call twice."""
