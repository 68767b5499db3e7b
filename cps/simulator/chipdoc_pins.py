"""The commands of PIN and PUK on a CPS4."""

from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.security import (
    CHANGE,
    RESET_COUNTER,
    SecurityState,
    new_value,
    require_usable,
)
from cps.status import SW

NEW_VALUE_ALONE = 0x01
NO_DATA = 0x03
RESET_REFERENCE = 0x80
"""RESET RETRY COUNTER wants this bit in the reference, which the other commands do not have."""


class ChipDocPINs:
    """What a CPS4 does with PIN and PUK."""

    def __init__(self, security: SecurityState) -> None:
        self._security = security
        self._unblocked: set[int] = set()

    def verify(self, command: Command) -> bytes:
        """Run VERIFY; without data it tells the tries left, also of a PIN that is verified."""
        if command.p1 != 0x00:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        entry = self._security.find(command.p2)
        if not command.data:
            require_usable(entry)
            raise CommandRefusedError(0x63C0 | entry.tries_left)
        self._security.verify(entry, command.data)
        return b""

    def change(self, command: Command) -> bytes:
        """Run CHANGE REFERENCE DATA: the new value alone, after VERIFY or after unblocking."""
        if command.p1 != NEW_VALUE_ALONE:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        entry = self._security.find(command.p2)
        self._security.require_met(entry.access[CHANGE])
        if not self._security.is_verified(entry) and entry.reference not in self._unblocked:
            raise CommandRefusedError(SW.SECURITY_STATUS_NOT_SATISFIED)
        if len(command.data) != entry.length:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        self._security.replace(entry, new_value(entry, command.data))
        self._unblocked.discard(entry.reference)
        return b""

    def reset_retry_counter(self, command: Command) -> bytes:
        """Run RESET RETRY COUNTER without data: the PUK was verified before.

        The PIN stays the same, and may once be changed without giving the old one.
        """
        if command.p1 != NO_DATA or not command.p2 & RESET_REFERENCE:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        if command.data:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        entry = self._security.find(command.p2 & ~RESET_REFERENCE)
        self._security.require_met(entry.access[RESET_COUNTER])
        self._security.unblock(entry, entry.digits)
        self._unblocked.add(entry.reference)
        return b""
