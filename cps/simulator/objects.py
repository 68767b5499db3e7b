"""GET DATA: what a CPS3 tells of its PINs, keys and security environments, never a secret."""

from cps import tlv
from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.files import MF, FileSystem
from cps.simulator.image import CardImage, KeyImage, ReferenceData
from cps.simulator.security import AUTHENTICATED_BY, SecurityState
from cps.status import SW

EXTENDED_HEADER_LIST = 0x4D
WRAPPER = 0x70
PIN_OBJECT = 0xBF8100
PRIVATE_KEY_OBJECT = 0xBF9000
SECURITY_ENVIRONMENT = 0xBFFB00
OBJECT_NUMBER = 0x7F

# What is asked of an object: a tag with the length 80, "all there is".
CONTROL_PARAMETERS = bytes.fromhex("A080")
PIN_SIZES = bytes.fromhex("7F4180")
KEY_VALUE = bytes.fromhex("7F4880")
ENVIRONMENT = bytes.fromhex("7B80")

# Which operations the conditions behind it are for: five of a PIN, six of a key.
PIN_OPERATIONS = b"\xf3"
KEY_OPERATIONS = b"\x7b"
# No answer of a real card is known; OpenSC wants the object to be there and no more of it.
KEY_VALUE_DESCRIPTION = bytes.fromhex("800105")
USER_PASSWORD = b"\x08"
"""How a security environment says that a PIN is to be given."""


class DataObjects:
    """The security data objects, each known in one place of the file tree alone."""

    def __init__(self, image: CardImage, files: FileSystem, security: SecurityState) -> None:
        self._image = image
        self._files = files
        self._security = security

    def get_data(self, command: Command) -> bytes:
        """Run GET DATA with an extended header list that names one object.

        :param command: P1-P2 3FFF: the object is looked for from the current file on.
        """
        if (command.p1, command.p2) != (0x3F, 0xFF):
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        tag, wanted = _read_request(command.data)
        number = tag & OBJECT_NUMBER
        if tag - number == PIN_OBJECT:
            found = self._pin(number, wanted)
        elif tag - number == PRIVATE_KEY_OBJECT:
            found = self._private_key(number, wanted)
        elif tag - number == SECURITY_ENVIRONMENT:
            found = self._environment(number, wanted)
        else:
            raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)
        return tlv.encode(WRAPPER, tlv.encode(tag, found))

    def _pin(self, number: int, wanted: bytes) -> bytes:
        for entry in self._security.reference_data:
            # The card knows its PINs from the MF alone.
            if entry.reference == number and self._files.current_df == MF:
                if wanted == CONTROL_PARAMETERS:
                    return _pin_parameters(entry)
                if wanted == PIN_SIZES:
                    size = bytes((entry.length,))
                    return tlv.encode(0x7F41, tlv.encode(0x80, size), tlv.encode(0x81, size))
        raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)

    def _environment(self, number: int, wanted: bytes) -> bytes:
        """Return which PIN the access conditions mean that name this environment.

        The command is a real program's, the answer what that program takes: a real one is not
        published.
        """
        for condition, reference in AUTHENTICATED_BY.items():
            if condition & 0x0F == number and wanted == ENVIRONMENT:
                # Asked by radio, where there is no PIN, the card knows none of its environments.
                self._security.find(reference)
                if self._files.current_df == MF:
                    usage = tlv.encode(0x95, USER_PASSWORD)
                    pin = tlv.encode(0x83, bytes((reference,)))
                    return tlv.encode(0x7B, tlv.encode(0xA4, usage, pin))
        raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)

    def _private_key(self, number: int, wanted: bytes) -> bytes:
        for key in self._image.keys:
            if key.reference & OBJECT_NUMBER == number and self._files.current_df in key.dfs:
                if wanted == CONTROL_PARAMETERS:
                    return self._key_parameters(key)
                if wanted == KEY_VALUE:
                    return tlv.encode(0x7F48, KEY_VALUE_DESCRIPTION)
        raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)

    def _key_parameters(self, key: KeyImage) -> bytes:
        modulus_bytes = (key.private_key.key_size // 8).to_bytes(2, "big")
        conditions = bytes(self._security.condition(key, item) for item in range(6))
        rules = tlv.encode(0xA1, tlv.encode(0x8C, KEY_OPERATIONS, conditions))
        return tlv.encode(0xA0, tlv.encode(0x80, modulus_bytes), rules)


def _read_request(data: bytes) -> tuple[int, bytes]:
    """Return the tag of the object and what is wanted of it."""
    try:
        header, end = tlv.read(data)
        wrapper, wrapper_end = tlv.read(header.value)
        request, request_end = tlv.read(wrapper.value)
    except ValueError:
        raise CommandRefusedError(SW.WRONG_DATA) from None
    if (header.tag, wrapper.tag) != (EXTENDED_HEADER_LIST, WRAPPER):
        raise CommandRefusedError(SW.WRONG_DATA)
    if (end, wrapper_end, request_end) != (len(data), len(header.value), len(wrapper.value)):
        raise CommandRefusedError(SW.WRONG_DATA)
    return request.tag, request.value


def _pin_parameters(entry: ReferenceData) -> bytes:
    # The issuer's middleware looks for the counters byte by byte: 9A and 9B come first.
    counters = tlv.encode(0x9A, bytes((entry.tries_maximum,)))
    counters += tlv.encode(0x9B, bytes((entry.tries_left,)))
    if entry.uses_left is not None:
        counters += tlv.encode(0x9D, entry.uses_left.to_bytes(2, "big"))
    rules = tlv.encode(0xA1, tlv.encode(0x8C, PIN_OPERATIONS, entry.access))
    return tlv.encode(0xA0, counters, rules)
