"""What reaches the chip's instructions, and how one of them says no."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cps.status import SW

GET_RESPONSE = 0xC0
PERFORM_SECURITY_OPERATION = 0x2A


class CommandRefusedError(Exception):
    """An instruction ends with this status word and no data; it never leaves the simulator."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command as an instruction sees it: chained parts joined, secrets not shown."""

    ins: int
    p1: int
    p2: int
    data: bytes
    """0 to 255 bytes, more after command chaining."""
    ne: int
    """Bytes that may be answered, 0 to 256."""

    def __repr__(self) -> str:
        return f"Command({self.ins:02X} {self.p1:02X} {self.p2:02X}, {len(self.data)} bytes)"


Instruction = Callable[[Command], bytes]


class InstructionSet(Protocol):
    """What a chip can do between one reset and the next."""

    def find(self, cla: int, ins: int) -> Instruction:
        """Return the instruction *ins* of the class *cla*.

        :raises CommandRefusedError: where the chip has no such class or instruction, or not now.
        """


def require_get_response(p1: int, p2: int, data: bytes) -> None:
    """Refuse a GET RESPONSE that is not well made."""
    if (p1, p2) != (0x00, 0x00):
        raise CommandRefusedError(SW.INCORRECT_P1_P2)
    if data:
        raise CommandRefusedError(SW.WRONG_LENGTH)


def nothing_to_fetch(command: Command) -> bytes:
    """Refuse GET RESPONSE: what was to fetch, if anything, was left by another class."""
    require_get_response(command.p1, command.p2, command.data)
    raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED)


def find_in(table: dict[int, Instruction], ins: int) -> Instruction:
    """Return the instruction *ins* of one class.

    :raises CommandRefusedError: with 6D00 where *table* has none.
    """
    try:
        return table[ins]
    except KeyError:
        raise CommandRefusedError(SW.INS_NOT_SUPPORTED) from None
