"""What the generations of the card do differently: one interface, one class for each of them."""

from typing import Protocol

from cps.iso7816.channel import Channel
from cps.pkcs15.directory import PrivateKey

MF = bytes.fromhex("3F00")
EF_SN = bytes.fromhex("3F00D003")
APPLICATION = bytes.fromhex("3F000001")
"""The DF of the application reached by the contacts: keys, certificates, directory files."""
ROOT_AID = bytes.fromhex("80250000 01FF0100")
"""The application that holds the MF."""

USUAL_AODF = APPLICATION + bytes.fromhex("7001")
USUAL_CDF = APPLICATION + bytes.fromhex("7005")
"""Where the cards that are known have these directory files."""
CONTACT_AID = bytes.fromhex("E828BD08 0F802500 0001FF00 10")
"""The name of that application; the identifiers of its keys begin with it."""

SHA256_DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420")
"""What comes before the hash: RFC 8017 §9.2, note 1."""


class Applet(Protocol):
    """The commands of one generation, to a card that no other program uses meanwhile.

    Every method may raise a :class:`cps.errors.CardError`; none sends a PIN twice.
    """

    @property
    def channel(self) -> Channel:
        """Return the channel on which files that were selected are read."""

    @property
    def usual_key(self) -> PrivateKey:
        """Return the authentication key as every known card of this generation lists it."""

    def open(self) -> None:
        """Make the card ready for the other methods, after a reset or another program."""

    def read_serial(self) -> bytes | None:
        """Return the content of EF.SN, at most 12 bytes; ``None`` where there is no such file."""

    def select(self, path: bytes) -> None:
        """Make the file at *path* the current one, wherever another program left the card.

        :param path: from the MF on, 2 to 16 bytes.
        :raises CardRefusedError: FILE_NOT_FOUND where there is none.
        """

    def tries_left(self, reference: int) -> int:
        """Return how many tries a PIN or PUK has left, 0 where it is blocked; spends none."""

    def verify(self, reference: int, block: bytes) -> None:
        """Compare a PIN, once; the verified state outlives :meth:`select`.

        :raises PINRejectedError: wrong or blocked, with the tries left.
        """

    def choose_key(self, reference: int) -> None:
        """Choose the key for :meth:`use_key`; the choice outlives :meth:`verify`.

        :raises CardRefusedError: also where the application is not the current DF: no key of that
            number is known elsewhere.
        """

    def use_key(self, digest: bytes, modulus_bytes: int) -> bytes:
        """Return the chosen key's PKCS#1 v1.5 signature over a SHA-256 *digest*.

        :param digest: 32 bytes.
        :param modulus_bytes: the length of the key's modulus, 256 for 2048 bits.
        :raises CardRefusedError: also where its PIN was not verified.
        """

    def change_pin(self, reference: int, old: bytes, new: bytes) -> None:
        """Put a new PIN in place of the old one, which is compared, once.

        :raises PINRejectedError: where the old one is wrong or blocked, with the tries left.
        """

    def unblock_pin(self, reference: int, new: bytes, *, puk_reference: int, puk: bytes) -> None:
        """Give the PIN a new value and all its tries, after the PUK was compared, once.

        :raises PINRejectedError: where the PUK is wrong or blocked, with the tries it has left.
        """
