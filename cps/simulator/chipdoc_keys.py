"""What a CPS4 does with its RSA keys: sign a hash, and decipher without looking at the padding."""

from dataclasses import dataclass

from cps import tlv
from cps.simulator.command import Command, CommandRefusedError
from cps.simulator.files import FileSystem
from cps.simulator.hashing import SHA1, SHA256, Hash
from cps.simulator.image import CardImage, KeyImage
from cps.simulator.keys import DECIPHER, SIGN
from cps.simulator.security import NEVER, SecurityState
from cps.simulator.signing import DIGEST_INFO, modulus_bytes, raw, sign, sign_pss
from cps.status import SW

SIGNATURE_KEY = 0x10
AUTHENTICATION_KEY = 0x20
SIGNING_REFERENCE = 0x80
"""A key that is to sign is named with this bit, one that is to decipher without."""

ALGORITHM_AND_KEY = 0x91
KEY = 0x83


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How a hash is signed."""

    function: Hash
    pss: bool


SCHEMES = {
    0x0A: Scheme(function=SHA1, pss=False),
    0x28: Scheme(function=SHA256, pss=False),
    0x15: Scheme(function=SHA1, pss=True),
    0x2C: Scheme(function=SHA256, pss=True),
}
ALGORITHMS = {
    SIGNATURE_KEY: frozenset(SCHEMES),
    # Of the two kinds it is only known to do PSS: the other one is made by deciphering.
    AUTHENTICATION_KEY: frozenset(number for number, scheme in SCHEMES.items() if scheme.pss),
}


class ChipDocKeys:
    """The keys and what was chosen among them; both choices outlive SELECT of a file."""

    def __init__(self, image: CardImage, files: FileSystem, security: SecurityState) -> None:
        self._image = image
        self._files = files
        self._security = security
        self._signing: tuple[KeyImage, int] | None = None
        self._deciphering: KeyImage | None = None

    def manage_security_environment(self, command: Command) -> bytes:
        """Run MANAGE SECURITY ENVIRONMENT SET: for signing or for deciphering.

        An algorithm that the card does not have is refused when it is to be used. A choice that is
        refused ends the one before it: no host signs with a key it did not mean.
        """
        match command.p1, command.p2:
            case 0x81, 0xB6:
                self._signing = None
                algorithm, reference = _read_one(command.data, ALGORITHM_AND_KEY, 2)
                if not reference & SIGNING_REFERENCE:
                    raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)
                self._signing = (self._find(reference & ~SIGNING_REFERENCE), algorithm)
            case 0x41, 0xB8:
                self._deciphering = None
                (reference,) = _read_one(command.data, KEY, 1)
                self._deciphering = self._find(reference)
            case _:
                raise CommandRefusedError(SW.INCORRECT_P1_P2)
        return b""

    def perform_security_operation(self, command: Command) -> bytes:
        """Run PERFORM SECURITY OPERATION: COMPUTE DIGITAL SIGNATURE or DECIPHER."""
        match command.p1, command.p2:
            case 0x9E, 0x9A:
                return self._compute_signature(command.data)
            case 0x80, 0x86:
                return self._decipher(command.data)
            case _:
                raise CommandRefusedError(SW.INCORRECT_P1_P2)

    def _compute_signature(self, digest: bytes) -> bytes:
        if self._signing is None:
            raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED)
        key, algorithm = self._signing
        self._require_allowed(key, SIGN)
        if algorithm not in ALGORITHMS[key.reference]:
            raise CommandRefusedError(SW.WRONG_DATA)
        scheme = SCHEMES[algorithm]
        if len(digest) != scheme.function.digest_bytes:
            raise CommandRefusedError(SW.WRONG_DATA)
        if scheme.pss:
            return sign_pss(key, digest, scheme.function)
        return sign(key, DIGEST_INFO[scheme.function] + digest)

    def _decipher(self, block: bytes) -> bytes:
        """Return the bare result: the host makes or removes the padding."""
        if self._deciphering is None:
            raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED)
        self._require_allowed(self._deciphering, DECIPHER)
        if len(block) != modulus_bytes(self._deciphering):
            raise CommandRefusedError(SW.WRONG_LENGTH)
        return raw(self._deciphering, block)

    def _require_allowed(self, key: KeyImage, operation: int) -> None:
        if self._security.condition(key, operation) == NEVER:
            raise CommandRefusedError(SW.CONDITIONS_NOT_SATISFIED)
        self._security.require(key, operation)

    def _find(self, reference: int) -> KeyImage:
        for key in self._image.keys:
            if self._files.current_df in key.dfs and key.reference == reference:
                return key
        raise CommandRefusedError(SW.REFERENCED_DATA_NOT_FOUND)


def _read_one(data: bytes, tag: int, length: int) -> bytes:
    """Return the value of the one data object that *data* is."""
    try:
        item, end = tlv.read(data)
    except ValueError:
        raise CommandRefusedError(SW.WRONG_DATA) from None
    if (item.tag, len(item.value), end) != (tag, length, len(data)):
        raise CommandRefusedError(SW.WRONG_DATA)
    return item.value
