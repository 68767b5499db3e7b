"""PIN and PUK: what was verified since the last reset, and the counters that outlive it."""

import hmac
import secrets

from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.image import CardImage, FileImage, KeyImage, ReferenceData
from cps.status import SW

PIN_REFERENCE = 0x01
PUK_REFERENCE = 0x02
PADDED_LENGTH = 8
MIN_LENGTH = 4
PAD = b"\xff"

ALWAYS = 0x00
NEVER = 0xFF
# The low half byte names a security environment of the card; the first is the PIN, the third the
# PUK. Any other condition, secure messaging among them, is never met here.
AUTHENTICATED_BY = {0x11: PIN_REFERENCE, 0x13: PUK_REFERENCE}

CHANGE, VERIFY, RESET_COUNTER, PUT, GET = range(5)


class SecurityState:
    """What the holder has proved since the last reset.

    Every try is counted, and the count is on the disk, before the digits are looked at: neither a
    reset nor the end of the process gives it back.
    """

    def __init__(self, image: CardImage, *, contactless: bool) -> None:
        self._image = image
        self._contactless = contactless
        self._verified: set[int] = set()

    @property
    def reference_data(self) -> list[ReferenceData]:
        """Return PIN and PUK: by radio there are none."""
        return [] if self._contactless else self._image.reference_data

    def condition(self, item: FileImage | KeyImage, operation: int) -> int:
        """Return the access condition, one byte, that holds for the interface in use."""
        return (item.contactless if self._contactless else item.contact)[operation]

    def allows(self, item: FileImage | KeyImage, operation: int) -> bool:
        """Return whether an operation on a file or a key is allowed now."""
        return self._is_met(self.condition(item, operation))

    def require(self, item: FileImage | KeyImage, operation: int) -> None:
        """Refuse with 6982 what :meth:`allows` does not allow."""
        self._require_met(self.condition(item, operation))

    def verify(self, command: Command) -> bytes:
        """Run VERIFY; without data it only tells the status and costs no try."""
        if command.p1 != 0x00:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        entry = self._find(command.p2)
        if not command.data:
            self._tell_status(entry)
            return b""
        if not MIN_LENGTH <= len(command.data) <= PADDED_LENGTH:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        self._require_met(entry.access[VERIFY])
        self._prove(entry, command.data)
        self._verified.add(entry.reference)
        return b""

    def change(self, command: Command) -> bytes:
        """Run CHANGE REFERENCE DATA: old and new value, or the new one alone after VERIFY."""
        if command.p1 not in (0x00, 0x01):
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        entry = self._find(command.p2)
        self._require_met(entry.access[CHANGE])
        if command.p1 == 0x01:
            if entry.reference not in self._verified:
                raise CommandRefusedError(SW.SECURITY_STATUS_NOT_SATISFIED)
            self._replace(entry, _new_value(entry, command.data))
            return b""
        if len(command.data) not in (2 * entry.length, 2 * PADDED_LENGTH):
            raise CommandRefusedError(SW.WRONG_LENGTH)
        half = len(command.data) // 2
        new = _new_value(entry, command.data[half:])
        was_verified = entry.reference in self._verified
        self._prove(entry, command.data[:half])
        if was_verified:
            self._verified.add(entry.reference)
        self._replace(entry, new)
        return b""

    def reset_retry_counter(self, command: Command) -> bytes:
        """Run RESET RETRY COUNTER: with the PUK in the data, or after the PUK was verified."""
        if command.p1 not in (0x00, 0x02, 0x03):
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        entry = self._find(command.p2)
        condition = entry.access[RESET_COUNTER]
        new = entry.digits
        if command.p1 == 0x00:
            new = self._unblock(condition, entry, command.data)
        else:
            self._require_met(condition)
            if command.p1 == 0x02:
                new = _new_value(entry, command.data)
            elif command.data:
                raise CommandRefusedError(SW.WRONG_LENGTH)
        entry.tries_left = entry.tries_maximum
        self._replace(entry, new)
        return b""

    def get_challenge(self, command: Command) -> bytes:
        """Run GET CHALLENGE: random bytes, as many as are wanted."""
        if (command.p1, command.p2) != (0x00, 0x00):
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        if command.data:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        return secrets.token_bytes(command.ne)

    def _unblock(self, condition: int, entry: ReferenceData, data: bytes) -> bytes:
        """Check the unblocking code at the front of *data* and return the new value behind it."""
        if condition not in AUTHENTICATED_BY:
            raise CommandRefusedError(SW.SECURITY_STATUS_NOT_SATISFIED)
        unblocking = self._find(AUTHENTICATED_BY[condition])
        if len(data) not in (PADDED_LENGTH + entry.length, 2 * PADDED_LENGTH):
            raise CommandRefusedError(SW.WRONG_LENGTH)
        new = _new_value(entry, data[PADDED_LENGTH:])
        self._prove(unblocking, data[:PADDED_LENGTH])
        return new

    def _tell_status(self, entry: ReferenceData) -> None:
        if entry.reference in self._verified:
            return
        _require_usable(entry)
        raise CommandRefusedError(0x63C0 | entry.tries_left)

    def _prove(self, entry: ReferenceData, presented: bytes) -> None:
        _require_usable(entry)
        self._verified.discard(entry.reference)
        entry.tries_left -= 1
        self._image.commit()
        if not hmac.compare_digest(presented.rstrip(PAD), entry.digits):
            raise CommandRefusedError(0x63C0 | entry.tries_left)
        entry.tries_left = entry.tries_maximum
        if entry.uses_left is not None:
            entry.uses_left -= 1
        self._image.commit()

    def _replace(self, entry: ReferenceData, new: bytes) -> None:
        entry.digits = new
        self._image.commit()

    def _is_met(self, condition: int) -> bool:
        return condition == ALWAYS or AUTHENTICATED_BY.get(condition) in self._verified

    def _require_met(self, condition: int) -> None:
        if not self._is_met(condition):
            raise CommandRefusedError(SW.SECURITY_STATUS_NOT_SATISFIED)

    def _find(self, reference: int) -> ReferenceData:
        for entry in self.reference_data:
            if entry.reference == reference:
                return entry
        raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)


def _require_usable(entry: ReferenceData) -> None:
    if entry.tries_left == 0 or entry.uses_left == 0:
        raise CommandRefusedError(SW.AUTHENTICATION_METHOD_BLOCKED)


def _new_value(entry: ReferenceData, data: bytes) -> bytes:
    if len(data) not in (entry.length, PADDED_LENGTH):
        raise CommandRefusedError(SW.WRONG_LENGTH)
    digits = data.rstrip(PAD)
    if len(digits) != entry.length or not digits.isdigit():
        raise CommandRefusedError(SW.WRONG_DATA)
    return digits
