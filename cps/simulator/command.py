"""What reaches the chip's instructions, and how one of them says no."""

from dataclasses import dataclass


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
