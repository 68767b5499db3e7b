"""A reader with a keypad and a person at it; it reads PC/SC part 10 by itself, byte by byte."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from cps.transport.connection import CardConnection

CONTROL_BASE = 0x42000000
VERIFY_CODE = 0x42330006


@dataclass(slots=True)
class KeypadReader:
    """Wraps a connection to a card.

    :ivar typed: what the person types, in turn: digits, or the status word that the reader answers.
    :ivar features: its list of features.
    :ivar structures: what it was given to verify.
    """

    connection: CardConnection
    typed: list[str | int] = field(default_factory=list)
    features: bytes = bytes.fromhex("0604") + VERIFY_CODE.to_bytes(4, "big")
    structures: list[bytes] = field(default_factory=list)
    transmitted: list[bytes] = field(default_factory=list)

    @property
    def atr(self) -> bytes:
        return self.connection.atr

    @property
    def t0(self) -> bool:
        return self.connection.t0

    def transmit(self, command: bytes) -> bytes:
        self.transmitted.append(command)
        return self.connection.transmit(command)

    def transaction(self, *, reset: bool) -> AbstractContextManager[None]:
        return self.connection.transaction(reset=reset)

    def close(self) -> None:
        self.connection.close()

    def control_code(self, number: int) -> int:
        return CONTROL_BASE + number

    def control(self, code: int, data: bytes, *, seconds: float) -> bytes:
        if code == CONTROL_BASE + 3400:
            assert data == b""
            return self.features
        assert code == VERIFY_CODE
        self.structures.append(data)
        typed = self.typed.pop(0)
        if isinstance(typed, int):
            return typed.to_bytes(2, "big")
        return self._verify(data, typed)

    def _verify(self, data: bytes, digits: str) -> bytes:
        most, least = data[5], data[6]
        if not least <= len(digits) <= most:
            return b"\x64\x03"
        assert data[2] == 0x82, "ASCII from the left, at the first data byte"
        command = bytearray(data[19:])
        assert int.from_bytes(data[15:19], "little") == len(command)
        if data[3] == 0:
            command[4] = len(digits)
        command[5 : 5 + len(digits)] = digits.encode("ascii")
        return self.connection.transmit(bytes(command))
