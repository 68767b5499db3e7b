"""The directory files of a card as values: what ODF, AODF, PrKDF and CDF say.

What else a card says of itself is in :mod:`cps.pkcs15.description`. Of each entry only that is kept
which a login uses. Entries of other kinds are passed over; an entry of the right kind that makes no
sense is an error, because the wrong PIN or key could be used.

The types are those of ISO/IEC 7816-15; what may be absent is what real cards leave out.
"""

from dataclasses import dataclass
from enum import IntEnum, unique

from cps.pkcs15 import lax
from cps.tlv import TLV, iterate

MAX_PATH_BYTES = 16
MAX_ID_BYTES = 32
MAX_PIN_BYTES = 16
MF_PATH = bytes.fromhex("3F00")

_ODF_PRIVATE_KEYS = 0xA0
_ODF_PUBLIC_KEYS = 0xA1
_ODF_CERTIFICATES = 0xA4
_ODF_DATA_OBJECTS = 0xA7
_ODF_AUTHENTICATION = 0xA8
_PIN_REFERENCE = 0x80


@unique
class Usage(IntEnum):
    """What a key may do: bit numbers in its usage field."""

    DECIPHER = 1
    SIGN = 2
    NON_REPUDIATION = 9


@unique
class PINFlag(IntEnum):
    """A property of a PIN: bit numbers in its flags."""

    NEEDS_PADDING = 5
    UNBLOCKS = 6
    SECURITY_OFFICER = 7
    """The PUK of a CPS has this one."""


@unique
class PINType(IntEnum):
    """How the characters of a PIN become bytes; these two are the same for digits."""

    ASCII_NUMERIC = 1
    UTF8 = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDirectory:
    """The paths of the other directory files, each 2 to 16 bytes."""

    authentication: tuple[bytes, ...]
    private_keys: tuple[bytes, ...]
    certificates: tuple[bytes, ...]
    public_keys: tuple[bytes, ...] = ()
    data_objects: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PINObject:
    """A PIN or PUK: its number and how it is written on the wire."""

    label: str
    """For people; empty where the card gives none."""
    auth_id: bytes
    """By which keys name it."""
    unblocked_by: bytes | None
    """The PUK that gives its tries back, where the card names one."""
    unblocks: bool
    """Whether it is a PUK."""
    reference: int
    """P2 of VERIFY, 0 to 255."""
    type: int
    """See :class:`PINType`."""
    min_length: int
    """Digits."""
    max_length: int
    """Digits; the stored length where the card does not say."""
    stored_length: int
    """Bytes in the card, 1 to 16."""
    needs_padding: bool
    pad: bytes | None
    """The byte that fills a short PIN up to the stored length, where the card names one."""

    @property
    def longest(self) -> int:
        """Return how many digits the PIN can have at most.

        Real cards state at most 4 digits beside 8 stored bytes, and are said to take up to 8.
        """
        if self.needs_padding:
            return self.stored_length
        return max(self.max_length, self.stored_length)

    def block(self, digits: bytes) -> bytes:
        """Return *digits* as the data of VERIFY.

        :param digits: ASCII.
        :raises ValueError: for a count of digits that this PIN cannot have, or a PIN that is not
            written in a way known here: either would only spend a try.
        """
        if self.type not in (PINType.ASCII_NUMERIC, PINType.UTF8):
            raise ValueError(f"a PIN of type {self.type}")
        if not self.min_length <= len(digits) <= self.longest:
            raise ValueError(f"the PIN has {self.min_length} to {self.longest} digits")
        if not self.needs_padding or len(digits) == self.stored_length:
            return digits
        if self.pad is None:
            raise ValueError("the PIN wants padding, and no byte for it is named")
        return digits.ljust(self.stored_length, self.pad)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A private key: its number in the card, what it may do, and behind which PIN."""

    label: str
    """For people; empty where the card gives none."""
    id: bytes
    """Shared with its certificate, 1 to 32 bytes."""
    usage: frozenset[int]
    """Bit numbers: see :class:`Usage`."""
    reference: int | None
    """The key's number for MANAGE SECURITY ENVIRONMENT."""
    auth_id: bytes | None
    """The PIN that opens it, or ``None`` where it needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateEntry:
    """A certificate: whose key it belongs to, and where it is."""

    id: bytes
    """Shared with its private key, 1 to 32 bytes."""
    label: str
    """For people; empty where the card gives none."""
    path: bytes
    """2 to 16 bytes, absolute or from the application's DF."""


def object_directory(data: bytes) -> ObjectDirectory:
    """Return what the ODF in *data* says.

    :raises ValueError: where it is no ODF.
    """
    paths: dict[int, list[bytes]] = {
        _ODF_AUTHENTICATION: [],
        _ODF_PRIVATE_KEYS: [],
        _ODF_CERTIFICATES: [],
        _ODF_PUBLIC_KEYS: [],
        _ODF_DATA_OBJECTS: [],
    }
    for entry in lax.entries(data):
        if entry.tag in paths:
            paths[entry.tag].append(path_in(entry.children()))
    return ObjectDirectory(
        authentication=tuple(paths[_ODF_AUTHENTICATION]),
        private_keys=tuple(paths[_ODF_PRIVATE_KEYS]),
        certificates=tuple(paths[_ODF_CERTIFICATES]),
        public_keys=tuple(paths[_ODF_PUBLIC_KEYS]),
        data_objects=tuple(paths[_ODF_DATA_OBJECTS]),
    )


def pin_objects(data: bytes) -> list[PINObject]:
    """Return the PINs that the AODF in *data* lists.

    :raises ValueError: where it is no AODF.
    """
    return [_pin_object(entry) for entry in lax.entries(data) if entry.tag == lax.SEQUENCE]


