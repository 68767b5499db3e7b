"""What a program wants of a CPS card, whatever its generation."""

from typing import Protocol

from cps.pin import PIN


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

        :raises CardDataError: where there is none, or it is no certificate of an RSA key.
        """

    def tries_left(self) -> int:
        """Return how many wrong PINs the card still takes, 0 where it is blocked; spends none."""

    def sign(self, pin: PIN, message: bytes) -> bytes:
        """Return the RSA PKCS#1 v1.5 signature with SHA-256 of *message*, checked.

        PIN and signature are one transaction, in which no other program reaches the card. The PIN
        is sent at most once, and not at all where the card is known to be blocked.

        :param message: hashed here; the caller never signs a hash that came from elsewhere.
        :returns: as many bytes as the key's modulus, 256 for 2048 bits.
        :raises PINRejectedError: wrong or blocked, with the tries left.
        :raises PINLengthError: for a count of digits that the card does not take; nothing was sent.
        :raises CardDataError: where the signature is not one of the certificate's key.
        """

    def close(self) -> None:
        """Let the card go; safe to call twice."""
