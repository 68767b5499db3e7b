"""What a CPS4 can do: applications on two logical channels, the PKCS#15 one on channel 1.

How a real CPS4 answers was never seen. What its issuer's middleware sends and takes for an answer
is known, and this card gives no more than that: where two answers would do, the stricter one.
"""

from cps import tlv
from cps.simulator.challenge import get_challenge
from cps.simulator.chipdoc_keys import ChipDocKeys
from cps.simulator.chipdoc_pins import ChipDocPINs
from cps.simulator.command import (
    GET_RESPONSE,
    PERFORM_SECURITY_OPERATION,
    Command,
    CommandRefusedError,
    Instruction,
    find_in,
    nothing_to_fetch,
)
from cps.simulator.files import (
    ACTIVATED,
    BY_IDENTIFIER,
    BY_NAME,
    BY_PATH,
    MF,
    RETURN_FCI,
    RETURN_NOTHING,
    FileSystem,
    SelectManners,
    nothing,
    plain_parameters,
)
from cps.simulator.image import CardImage, FileImage
from cps.simulator.security import SecurityState
from cps.status import SW

BASIC_CLASS = 0x00
CLASS = 0x01
CHAINED_CLASS = 0x11
SELECT = 0xA4
FCI_TEMPLATE = 0x6F

ISSUER_DOMAIN_AID = bytes.fromhex("A0000001510000")
OLD_APPLICATION_AID = bytes.fromhex("8025000001FF0002")


class ChipDocCard:
    """One life of a CPS4."""

    def __init__(self, image: CardImage) -> None:
        self._image = image
        # What the application on channel 1 can do; no channel is open after a reset.
        self._channel: dict[int, Instruction] | None = None

    def find(self, cla: int, ins: int) -> Instruction:
        """Return an instruction of the basic channel, or of channel 1 once it is open."""
        if cla == BASIC_CLASS:
            return find_in({SELECT: _select_on_basic_channel}, ins)
        if cla not in (CLASS, CHAINED_CLASS):
            raise CommandRefusedError(SW.CLA_NOT_SUPPORTED)
        if ins == SELECT:
            return self._select
        if self._channel is None:
            raise CommandRefusedError(SW.CHANNEL_NOT_SUPPORTED)
        return find_in(self._channel, ins)

    def _select(self, command: Command) -> bytes:
        """Run SELECT, which by name also opens channel 1.

        An application that is selected begins anew, without what was verified before.
        """
        if command.p1 != BY_NAME:
            if self._channel is None:
                raise CommandRefusedError(SW.CHANNEL_NOT_SUPPORTED)
            return find_in(self._channel, SELECT)(command)
        _require_selection_by_name(command)
        if command.data == ISSUER_DOMAIN_AID:
            self._channel = {}
            return b""
        if not any(file.path == MF and file.aid == command.data for file in self._image.files):
            raise CommandRefusedError(SW.FILE_NOT_FOUND)
        self._channel = _application(self._image)
        return find_in(self._channel, SELECT)(command)


def _application(image: CardImage) -> dict[int, Instruction]:
    """Return what the root application can do, newly selected."""
    security = SecurityState(image)
    files = FileSystem(image, security, MANNERS)
    pins = ChipDocPINs(security)
    keys = ChipDocKeys(image, files, security)
    return {
        0x20: pins.verify,
        0x22: keys.manage_security_environment,
        0x24: pins.change,
        PERFORM_SECURITY_OPERATION: keys.perform_security_operation,
        0x2C: pins.reset_retry_counter,
        0x84: get_challenge,
        SELECT: files.select,
        0xB0: files.read_binary,
        GET_RESPONSE: nothing_to_fetch,
        0xD6: files.update_binary,
    }


def _select_on_basic_channel(command: Command) -> bytes:
    """Run SELECT by name of the two applications that the middleware looks for there."""
    _require_selection_by_name(command)
    if command.data not in (ISSUER_DOMAIN_AID, OLD_APPLICATION_AID):
        raise CommandRefusedError(SW.FILE_NOT_FOUND)
    return b""


def _require_selection_by_name(command: Command) -> None:
    if command.p1 != BY_NAME or command.p2 not in MANNERS.answers:
        raise CommandRefusedError(SW.INCORRECT_P1_P2)


def file_control_information(file: FileImage) -> bytes:
    """Return the template 6F, which tells no access rules; nor does the MF tell its name."""
    if file.path == MF:
        file = FileImage(path=MF, contact=file.contact, contactless=file.contactless)
    return tlv.encode(FCI_TEMPLATE, plain_parameters(file), tlv.encode(0x8A, ACTIVATED))


MANNERS = SelectManners(
    ways=frozenset({BY_IDENTIFIER, BY_NAME, BY_PATH}),
    answers={RETURN_FCI: file_control_information, RETURN_NOTHING: nothing},
)
