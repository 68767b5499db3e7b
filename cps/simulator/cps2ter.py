"""The view of class A0: the few files of the card's predecessor that old software still reads."""

from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.files import MF, READ
from cps.simulator.image import CardImage, FileImage
from cps.simulator.security import PIN_REFERENCE, SecurityState
from cps.status import SW

BAD_HEADER = 0x9240
OFFSET_OUTSIDE = 0x9402
FILE_NOT_FOUND = 0x9404
WRONG_KIND_OF_FILE = 0x9408
PIN_NOT_VERIFIED = 0x9804
PIN_BLOCKED = 0x9840

KIND_MF, KIND_DF, KIND_EF = 0x01, 0x02, 0x04


class OldFiles:
    """The old tree and its own current file; the PIN is the card's."""

    def __init__(self, image: CardImage, security: SecurityState) -> None:
        self._security = security
        self._files = {file.path: file for file in image.cps2ter}
        self._current = MF

    def select(self, command: Command) -> bytes:
        """Run SELECT by identifier, one level at a time, and return what the file is."""
        if (command.p1, command.p2) != (0x00, 0x00):
            raise CommandRefusedError(BAD_HEADER)
        if len(command.data) != 2:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        path = MF if command.data == MF else self._directory() + command.data
        file = self._files.get(path)
        if file is None:
            raise CommandRefusedError(FILE_NOT_FOUND)
        self._current = path
        return _describe(file)

    def read_binary(self, command: Command) -> bytes:
        """Run READ BINARY on the current file."""
        if command.data:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        file = self._files.get(self._current)
        if file is None or file.content is None:
            raise CommandRefusedError(WRONG_KIND_OF_FILE)
        if not self._security.allows(file, READ):
            raise CommandRefusedError(PIN_BLOCKED if self._pin_is_blocked() else PIN_NOT_VERIFIED)
        offset = command.p1 << 8 | command.p2
        if offset >= len(file.content):
            raise CommandRefusedError(OFFSET_OUTSIDE)
        return file.content[offset : offset + command.ne]

    def _pin_is_blocked(self) -> bool:
        entries = self._security.reference_data
        return any(e.reference == PIN_REFERENCE and e.tries_left == 0 for e in entries)

    def _directory(self) -> bytes:
        """Return the path of the current directory, which is around the current file."""
        current = self._files.get(self._current)
        inside = current is not None and current.content is not None
        return self._current[:-2] if inside else self._current


def _describe(file: FileImage) -> bytes:
    if file.content is not None:
        size, kind = len(file.content), KIND_EF
    else:
        size, kind = 0, KIND_MF if file.path == MF else KIND_DF
    return b"\x85\x05" + size.to_bytes(2, "big") + file.fid + bytes((kind,))
