"""The commands of the CPS4 by its contacts, an application on logical channel 1."""

from contextlib import suppress

from cps.card.applet import CONTACT_AID, EF_SN, MF, ROOT_AID, SHA256_DIGEST_INFO
from cps.card.files import SERIAL_FILE_BYTES
from cps.errors import CardDataError, CardRefusedError
from cps.iso7816 import commands, pins
from cps.iso7816.channel import Channel
from cps.pkcs15.directory import PrivateKey, Usage
from cps.status import SW
from cps.transport.connection import CardConnection

_CHANNEL = 1
_ISSUER_DOMAIN_AID = bytes.fromhex("A0000001510000")
_OLD_APPLICATION_AID = bytes.fromhex("80250000 01FF0002")
_ELSEWHERE = (
    SW.CHANNEL_NOT_SUPPORTED,
    SW.CLA_NOT_SUPPORTED,
    SW.INS_NOT_SUPPORTED,
    SW.INCORRECT_P1_P2,
)
_USUAL_KEY = PrivateKey(
    label="CPS_PRIV_AUT",
    id=CONTACT_AID + b"\x20",
    usage=frozenset({Usage.SIGN, Usage.DECIPHER}),
    reference=0x20,
    auth_id=b"\x01",
)
_MIN_PADDING = 8
_UNBLOCKED = 0x80
"""What RESET RETRY COUNTER wants in the PIN's number."""


class ChipDocApplet:
    """A CPS4; see :class:`cps.card.applet.Applet`."""

    def __init__(self, connection: CardConnection) -> None:
        self._basic = Channel(connection)
        self._channel = Channel(connection, number=_CHANNEL)
        self._wants_fci = False

    @property
    def channel(self) -> Channel:
        return self._channel

    @property
    def usual_key(self) -> PrivateKey:
        return _USUAL_KEY

    def open(self) -> None:
        """Select the application, which opens the channel and forgets a verified PIN.

        A card that refuses is brought round as the issuer's own middleware does it: by way of two
        other applications, whatever they answer.
        """
        try:
            commands.select_application(self._channel, ROOT_AID)
        except CardRefusedError:
            for channel, aid in (
                (self._channel, _ISSUER_DOMAIN_AID),
                (self._basic, _OLD_APPLICATION_AID),
            ):
                with suppress(CardRefusedError):
                    commands.select_application(channel, aid)
            commands.select_application(self._channel, ROOT_AID)

    def read_serial(self) -> bytes | None:
        try:
            self.select(EF_SN)
        except CardRefusedError as exc:
            if exc.sw == SW.FILE_NOT_FOUND:
                return None
            raise
        return commands.read_binary(self._channel, offset=0, ne=SERIAL_FILE_BYTES)

    def select(self, path: bytes) -> None:
        """Make the file at *path* the current one, wherever another program left the card.

        Where the channel is closed, or another application has it, ours is opened, once, and the
        file selected again.
        """
        try:
            self._select_here(path)
        except CardRefusedError as exc:
            if exc.sw not in _ELSEWHERE:
                raise
            self.open()
            self._select_here(path)

    def _select_here(self, path: bytes) -> None:
        """Select in the application that has the channel.

        The issuer's own middleware always has a path answered by an FCI. Whether a card selects
        one without was never seen: where it refuses, it is asked as the middleware does, for good.
        """
        try:
            commands.select_below_mf(self._channel, path, with_fci=self._wants_fci)
        except CardRefusedError as exc:
            if self._wants_fci or exc.sw != SW.INCORRECT_P1_P2:
                raise
            commands.select_below_mf(self._channel, path, with_fci=True)
            self._wants_fci = True

    def tries_left(self, reference: int) -> int:
        left = pins.count_tries(self._channel, reference=reference)
        if left is None:
            self.open()
            left = pins.count_tries(self._channel, reference=reference)
        if left is None:
            raise CardDataError("VERIFY: the card does not tell the tries left")
        return left

    def verify(self, reference: int, block: bytes) -> None:
        pins.verify(self._channel, reference=reference, block=block)

    def choose_key(self, reference: int) -> None:
        commands.set_deciphering_key(self._channel, reference=reference)

    def use_key(self, digest: bytes, modulus_bytes: int) -> bytes:
        """Return the signature, made by raw deciphering of a block that is padded here."""
        info = SHA256_DIGEST_INFO + digest
        padding = modulus_bytes - len(info) - 3
        if padding < _MIN_PADDING:
            raise CardDataError(f"a key of {modulus_bytes} bytes is too short")
        # RFC 8017 §9.2: EMSA-PKCS1-v1_5.
        block = b"\x00\x01" + b"\xff" * padding + b"\x00" + info
        return commands.decipher(self._channel, block)

    def change_pin(self, reference: int, old: bytes, new: bytes) -> None:
        self.select(MF)
        pins.verify(self._channel, reference=reference, block=old)
        pins.change(self._channel, reference=reference, old=b"", new=new)

    def unblock_pin(self, reference: int, new: bytes, *, puk_reference: int, puk: bytes) -> None:
        self.select(MF)
        pins.verify(self._channel, reference=puk_reference, block=puk)
        pins.reset_retry_counter(self._channel, reference=_UNBLOCKED | reference, new=b"")
        pins.change(self._channel, reference=reference, old=b"", new=new)
