"""The commands of PIN and PUK on a CPS3: verify, change, unblock."""

from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.image import ReferenceData
from cps.simulator.security import (
    AUTHENTICATED_BY,
    CHANGE,
    PADDED_LENGTH,
    RESET_COUNTER,
    SecurityState,
    new_value,
    require_usable,
)
from cps.status import SW


class PINCommands:
    """What a CPS3 does with PIN and PUK."""

    def __init__(self, security: SecurityState) -> None:
        self._security = security

    def verify(self, command: Command) -> bytes:
        """Run VERIFY; without data it only tells the status and costs no try."""
        if command.p1 != 0x00:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        entry = self._security.find(command.p2)
        if not command.data:
            self._tell_status(entry)
            return b""
        self._security.verify(entry, command.data)
        return b""

    def change(self, command: Command) -> bytes:
        """Run CHANGE REFERENCE DATA: old and new value, or the new one alone after VERIFY."""
        if command.p1 not in (0x00, 0x01):
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        security = self._security
        entry = security.find(command.p2)
        security.require_met(entry.access[CHANGE])
        was_verified = security.is_verified(entry)
        if command.p1 == 0x01:
            if not was_verified:
                raise CommandRefusedError(SW.SECURITY_STATUS_NOT_SATISFIED)
            security.replace(entry, new_value(entry, command.data))
            return b""
        if len(command.data) not in (2 * entry.length, 2 * PADDED_LENGTH):
            raise CommandRefusedError(SW.WRONG_LENGTH)
        half = len(command.data) // 2
        new = new_value(entry, command.data[half:])
        if was_verified:
            security.verify(entry, command.data[:half])
        else:
            security.prove(entry, command.data[:half])
        security.replace(entry, new)
        return b""

    def reset_retry_counter(self, command: Command) -> bytes:
        """Run RESET RETRY COUNTER: with the PUK in the data, or after the PUK was verified."""
        if command.p1 not in (0x00, 0x02, 0x03):
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        entry = self._security.find(command.p2)
        condition = entry.access[RESET_COUNTER]
        new = entry.digits
        if command.p1 == 0x00:
            new = self._unblock(condition, entry, command.data)
        else:
            self._security.require_met(condition)
            if command.p1 == 0x02:
                new = new_value(entry, command.data)
            elif command.data:
                raise CommandRefusedError(SW.WRONG_LENGTH)
        self._security.unblock(entry, new)
        return b""

    def _unblock(self, condition: int, entry: ReferenceData, data: bytes) -> bytes:
        """Check the unblocking code at the front of *data* and return the new value behind it."""
        if condition not in AUTHENTICATED_BY:
            raise CommandRefusedError(SW.SECURITY_STATUS_NOT_SATISFIED)
        unblocking = self._security.find(AUTHENTICATED_BY[condition])
        if len(data) not in (PADDED_LENGTH + entry.length, 2 * PADDED_LENGTH):
            raise CommandRefusedError(SW.WRONG_LENGTH)
        new = new_value(entry, data[PADDED_LENGTH:])
        self._security.prove(unblocking, data[:PADDED_LENGTH])
        return new

    def _tell_status(self, entry: ReferenceData) -> None:
        if self._security.is_verified(entry):
            return
        require_usable(entry)
        raise CommandRefusedError(0x63C0 | entry.tries_left)
