"""How a login tells the refresher which certificate matters, without waiting for anything."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.trust.serial_table import SERIAL_BYTES, decode_serial, encode_serial

_OWNER_BYTES = 32
MESSAGE_BYTES = 1 + _OWNER_BYTES + SERIAL_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One certificate that a login was about."""

    owner: str
    """The issuer, as :func:`gateway.trust.revocation_memory.owner_of` names it."""
    serial: int
    urgent: bool
    """Whether the login was refused for want of an answer; else it is worth knowing for later."""

    def encode(self) -> bytes:
        """Return the message.

        :raises OverflowError: for a serial number that no table could hold.
        """
        return bytes((self.urgent,)) + bytes.fromhex(self.owner) + encode_serial(self.serial)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Return what :meth:`encode` returned.

        :raises ValueError: for anything of another length.
        """
        if len(message) != MESSAGE_BYTES:
            raise ValueError(f"{len(message)} bytes where {MESSAGE_BYTES} are expected")
        return cls(
            urgent=message[0] == 1,
            owner=message[1 : 1 + _OWNER_BYTES].hex(),
            serial=decode_serial(message[1 + _OWNER_BYTES :]),
        )

    def send(self, place: Path) -> None:
        """Leave the message at the refresher's socket, or nowhere: nothing depends on it.

        A refresher that is gone or busy is no reason to wait, nor to fail.
        """
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        with suppress(OSError, OverflowError), socket.socket(socket.AF_UNIX, kind) as sender:
            sender.sendto(self.encode(), str(place))