def private_keys(data: bytes) -> list[PrivateKey]:
    """Return the RSA keys that the PrKDF in *data* lists.

    :raises ValueError: where it is no PrKDF.
    """
    return [_private_key(entry) for entry in lax.entries(data) if entry.tag == lax.SEQUENCE]


def certificates(data: bytes) -> list[CertificateEntry]:
    """Return the X.509 certificates that the CDF in *data* lists.

    :raises ValueError: where it is no CDF.
    """
    return [_certificate(entry) for entry in lax.entries(data) if entry.tag == lax.SEQUENCE]


def absolute(path: bytes, application: bytes) -> bytes:
    """Return *path* from the MF on.

    :param path: absolute, beginning with 3F00, or from the DF at *application*.
    """
    return path if path.startswith(MF_PATH) else application + path


def _pin_object(entry: TLV) -> PINObject:
    common, identity, attributes = parts(entry)
    values = list(iterate(lax.required(attributes, lax.SEQUENCE, "PIN attributes").value))
    lengths = [lax.natural(value.value) for value in values if value.tag == lax.INTEGER]
    if not 2 <= len(lengths) <= 3:
        raise ValueError(f"PIN: {len(lengths)} lengths where 2 or 3 are wanted")
    min_length, stored_length = lengths[:2]
    max_length = lengths[2] if len(lengths) == 3 else stored_length
    if not (min_length <= max_length <= MAX_PIN_BYTES and 1 <= stored_length <= MAX_PIN_BYTES):
        raise ValueError(f"PIN: lengths {lengths}")
    reference = lax.first(values, _PIN_REFERENCE)
    flags = lax.bits(lax.required(values, lax.BIT_STRING, "PIN flags").value)
    pad = lax.first(values, lax.OCTET_STRING)
    parent = lax.first(common, lax.OCTET_STRING)
    return PINObject(
        label=label_in(common),
        auth_id=identifier_in(identity, "PIN"),
        unblocked_by=parent.value if parent else None,
        unblocks=bool(flags & {PINFlag.UNBLOCKS, PINFlag.SECURITY_OFFICER}),
        reference=_byte(reference, "PIN reference") if reference else 0,
        type=lax.natural(lax.required(values, lax.ENUMERATED, "PIN type").value),
        min_length=min_length,
        max_length=max_length,
        stored_length=stored_length,
        needs_padding=PINFlag.NEEDS_PADDING in flags,
        pad=pad.value if pad and len(pad.value) == 1 else None,
    )


def _private_key(entry: TLV) -> PrivateKey:
    common, identity, _ = parts(entry)
    # The usage comes before the access flags, which are of the same type.
    usage = lax.bits(lax.required(identity, lax.BIT_STRING, "key usage").value)
    reference = lax.first(identity, lax.INTEGER)
    return PrivateKey(
        label=label_in(common),
        id=identifier_in(identity, "key"),
        usage=usage,
        reference=_byte(reference, "key reference") if reference else None,
        auth_id=identifier_in(common, "PIN of the key") if _has(common, lax.OCTET_STRING) else None,
    )


def _certificate(entry: TLV) -> CertificateEntry:
    common, identity, attributes = parts(entry)
    values = lax.required(attributes, lax.SEQUENCE, "certificate attributes").children()
    return CertificateEntry(
        id=identifier_in(identity, "certificate"),
        label=label_in(common),
        path=path_in(values),
    )


def parts(entry: TLV) -> tuple[list[TLV], list[TLV], list[TLV]]:
    """Return an entry's common part, the part of its class, and that of its type.

    :raises ValueError: where it has not these parts.
    """
    children = entry.children()
    common, identity = children[:2]
    if common.tag != lax.SEQUENCE or identity.tag != lax.SEQUENCE:
        raise ValueError("an entry begins with two sequences")
    attributes = lax.required(children, lax.TYPE_ATTRIBUTES, "the part of the type")
    return common.children(), identity.children(), attributes.children()


def path_in(objects: list[TLV]) -> bytes:
    """Return the path in *objects*: SEQUENCE { OCTET STRING, ... }.

    :raises ValueError: where there is none.
    """
    parts = lax.required(objects, lax.SEQUENCE, "path").children()
    path = lax.required(parts, lax.OCTET_STRING, "path").value
    if not 2 <= len(path) <= MAX_PATH_BYTES or len(path) % 2:
        raise ValueError(f"path {path[:MAX_PATH_BYTES].hex()}: 1 to 8 file identifiers are wanted")
    return path


def identifier_in(objects: list[TLV], name: str) -> bytes:
    """Return the identifier in *objects*: OCTET STRING.

    :param name: of what, for the error.
    :raises ValueError: where there is none, or one of a length that none has.
    """
    identifier = lax.required(objects, lax.OCTET_STRING, f"{name}: identifier").value
    if not 1 <= len(identifier) <= MAX_ID_BYTES:
        raise ValueError(f"{name}: an identifier of {len(identifier)} bytes")
    return identifier


def label_in(common: list[TLV]) -> str:
    """Return the label in the common part of an entry, empty where there is none."""
    label = lax.first(common, lax.UTF8_STRING)
    return label.value.decode("utf-8", "replace") if label else ""


def _byte(value: TLV, name: str) -> int:
    number = lax.natural(value.value)
    if number > 0xFF:
        raise ValueError(f"{name} {number}: one byte is wanted")
    return number


def _has(objects: list[TLV], tag: int) -> bool:
    return lax.first(objects, tag) is not None
