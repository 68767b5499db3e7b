"""The chip's life: power, reset, one command after another, and the manners of T=0 and T=1.

What must outlive the power is in the image; everything else is made anew at each power-on or
reset, so that nothing can be forgotten in between.
"""

from dataclasses import replace

from cps.apdu import MAX_NE, CommandAPDU, ResponseAPDU
from cps.atr import CPS3_CONTACT_ATR, CPS3_CONTACTLESS_ATR, CPS4_ATR, CPS4_T0_ATR, CardType
from cps.errors import CardMuteError
from cps.simulator.chipdoc import ChipDocCard
from cps.simulator.command import (
    GET_RESPONSE,
    PERFORM_SECURITY_OPERATION,
    Command,
    CommandRefusedError,
    InstructionSet,
    require_get_response,
)
from cps.simulator.ias import OLD_CLASS, IASCard
from cps.simulator.image import CardImage
from cps.status import SW

CHAINING = 0x10
"""The bit of the class that says: there is more of this command to come."""
MAX_CHAINED_BYTES = 1024


class SoftwareCard:
    """A card without power, until :meth:`power_on`.

    Not for several threads at once: a reader sends one command after another.

    :param contactless: a CPS3 lies on a radio reader: there is no PIN, and another key.
    :param t0: a CPS4 of those that speak T=0 alone; by contact a CPS3 always does.
    :raises ValueError: for a CPS4 on a radio reader, of which nothing is known.
    """

    def __init__(self, image: CardImage, *, contactless: bool = False, t0: bool = False) -> None:
        self._image = image
        self._contactless = contactless
        if image.card is CardType.CPS4:
            if contactless:
                raise ValueError("a CPS4 is read by contact alone")
            self._atr = CPS4_T0_ATR if t0 else CPS4_ATR
            self._t0 = t0
        else:
            self._atr = CPS3_CONTACTLESS_ATR if contactless else CPS3_CONTACT_ATR
            self._t0 = not contactless
        self._life: _Life | None = None

    @property
    def atr(self) -> bytes:
        """Return the answer to reset."""
        return self._atr

    @property
    def t0(self) -> bool:
        """Return whether the protocol is T=0, else it is T=1."""
        return self._t0

    def power_on(self) -> None:
        """Give power; a card that has it starts anew."""
        if self._image.card is CardType.CPS4:
            # A CPS4 tells how much there is to fetch also where nothing was asked for.
            self._life = _Life(ChipDocCard(self._image), t0=self._t0, tells_unasked=True)
        else:
            card = IASCard(self._image, contactless=self._contactless)
            self._life = _Life(card, t0=self._t0, tells_unasked=self._t0)

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

    def __init__(self, instructions: InstructionSet, *, t0: bool, tells_unasked: bool) -> None:
        self._instructions = instructions
        self._t0 = t0
        self._tells_unasked = tells_unasked
        self._unread = b""
        self._unread_class = 0x00
        self._chained: Command | None = None

    def execute(self, raw: bytes) -> ResponseAPDU:
        """Return the answer to one raw command."""
        chained, self._chained = self._chained, None
        fetching = bool(self._unread) and raw[:2] == bytes((self._unread_class, GET_RESPONSE))
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
        instruction = self._instructions.find(apdu.cla, apdu.ins)
        command = _joined(chained, apdu)
        if apdu.cla & CHAINING:
            if apdu.ins != PERFORM_SECURITY_OPERATION:
                raise CommandRefusedError(SW.CHAINING_NOT_SUPPORTED)
            if len(command.data) > MAX_CHAINED_BYTES:
                raise CommandRefusedError(SW.WRONG_LENGTH)
            self._chained = command
            return ResponseAPDU(sw=SW.SUCCESS)
        data = instruction(command)
        if apdu.ne is None and not self._tells_unasked:
            return ResponseAPDU(sw=SW.SUCCESS)
        # T=0 carries data one way in one exchange: the host fetches what a command with data got.
        at_once = apdu.ne is not None and not (self._t0 and apdu.data)
        now = command.ne if at_once else 0
        data, self._unread, self._unread_class = data[:now], data[now:], apdu.cla
        return ResponseAPDU(data=data, sw=self._more() if self._unread else SW.SUCCESS)

    def _get_response(self, apdu: CommandAPDU) -> ResponseAPDU:
        """Return what is unread, or a part of it; the rest can be fetched with the next one."""
        require_get_response(apdu.p1, apdu.p2, apdu.data)
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
