"""What a CPS3 does with its RSA keys: authenticate, sign, decipher."""

from dataclasses import dataclass

from cps import tlv
from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.files import FileSystem
from cps.simulator.hashing import BLOCK_BYTES, SHA1, SHA256
from cps.simulator.image import CardImage, KeyImage
from cps.simulator.security import NEVER, SecurityState
from cps.simulator.signing import DIGEST_INFO, modulus_bytes, raw, sign
from cps.status import SW

SIGN, AUTHENTICATE, DECIPHER = range(3)

# The control reference templates of MANAGE SECURITY ENVIRONMENT.
FOR_AUTHENTICATION = 0xA4
FOR_HASH = 0xAA
FOR_SIGNATURE = 0xB6
FOR_DECIPHERING = 0xB8
SET = 0x41

ALGORITHM = 0x80
KEY_REFERENCES = (0x83, 0x84)

HASHES = {0x10: SHA1, 0x40: SHA256}
SIGNATURE_HASHES = {0x12: SHA1, 0x42: SHA256}
ALGORITHMS = {
    FOR_AUTHENTICATION: {0x02},
    FOR_HASH: set(HASHES),
    FOR_SIGNATURE: set(SIGNATURE_HASHES),
    FOR_DECIPHERING: {0x1A},
}

AUTHENTICATE_PERCENT = 40
"""INTERNAL AUTHENTICATE takes at most this share of the modulus: 102 bytes for 2048 bits."""
RSA_INDICATOR = b"\x81"
MIN_PADDING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What MANAGE SECURITY ENVIRONMENT chose for one kind of operation."""

    algorithm: int
    key: KeyImage | None
    """``None`` for hashing."""


class KeyRing:
    """The keys, the chosen security environment and the hash of one power-on.

    All three outlive SELECT: clients move about the files between choosing a key and using it.
    """

    def __init__(self, image: CardImage, files: FileSystem, security: SecurityState) -> None:
        self._image = image
        self._files = files
        self._security = security
        self._templates: dict[int, Template] = {}
        self._digest = b""

    def manage_security_environment(self, command: Command) -> bytes:
        """Run MANAGE SECURITY ENVIRONMENT SET; the order of the data objects is free.

        A choice that is refused ends the one before it: no host signs with a key it did not mean.
        """
        if command.p1 != SET or command.p2 not in ALGORITHMS:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        self._templates.pop(command.p2, None)
        algorithm, reference = _read_template(command.data)
        if algorithm not in ALGORITHMS[command.p2]:
            raise CommandRefusedError(SW.WRONG_DATA)
        if (reference is None) != (command.p2 == FOR_HASH):
            raise CommandRefusedError(SW.WRONG_DATA)
        key = None if reference is None else self._find(reference)
        self._templates[command.p2] = Template(algorithm=algorithm, key=key)
        return b""

    def internal_authenticate(self, command: Command) -> bytes:
        """Run INTERNAL AUTHENTICATE: PKCS#1 v1.5 padding around whatever came, then the key.

        The card does not look for a DigestInfo in it.
        """
        if command.p1 != 0x00 or command.p2 != 0x00:
            raise CommandRefusedError(SW.INCORRECT_P1_P2)
        key = self._usable_key(FOR_AUTHENTICATION, AUTHENTICATE)
        limit = modulus_bytes(key) * AUTHENTICATE_PERCENT // 100
        if not 1 <= len(command.data) <= limit:
            raise CommandRefusedError(SW.WRONG_LENGTH)
        return sign(key, command.data)

    def perform_security_operation(self, command: Command) -> bytes:
        """Run PERFORM SECURITY OPERATION: HASH, COMPUTE DIGITAL SIGNATURE or DECIPHER."""
        match command.p1, command.p2:
            case 0x90, 0xA0:
                return self._hash(command.data)
            case 0x9E, 0x9A:
                return self._compute_signature(command)
            case 0x80, 0x86:
                return self._decipher(command.data)
            case _:
                raise CommandRefusedError(SW.INCORRECT_P1_P2)

    def _hash(self, data: bytes) -> bytes:
        """Finish the hash that the host began and keep the digest for the signature."""
        self._digest = b""
        function = HASHES[self._template(FOR_HASH).algorithm]
        imported, last = _read_hash_input(data)
        try:
            self._digest = function.finish(imported, last)
        except ValueError:
            raise CommandRefusedError(SW.WRONG_DATA) from None
        return b""

    def _compute_signature(self, command: Command) -> bytes:
        key = self._usable_key(FOR_SIGNATURE, SIGN)
        function = SIGNATURE_HASHES[self._template(FOR_SIGNATURE).algorithm]
        if command.data:
            digest = command.data
            if len(digest) != function.digest_bytes:
                raise CommandRefusedError(SW.WRONG_LENGTH)
        else:
            digest = self._digest
            if len(digest) != function.digest_bytes:
                raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED)
            if command.ne != modulus_bytes(key):
                # Said before the digest is used up, so that the host can ask again.
                raise CommandRefusedError(0x6C00 | modulus_bytes(key) & 0xFF)
        self._digest = b""
        return sign(key, DIGEST_INFO[function] + digest)

    def _decipher(self, data: bytes) -> bytes:
        key = self._usable_key(FOR_DECIPHERING, DECIPHER)
        if len(data) != 1 + modulus_bytes(key):
            raise CommandRefusedError(SW.WRONG_LENGTH)
        if data[:1] != RSA_INDICATOR:
            raise CommandRefusedError(SW.WRONG_DATA)
        block = raw(key, data[1:])
        padding, found, plaintext = block[2:].partition(b"\x00")
        if block[:2] != b"\x00\x02" or not found or len(padding) < MIN_PADDING or not plaintext:
            raise CommandRefusedError(SW.WRONG_DATA)
        return plaintext

    def _template(self, kind: int) -> Template:
        try:
            return self._templates[kind]
        except KeyError:
            raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED) from None

    def _usable_key(self, kind: int, operation: int) -> KeyImage:
        """Return the chosen key, once its access rules allow the operation."""
        key = self._template(kind).key
        if key is None or self._security.condition(key, operation) == NEVER:
            raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED)
        self._security.require(key, operation)
        return key

    def _find(self, reference: int) -> KeyImage:
        for key in self._image.keys:
            if self._files.current_df in key.dfs and key.reference == reference:
                return key
        raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)


def _read_template(data: bytes) -> tuple[int, int | None]:
    """Return the algorithm and the key reference in a control reference template."""
    algorithm, reference = None, None
    try:
        objects = list(tlv.iterate(data))
    except ValueError:
        raise CommandRefusedError(SW.WRONG_DATA) from None
    for item in objects:
        if len(item.value) != 1:
            raise CommandRefusedError(SW.WRONG_DATA)
        if item.tag == ALGORITHM and algorithm is None:
            algorithm = item.value[0]
        elif item.tag in KEY_REFERENCES and reference is None:
            reference = item.value[0]
        else:
            raise CommandRefusedError(SW.WRONG_DATA)
    if algorithm is None:
        raise CommandRefusedError(SW.WRONG_DATA)
    return algorithm, reference


def _read_hash_input(data: bytes) -> tuple[bytes, bytes]:
    """Return the imported state, which may be empty, and the last block of 1 to 64 bytes."""
    try:
        objects = list(tlv.iterate(data))
    except ValueError:
        raise CommandRefusedError(SW.WRONG_DATA) from None
    if [item.tag for item in objects] != [0x90, 0x80]:
        raise CommandRefusedError(SW.WRONG_DATA)
    imported, last = objects[0].value, objects[1].value
    if not 1 <= len(last) <= BLOCK_BYTES:
        raise CommandRefusedError(SW.WRONG_DATA)
    return imported, last
