"""The chip's life: power, reset, one command after another, and the manners of T=0 and T=1.

What must outlive the power is in the image; everything else is made anew at each power-on or
reset, so that nothing can be forgotten in between.
"""

from collections.abc import Callable
from dataclasses import replace

from cps.apdu import MAX_NE, CommandAPDU, ResponseAPDU
from cps.atr import CPS3_CONTACT_ATR, CPS3_CONTACTLESS_ATR
from cps.errors import CardMuteError
from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.cps2ter import OldFiles
from cps.simulator.files import FileSystem
from cps.simulator.image import CardImage
from cps.simulator.keys import KeyRing
from cps.simulator.objects import DataObjects
from cps.simulator.security import SecurityState
from cps.status import SW

CLASS = 0x00
CHAINED_CLASS = 0x10
OLD_CLASS = 0xA0
GET_RESPONSE = 0xC0
PERFORM_SECURITY_OPERATION = 0x2A
MAX_CHAINED_BYTES = 1024

Instruction = Callable[[Command], bytes]


class SoftwareCard:
    """A card without power, until :meth:`power_on`.

    Not for several threads at once: a reader sends one command after another.

    :param contactless: the card lies on a radio reader: there is no PIN, and another key.
    """

    def __init__(self, image: CardImage, *, contactless: bool = False) -> None:
        self._image = image
        self._contactless = contactless
        self._life: _Life | None = None

    @property
    def atr(self) -> bytes:
        """Return the answer to reset."""
        return CPS3_CONTACTLESS_ATR if self._contactless else CPS3_CONTACT_ATR

    @property
    def t0(self) -> bool:
        """Return whether the protocol is T=0, else it is T=1."""
        return not self._contactless

    def power_on(self) -> None:
        """Give power; a card that has it starts anew."""
        self._life = _Life(self._image, contactless=self._contactless)

    def reset(self) -> None:
        """Forget what was verified, chosen and selected."""
        self.power_on()

    def power_off(self) -> None:
        """Take the power away."""
        self._life = None

    def execute(self, command: bytes) -> bytes:
        """Return the raw answer to one raw command, 2 to 258 bytes, whatever the command is.

        :raises CardMuteError: without power.
        """
        if self._life is None:
            raise CardMuteError("the card has no power")
        return self._life.execute(command).encode()


class _Life:
    """From one reset to the next."""

    def __init__(self, image: CardImage, *, contactless: bool) -> None:
        self._t0 = not contactless
        security = SecurityState(image, contactless=contactless)
        files = FileSystem(image, security)
        keys = KeyRing(image, files, security)
        objects = DataObjects(image, files, security)
        old_files = OldFiles(image, security)
        instructions: dict[int, Instruction] = {
            0x20: security.verify,
            0x22: keys.manage_security_environment,
            0x24: security.change,
            PERFORM_SECURITY_OPERATION: keys.perform_security_operation,
            0x2C: security.reset_retry_counter,
            0x84: security.get_challenge,
            0x88: keys.internal_authenticate,
            0xA4: files.select,
            0xB0: files.read_binary,
            0xCB: objects.get_data,
            0xD6: files.update_binary,
        }
        self._classes: dict[int, dict[int, Instruction]] = {
            CLASS: instructions,
            CHAINED_CLASS: instructions,
            OLD_CLASS: {0xA4: old_files.select, 0xB0: old_files.read_binary},
        }
        self._unread = b""
        self._unread_class = CLASS
        self._chained: Command | None = None

    def execute(self, raw: bytes) -> ResponseAPDU:
        """Return the answer to one raw command."""
        chained, self._chained = self._chained, None
        fetching = raw[:2] == bytes((self._unread_class, GET_RESPONSE))
        if not fetching:
            self._unread = b""
        try:
            apdu = self._decode(raw)
            return self._get_response(apdu) if fetching else self._run(apdu, chained)
        except CommandRefusedError as exc:
            return ResponseAPDU(sw=exc.sw)
        except OSError:
            # The image could not be kept: nothing that depends on it was done.
            return ResponseAPDU(sw=SW.MEMORY_FAILURE)

    def _run(self, apdu: CommandAPDU, chained: Command | None) -> ResponseAPDU:
        instructions = self._classes.get(apdu.cla)
        if instructions is None:
            raise CommandRefusedError(SW.CLA_NOT_SUPPORTED)
        instruction = instructions.get(apdu.ins)
        if apdu.ins == GET_RESPONSE:
            # What was to fetch, if anything, was left by a command of another class.
            raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED)
        if instruction is None:
            raise CommandRefusedError(SW.INS_NOT_SUPPORTED)
        command = _joined(chained, apdu)
        if apdu.cla == CHAINED_CLASS:
            if apdu.ins != PERFORM_SECURITY_OPERATION:
                raise CommandRefusedError(SW.CHAINING_NOT_SUPPORTED)
            if len(command.data) > MAX_CHAINED_BYTES:
                raise CommandRefusedError(SW.WRONG_LENGTH)
            self._chained = command
            return ResponseAPDU(sw=SW.SUCCESS)
        data = instruction(command)
        if not self._t0 and apdu.ne is None:
            # Nothing was asked for.
            return ResponseAPDU(sw=SW.SUCCESS)
        # T=0 carries data one way in one exchange: the host fetches what a command with data got.
        now = 0 if self._t0 and apdu.data else command.ne
        data, self._unread, self._unread_class = data[:now], data[now:], apdu.cla
        return ResponseAPDU(data=data, sw=self._more() if self._unread else SW.SUCCESS)

    def _get_response(self, apdu: CommandAPDU) -> ResponseAPDU:
        """Return what is unread, or a part of it; the rest can be fetched with the next one."""
        if (apdu.p1, apdu.p2) != (0x00, 0x00):
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        if apdu.data:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        if not self._unread:
            raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED)
        ne = apdu.ne or MAX_NE
        if ne > len(self._unread):
            raise CommandRefusedError(0x6C00 | len(self._unread))
        data, self._unread = self._unread[:ne], self._unread[ne:]
        return ResponseAPDU(data=data, sw=self._more() if self._unread else SW.SUCCESS)

    def _decode(self, raw: bytes) -> CommandAPDU:
        # By T=0 a header always has a fifth byte: a command with no data at all sends it as 00.
        if self._t0 and len(raw) == 4:
            raw += b"\x00"
        try:
            return CommandAPDU.decode(raw)
        except ValueError:
            raise CommandRefusedError(SW.WRONG_LENGTH) from None

    def _more(self) -> int:
        """Return the status word that says how much is unread."""
        first = 0x9F00 if self._unread_class == OLD_CLASS else 0x6100
        return first | min(len(self._unread), MAX_NE) & 0xFF


def _joined(chained: Command | None, apdu: CommandAPDU) -> Command:
    """Return the command, with the data of the chain that it goes on or ends."""
    command = Command(ins=apdu.ins, p1=apdu.p1, p2=apdu.p2, data=apdu.data, ne=apdu.ne or MAX_NE)
    if chained is None or (chained.ins, chained.p1, chained.p2) != (apdu.ins, apdu.p1, apdu.p2):
        return command
    return replace(command, data=chained.data + command.data)
