"""Command and response APDUs in the short form, values and bytes both ways."""

from dataclasses import dataclass, field

MAX_NC = 255
MAX_NE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAPDU:
    """One command in the short form.

    Source: ISO/IEC 7816-3:2006 §12.1; ISO/IEC 7816-4:2020 §5.2.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = field(default=b"", repr=False)
    """0 to 255 bytes; not shown, because it may be a PIN."""
    ne: int | None = None
    """Bytes wanted, 1 to 256, or ``None`` where no answer data are wanted."""

    def __post_init__(self) -> None:
        for name, value in (("CLA", self.cla), ("INS", self.ins), ("P1", self.p1), ("P2", self.p2)):
            if not 0 <= value <= 0xFF:
                raise ValueError(f"{name} {value}: one byte is wanted")
        if len(self.data) > MAX_NC:
            raise ValueError(f"Nc {len(self.data)}: at most {MAX_NC} bytes in the short form")
        if self.ne is not None and not 1 <= self.ne <= MAX_NE:
            raise ValueError(f"Ne {self.ne}: 1 to {MAX_NE} in the short form")

    @property
    def case(self) -> int:
        """Return the command's case, 1 to 4: ISO/IEC 7816-3:2006 §12.1.2."""
        return (3 if self.data else 1) + (self.ne is not None)

    def encode(self) -> bytes:
        """Return header, Lc with data where there are any, and Le where an answer is wanted."""
        body = bytes((self.cla, self.ins, self.p1, self.p2))
        if self.data:
            body += bytes((len(self.data),)) + self.data
        if self.ne is not None:
            body += bytes((self.ne & 0xFF,))
        return body

    @classmethod
    def decode(cls, raw: bytes) -> "CommandAPDU":
        """Return the command in *raw*.

        :raises ValueError: where the length fits none of the four short cases. An Lc of 00 is
            refused, but for the five bytes of case 2, where that byte is Le.

        Source: ISO/IEC 7816-3:2006 §12.1.3.
        """
        if len(raw) < 4:
            raise ValueError(f"{len(raw)} bytes: a command has at least 4")
        cla, ins, p1, p2 = raw[:4]
        data, ne = b"", None
        rest = raw[4:]
        if len(rest) == 1:
            ne = rest[0] or MAX_NE
        elif rest:
            nc = rest[0]
            if nc == 0 or len(rest) not in (1 + nc, 2 + nc):
                raise ValueError(f"Lc {nc:02X} with {len(rest) - 1} bytes behind it")
            data = rest[1 : 1 + nc]
            if len(rest) == 2 + nc:
                ne = rest[-1] or MAX_NE
        return cls(cla=cla, ins=ins, p1=p1, p2=p2, data=data, ne=ne)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseAPDU:
    """One answer: data and status word.

    Source: ISO/IEC 7816-4:2020 §5.2, table 2.
    """

    data: bytes = b""
    """0 to 256 bytes."""
    sw: int
    """SW1-SW2 as one integer."""

    def encode(self) -> bytes:
        """Return the data followed by the two bytes of the status word."""
        return self.data + self.sw.to_bytes(2, "big")

    @classmethod
    def decode(cls, raw: bytes) -> "ResponseAPDU":
        """Return the answer in *raw*.

        :raises ValueError: for fewer than 2 or more than 258 bytes, or a first byte of the status
            word that ISO/IEC 7816-3 does not allow (6X but 60, or 9X).

        Source: ISO/IEC 7816-3:2006 §12.1; ISO/IEC 7816-4:2020 §5.6.
        """
        if not 2 <= len(raw) <= MAX_NE + 2:
            raise ValueError(f"{len(raw)} bytes: an answer has 2 to {MAX_NE + 2}")
        sw = int.from_bytes(raw[-2:], "big")
        if sw >> 12 not in (6, 9) or sw >> 8 == 0x60:
            raise ValueError(f"{sw:04X} is no status word")
        return cls(data=raw[:-2], sw=sw)
