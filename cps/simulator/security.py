"""What was verified since the last reset, and the counters that outlive it."""

import hmac

from cps.simulator.command import CommandRefusedError
from cps.simulator.image import CardImage, FileImage, KeyImage, ReferenceData
from cps.status import SW

PIN_REFERENCE = 0x01
PUK_REFERENCE = 0x02
PADDED_LENGTH = 8
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

    :param takes_padding: whether a PIN may also come padded to 8 bytes.
    """

    def __init__(
        self, image: CardImage, *, contactless: bool = False, takes_padding: bool = False
    ) -> None:
        self._image = image
        self._contactless = contactless
        self._takes_padding = takes_padding
        self._verified: set[int] = set()

    @property
    def reference_data(self) -> list[ReferenceData]:
        """Return PIN and PUK: by radio there are none."""
        return [] if self._contactless else self._image.reference_data

    def find(self, reference: int) -> ReferenceData:
        """Return the PIN or PUK that commands call *reference*."""
        for entry in self.reference_data:
            if entry.reference == reference:
                return entry
        raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)

    def condition(self, item: FileImage | KeyImage, operation: int) -> int:
        """Return the access condition, one byte, that holds for the interface in use."""
        return (item.contactless if self._contactless else item.contact)[operation]

    def allows(self, item: FileImage | KeyImage, operation: int) -> bool:
        """Return whether an operation on a file or a key is allowed now."""
        return self._is_met(self.condition(item, operation))

    def require(self, item: FileImage | KeyImage, operation: int) -> None:
        """Refuse with 6982 what :meth:`allows` does not allow."""
        self.require_met(self.condition(item, operation))

    def require_met(self, condition: int) -> None:
        """Refuse with 6982 where an access condition is not met now."""
        if not self._is_met(condition):
            raise CommandRefusedError(SW.SECURITY_STATUS_NOT_SATISFIED)

    def is_verified(self, entry: ReferenceData) -> bool:
        """Return whether a PIN or PUK was given since the last reset, and no wrong one since."""
        return entry.reference in self._verified

    def verify(self, entry: ReferenceData, presented: bytes) -> None:
        """Take *presented* for a try at a PIN or PUK, which is verified from then on."""
        self.require_met(entry.access[VERIFY])
        self.prove(entry, presented)
        self._verified.add(entry.reference)

    def prove(self, entry: ReferenceData, presented: bytes) -> None:
        """Take *presented* for a try, and refuse with what is left of the tries where it is wrong.

        What was verified is not any more, whether this try is right, wrong or one too many.
        """
        self._verified.discard(entry.reference)
        require_usable(entry)
        entry.tries_left -= 1
        self._image.commit()
        if not self._fits(entry, presented):
            raise CommandRefusedError(0x63C0 | entry.tries_left)
        entry.tries_left = entry.tries_maximum
        if entry.uses_left is not None:
            entry.uses_left -= 1
        self._image.commit()

    def replace(self, entry: ReferenceData, new: bytes) -> None:
        """Give a PIN new digits; where the disk refuses, it keeps the old ones."""
        old = entry.digits
        entry.digits = new
        try:
            self._image.commit()
        except OSError:
            entry.digits = old
            raise

    def unblock(self, entry: ReferenceData, new: bytes) -> None:
        """Let a PIN be tried as often as a new one, with *new* as its digits."""
        left = entry.tries_left
        entry.tries_left = entry.tries_maximum
        try:
            self.replace(entry, new)
        except OSError:
            entry.tries_left = left
            raise

    def _fits(self, entry: ReferenceData, presented: bytes) -> bool:
        """Return whether *presented* is right; another length is as wrong as other digits."""
        right = entry.digits
        if self._takes_padding and len(presented) == PADDED_LENGTH:
            right = right.ljust(PADDED_LENGTH, PAD)
        return hmac.compare_digest(presented, right)

    def _is_met(self, condition: int) -> bool:
        return condition == ALWAYS or AUTHENTICATED_BY.get(condition) in self._verified


def require_usable(entry: ReferenceData) -> None:
    """Refuse with 6983 a PIN or PUK that may not be tried any more."""
    if entry.tries_left == 0 or entry.uses_left == 0:
        raise CommandRefusedError(SW.AUTHENTICATION_METHOD_BLOCKED)


def new_value(entry: ReferenceData, data: bytes) -> bytes:
    """Return the digits of a new PIN, given alone or padded to 8 bytes."""
    if len(data) not in (entry.length, PADDED_LENGTH):
        raise CommandRefusedError(SW.WRONG_LENGTH)
    digits = data.rstrip(PAD)
    if len(digits) != entry.length or not digits.isdigit():
        raise CommandRefusedError(SW.WRONG_DATA)
    return digits
