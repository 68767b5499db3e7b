"""The commands of the CPS3 by its contacts, an IAS-ECC card."""

from cps import tlv
from cps.card.applet import CONTACT_AID, EF_SN, MF, ROOT_AID, SHA256_DIGEST_INFO
from cps.card.files import SERIAL_FILE_BYTES, is_serial_file, parsed
from cps.errors import CardRefusedError
from cps.iso7816 import commands, pins
from cps.iso7816.channel import Channel
from cps.pkcs15 import lax
from cps.pkcs15.directory import PrivateKey, Usage
from cps.status import SW
from cps.transport.connection import CardConnection

MAX_TRIES = 15
"""The most that a status word can tell."""

_SERIAL_SFI = 0x1C
_USUAL_KEY = PrivateKey(
    label="CPS_PRIV_AUT",
    id=CONTACT_AID + b"\x02",
    usage=frozenset({Usage.SIGN, Usage.DECIPHER}),
    reference=0x82,
    auth_id=b"\x01",
)
_RSA_PKCS1 = 0x02
"""The card's number for: pad this as PKCS#1 v1.5 says and use the key; it stands in TokenInfo."""
_ELSEWHERE = (SW.CLA_NOT_SUPPORTED, SW.INCORRECT_P1_P2)


class IASApplet:
    """A CPS3; see :class:`cps.card.applet.Applet`."""

    def __init__(self, connection: CardConnection) -> None:
        self._channel = Channel(connection)

    @property
    def channel(self) -> Channel:
        return self._channel

    @property
    def usual_key(self) -> PrivateKey:
        return _USUAL_KEY

    def open(self) -> None:
        """Nothing to do: the root application is there after a reset, and :meth:`select` finds it.

        Each APDU takes 0.1 s.
        """

    def read_serial(self) -> bytes | None:
        try:
            # One command, where the MF is the current DF, as it is after a reset.
            content = commands.read_short(self._channel, sfi=_SERIAL_SFI, ne=SERIAL_FILE_BYTES)
        except CardRefusedError:
            content = b""
        return content if is_serial_file(content) else self._read_serial_by_path()

    def _read_serial_by_path(self) -> bytes | None:
        try:
            self.select(EF_SN)
        except CardRefusedError as exc:
            if exc.sw == SW.FILE_NOT_FOUND:
                return None
            raise
        return commands.read_binary(self._channel, offset=0, ne=SERIAL_FILE_BYTES)

    def select(self, path: bytes) -> None:
        """Make the file at *path* the current one, wherever another program left the card.

        A card that stands in another application does not know the command. Then its root
        application is selected, once, and the file again.
        """
        try:
            commands.select(self._channel, path)
        except CardRefusedError as exc:
            if exc.sw not in _ELSEWHERE:
                raise
            commands.select_application(self._channel, ROOT_AID)
            commands.select(self._channel, path)

    def tries_left(self, reference: int) -> int:
        """Return the tries left, by one command where the card answers that.

        A PIN that another program left verified, or a card that does not know the question, is
        asked for the PIN's data object, which is known from the MF alone.
        """
        left = pins.count_tries(self._channel, reference=reference)
        if left is not None:
            return left
        self.select(MF)
        request = bytes.fromhex("4D08 7006 BF81") + bytes((reference,)) + bytes.fromhex("02A080")
        answer = commands.get_data(self._channel, request)
        return parsed("GET DATA", answer, lambda raw: _tries(raw, reference))

    def verify(self, reference: int, block: bytes) -> None:
        pins.verify(self._channel, reference=reference, block=block)

    def choose_key(self, reference: int) -> None:
        commands.set_authentication_key(self._channel, algorithm=_RSA_PKCS1, reference=reference)

    def use_key(self, digest: bytes, modulus_bytes: int) -> bytes:
        return commands.internal_authenticate(self._channel, SHA256_DIGEST_INFO + digest)

    def change_pin(self, reference: int, old: bytes, new: bytes) -> None:
        self.select(MF)
        pins.change(self._channel, reference=reference, old=old, new=new)

    def unblock_pin(self, reference: int, new: bytes, *, puk_reference: int, puk: bytes) -> None:
        self.select(MF)
        pins.verify(self._channel, reference=puk_reference, block=puk)
        pins.reset_retry_counter(self._channel, reference=reference, new=new)


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
