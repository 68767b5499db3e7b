"""The card's file tree: which file is current, what it says of itself, reading and writing it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cps import tlv
from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.image import CardImage, FileImage
from cps.simulator.security import SecurityState
from cps.status import SW

MF = b"\x3f\x00"

# How SELECT names a file, by P1.
BY_IDENTIFIER = 0x00
ELEMENTARY_BELOW = 0x02
PARENT = 0x03
BY_NAME = 0x04
BY_PATH = 0x08
BY_PATH_FROM_HERE = 0x09

# What SELECT answers, by P2.
RETURN_FCI = 0x00
RETURN_FCP = 0x04
RETURN_NOTHING = 0x0C

DEDICATED = b"\x38"
TRANSPARENT = b"\x01"
ACTIVATED = b"\x05"
# Says which operations the six conditions behind it are for, the first bit unused.
ALL_SIX = b"\x7b"
UPDATE, READ = 4, 5

Describe = Callable[[FileImage], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectManners:
    """How one generation of cards takes SELECT."""

    ways: frozenset[int]
    """The values of P1 it knows."""
    answers: Mapping[int, Describe]
    """What it tells of the selected file, by the values of P2 it knows."""


class FileSystem:
    """The tree and the current file of one power-on."""

    def __init__(self, image: CardImage, security: SecurityState, manners: SelectManners) -> None:
        self._image = image
        self._manners = manners
        self._security = security
        self._files = {file.path: file for file in image.files}
        self._current_df = MF
        self._current_ef: FileImage | None = None

    @property
    def current_df(self) -> bytes:
        """Return the path of the current dedicated file."""
        return self._current_df

    def select(self, command: Command) -> bytes:
        """Run SELECT and return what the card tells of the file."""
        describe = self._manners.answers.get(command.p2)
        if describe is None:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        file = self._find(command)
        answer = describe(file)
        self._make_current(file)
        return answer

    def read_binary(self, command: Command) -> bytes:
        """Run READ BINARY on the current file, or on the one a short identifier in P1 names.

        Where fewer bytes are left than wanted, those are returned.
        """
        if command.data:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        content, offset, file = self._locate(command)
        self._security.require(file, READ)
        if offset > len(content):
            raise CommandRefusedError(SW.WRONG_P1_P2)
        if offset == len(content):
            raise CommandRefusedError(SW.END_OF_FILE)
        return content[offset : offset + command.ne]

    def update_binary(self, command: Command) -> bytes:
        """Run UPDATE BINARY; a file keeps its size."""
        if not command.data:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        content, offset, file = self._locate(command)
        self._security.require(file, UPDATE)
        if offset > len(content):
            raise CommandRefusedError(SW.WRONG_P1_P2)
        end = offset + len(command.data)
        if end > len(content):
            raise CommandRefusedError(SW.NOT_ENOUGH_MEMORY)
        file.content = content[:offset] + command.data + content[end:]
        try:
            self._image.commit()
        except OSError:
            file.content = content
            raise
        return b""

    def _find(self, command: Command) -> FileImage:
        if command.p1 not in self._manners.ways:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        match command.p1:
            case 0x00:
                return self._by_identifier(command.data)
            case 0x02:
                return self._elementary_below(command.data)
            case 0x03:
                return self._parent(command.data)
            case 0x04:
                return self._by_name(command.data)
            case 0x08:
                return self._by_path(MF + _identifiers(command.data))
            case _:
                path = _identifiers(command.data)
                # The card takes a path from the MF here too, wherever it stands.
                return self._by_path(path if path[:2] == MF else self._current_df + path)

    def _by_identifier(self, data: bytes) -> FileImage:
        fid = _identifier(data or MF)
        if fid == MF:
            return self._by_path(MF)
        child = self._files.get(self._current_df + fid)
        if child is not None:
            return child
        # Beside the current DF, and the current DF itself: dedicated files alone are found.
        beside = self._files.get(self._current_df[:-2] + fid)
        if beside is not None and _is_dedicated(beside):
            return beside
        raise CommandRefusedError(SW.FILE_NOT_FOUND)

    def _elementary_below(self, data: bytes) -> FileImage:
        fid = _identifier(data)
        if fid == MF:
            return self._by_path(MF)
        file = self._by_path(self._current_df + fid)
        if _is_dedicated(file):
            raise CommandRefusedError(SW.FILE_NOT_FOUND)
        return file

    def _parent(self, data: bytes) -> FileImage:
        if data:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        return self._by_path(self._current_df[:-2])

    def _by_name(self, aid: bytes) -> FileImage:
        for file in self._files.values():
            if file.aid is not None and file.aid == aid:
                return file
        raise CommandRefusedError(SW.FILE_NOT_FOUND)

    def _by_path(self, path: bytes) -> FileImage:
        try:
            return self._files[path]
        except KeyError:
            raise CommandRefusedError(SW.FILE_NOT_FOUND) from None

    def _make_current(self, file: FileImage) -> None:
        if _is_dedicated(file):
            self._current_df, self._current_ef = file.path, None
        else:
            self._current_df, self._current_ef = file.path[:-2], file

    def _locate(self, command: Command) -> tuple[bytes, int, FileImage]:
        """Return the content, the offset and the file that a command on a binary file means."""
        if command.p1 & 0x80:
            if command.p1 & 0x60:
                raise CommandRefusedError(SW.INCORRECT_P1_P2)
            self._make_current(self._by_short_identifier(command.p1 & 0x1F))
            offset = command.p2
        else:
            offset = command.p1 << 8 | command.p2
        file = self._current_ef
        if file is None or file.content is None:
            raise CommandRefusedError(SW.NO_CURRENT_EF)
        return file.content, offset, file

    def _by_short_identifier(self, sfi: int) -> FileImage:
        for file in self._files.values():
            if file.path[:-2] == self._current_df and file.sfi == sfi:
                return file
        raise CommandRefusedError(SW.FILE_NOT_FOUND)


def _is_dedicated(file: FileImage) -> bool:
    return file.content is None


def _identifier(data: bytes) -> bytes:
    if len(data) != 2:
        raise CommandRefusedError(SW.WRONG_LENGTH)
    return data


def _identifiers(data: bytes) -> bytes:
    if not data or len(data) % 2:
        raise CommandRefusedError(SW.WRONG_LENGTH)
    return data


def nothing(file: FileImage) -> bytes:
    """Tell nothing of a selected file."""
    return b""


def plain_parameters(file: FileImage) -> bytes:
    """Return what every card tells first: a file's size and kind, its identifier, its name."""
    if file.content is None:
        parameters = tlv.encode(0x82, DEDICATED) + tlv.encode(0x83, file.fid)
        return parameters + (b"" if file.aid is None else tlv.encode(0x84, file.aid))
    size = len(file.content).to_bytes(2, "big")
    return tlv.encode(0x80, size) + tlv.encode(0x82, TRANSPARENT) + tlv.encode(0x83, file.fid)
