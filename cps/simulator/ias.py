"""What a CPS3 can do, by contact and by radio: an IAS-ECC card and the view of its predecessor."""

from cps import tlv
from cps.simulator.challenge import get_challenge
from cps.simulator.command import (
    GET_RESPONSE,
    PERFORM_SECURITY_OPERATION,
    CommandRefusedError,
    Instruction,
    find_in,
    nothing_to_fetch,
)
from cps.simulator.cps2ter import OldFiles
from cps.simulator.files import (
    ACTIVATED,
    ALL_SIX,
    BY_IDENTIFIER,
    BY_NAME,
    BY_PATH,
    BY_PATH_FROM_HERE,
    ELEMENTARY_BELOW,
    MF,
    PARENT,
    RETURN_FCI,
    RETURN_FCP,
    RETURN_NOTHING,
    FileSystem,
    SelectManners,
    nothing,
    plain_parameters,
)
from cps.simulator.image import CardImage, FileImage
from cps.simulator.keys import KeyRing
from cps.simulator.objects import DataObjects
from cps.simulator.pins import PINCommands
from cps.simulator.security import SecurityState
from cps.status import SW

CLASS = 0x00
CHAINED_CLASS = 0x10
OLD_CLASS = 0xA0
FCP_TEMPLATE = 0x62


class IASCard:
    """One life of a CPS3.

    :param contactless: the card lies on a radio reader: there is no PIN, and another key.
    """

    def __init__(self, image: CardImage, *, contactless: bool) -> None:
        security = SecurityState(image, contactless=contactless, takes_padding=True)
        files = FileSystem(image, security, MANNERS)
        pins = PINCommands(security)
        keys = KeyRing(image, files, security)
        objects = DataObjects(image, files, security)
        old_files = OldFiles(image, security)
        instructions: dict[int, Instruction] = {
            0x20: pins.verify,
            0x22: keys.manage_security_environment,
            0x24: pins.change,
            PERFORM_SECURITY_OPERATION: keys.perform_security_operation,
            0x2C: pins.reset_retry_counter,
            0x84: get_challenge,
            0x88: keys.internal_authenticate,
            0xA4: files.select,
            0xB0: files.read_binary,
            GET_RESPONSE: nothing_to_fetch,
            0xCB: objects.get_data,
            0xD6: files.update_binary,
        }
        if contactless:
            # By radio there is no hash and no operation with a key but to authenticate.
            del instructions[PERFORM_SECURITY_OPERATION]
        self._classes: dict[int, dict[int, Instruction]] = {
            CLASS: instructions,
            CHAINED_CLASS: instructions,
            OLD_CLASS: {
                0xA4: old_files.select,
                0xB0: old_files.read_binary,
                GET_RESPONSE: nothing_to_fetch,
            },
        }

    def find(self, cla: int, ins: int) -> Instruction:
        """Return an instruction of one of the three classes."""
        table = self._classes.get(cla)
        if table is None:
            raise CommandRefusedError(SW.CLA_NOT_SUPPORTED)
        return find_in(table, ins)


def file_control_parameters(file: FileImage) -> bytes:
    """Return the template 62 with the file's access rules; the MF tells nothing of itself."""
    if file.path == MF:
        return b""
    short = b""
    if file.content is not None:
        short = tlv.encode(0x88, b"" if file.sfi is None else bytes((file.sfi << 3,)))
    rules = tlv.encode(
        0xA1,
        tlv.encode(0x8C, ALL_SIX, file.contact),
        tlv.encode(0x9C, ALL_SIX, file.contactless),
    )
    return tlv.encode(
        FCP_TEMPLATE, plain_parameters(file), short, rules, tlv.encode(0x8A, ACTIVATED)
    )


def _file_control_information(file: FileImage) -> bytes:
    """Refuse, as the card keeps no FCI; but to ask for that of the MF works, and gets nothing."""
    if file.path != MF:
        raise CommandRefusedError(SW.INCORRECT_P1_P2)
    return b""


MANNERS = SelectManners(
    ways=frozenset({BY_IDENTIFIER, ELEMENTARY_BELOW, PARENT, BY_NAME, BY_PATH, BY_PATH_FROM_HERE}),
    answers={
        RETURN_FCI: _file_control_information,
        RETURN_FCP: file_control_parameters,
        RETURN_NOTHING: nothing,
    },
)
