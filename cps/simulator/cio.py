"""The directory files of PKCS#15, as real CPS3 have them: what the card says it holds.

Whatever of a real card is published is here to the byte, its mistakes included: bit strings with
eight unused bits, a PUK whose identifier the PIN does not name, keys without algorithm references.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from cps import tlv

CONTACT_AID = bytes.fromhex("E828BD080F8025000001FF0010")
CONTACTLESS_AID = bytes.fromhex("E828BD080F8025000001FF0020")

PIN_DIGITS = 4
PUK_DIGITS = 8
STORED_BYTES = 8
KEY_BITS = 2048

# Bit strings: a byte that counts unused bits, then the bits.
FLAG_PRIVATE = bytes.fromhex("0780")
FLAG_MODIFIABLE = bytes.fromhex("0640")
NO_FLAGS = bytes.fromhex("00")
# Real cards have no bit at all here, and still say that eight are unused.
PIN_FLAGS = bytes.fromhex("08")
CERTIFICATE_FLAGS = bytes.fromhex("0800")
READ_ONLY_AND_LOGIN_REQUIRED = bytes.fromhex("06C0")
NATIVE_KEY_ACCESS = bytes.fromhex("04B0")

# Each says: its number, the PKCS#11 mechanism, its use (hash, sign, decipher), the object
# identifier, and what the card calls it in its commands.
ALGORITHMS = (
    (1, 0x220, "0102", "2B0E03021A", 0x10),
    (2, 0x250, "0102", "608648016503040201", 0x40),
    (3, 0x006, "0640", "2A864886F70D010105", 0x12),
    (4, 0x040, "0640", "2A864886F70D01010B", 0x42),
    (5, 0x001, "0640", "2A864886F70D010101", 0x02),
    (6, 0x001, "0204", "2A864886F70D010101", 0x1A),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyObject:
    """How a key pair and its certificate are described."""

    number: int
    """1 signature, 2 authentication, 3 technical: the last byte of the names of its files."""
    identifier_end: int
    """The last byte of the identifier."""
    reference: int
    """What the key is called in commands."""
    name: str
    """Behind ``CPS_PRIV_`` and ``CPS_PUB_``."""
    certificate_label: str
    flags: bytes
    """Bit string; empty where the entry has neither flags nor a PIN."""
    rules: tuple[bytes, ...] = ()
    """Access rules made by :func:`rule`."""
    usage: bytes
    """Bit string, of the private key."""
    public_usage: bytes
    """Bit string."""

    @property
    def identifier(self) -> bytes:
        """Return what ties private key, public key and certificate together."""
        return CONTACT_AID + bytes((self.identifier_end,))


def ef_dir(entries: tuple[tuple[bytes, str, bytes], ...]) -> bytes:
    """Return EF.DIR; each entry is an AID, a label and a path.

    All of them name the contact application in their last field, as on a real card.
    """
    return b"".join(
        tlv.encode(
            0x61,
            tlv.encode(0x4F, aid),
            tlv.encode(0x50, label.encode("ascii")),
            tlv.encode(0x51, path),
            tlv.encode(0x73, tlv.encode(0x4F, CONTACT_AID)),
        )
        for aid, label, path in entries
    )


def odf(files: tuple[tuple[int, bytes], ...]) -> bytes:
    """Return the object directory; each entry is the kind's tag and a path from the MF."""
    return b"".join(tlv.encode(tag, path_to(path)) for tag, path in files)


def token_info(label: str, made_at: datetime) -> bytes:
    """Return TokenInfo.

    :param made_at: aware.
    """
    algorithms = (
        tlv.encode(
            0x30,
            integer(number),
            integer(mechanism),
            tlv.encode(0x05),
            tlv.encode(0x03, bytes.fromhex(use)),
            tlv.encode(0x06, bytes.fromhex(oid)),
            integer(reference),
        )
        for number, mechanism, use, oid, reference in ALGORITHMS
    )
    moment = made_at.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode("ascii")
    return tlv.encode(
        0x30,
        integer(0),
        text("SIMULATEUR"),
        tlv.encode(0x80, label.encode("ascii")),
        tlv.encode(0x03, READ_ONLY_AND_LOGIN_REQUIRED),
        tlv.encode(0xA2, *algorithms),
        tlv.encode(0xA5, tlv.encode(0x18, moment)),
    )


def aodf() -> bytes:
    """Return the entries of PIN and PUK, which are the same on every card."""
    pin = _authentication_object(
        label="Code porteur de la carte CPS",
        unblocked_by=tlv.encode(0x04, b"\x02"),
        rules=(rule("0520"), rule("0640"), rule("0308", authenticated_by=4)),
        identifier=1,
        # Initialised, padded, exchangeable.
        flags="040C10",
        digits=PIN_DIGITS,
        reference=1,
        pad=tlv.encode(0x04, b"\xff"),
    )
    puk = _authentication_object(
        label="Code de déblocage de la carte CPS",
        unblocked_by=b"",
        rules=(rule("0520"), rule("0640")),
        identifier=4,
        # The same, and for the security officer, and itself never unblocked.
        flags="041D10",
        digits=PUK_DIGITS,
        reference=2,
        pad=b"",
    )
    return pin + puk


def private_key_entry(key: KeyObject) -> bytes:
    """Return the entry of a private key; it has no file, so its path is empty."""
    common = text(f"CPS_PRIV_{key.name}")
    if key.flags:
        common += tlv.encode(0x03, key.flags)
        common += tlv.encode(0x04, b"\x01")
        common += tlv.encode(0x30, *key.rules)
    return tlv.encode(
        0x30,
        tlv.encode(0x30, common),
        tlv.encode(
            0x30,
            tlv.encode(0x04, key.identifier),
            tlv.encode(0x03, key.usage),
            tlv.encode(0x01, b"\xff"),
            tlv.encode(0x03, NATIVE_KEY_ACCESS),
            integer(key.reference),
        ),
        tlv.encode(0xA1, tlv.encode(0x30, path_to(b""), integer(KEY_BITS))),
    )


def public_key_entry(key: KeyObject, path: bytes) -> bytes:
    """Return the entry of a public key that lies in the file *path*."""
    return tlv.encode(
        0x30,
        tlv.encode(0x30, text(f"CPS_PUB_{key.name}")),
        tlv.encode(
            0x30,
            tlv.encode(0x04, key.identifier),
            tlv.encode(0x03, key.public_usage),
            integer(key.reference),
        ),
        tlv.encode(0xA1, tlv.encode(0x30, path_to(path), integer(KEY_BITS))),
    )


def certificate_entry(key: KeyObject, path: bytes) -> bytes:
    """Return the entry of a certificate.

    :param path: from the MF down, or from the application.
    """
    return tlv.encode(
        0x30,
        tlv.encode(
            0x30,
            text(key.certificate_label),
            tlv.encode(0x03, CERTIFICATE_FLAGS),
            tlv.encode(0x30, rule("0780"), rule("0640", authenticated_by=1)),
        ),
        tlv.encode(0x30, tlv.encode(0x04, key.identifier)),
        tlv.encode(0xA1, tlv.encode(0x30, path_to(path))),
    )


def data_entry(label: str, flags: bytes, path: bytes) -> bytes:
    """Return the entry of a data object in the file *path*; a private one names the PIN."""
    common = text(label) + tlv.encode(0x03, flags)
    if flags == FLAG_PRIVATE:
        common += tlv.encode(0x04, b"\x01")
    return tlv.encode(
        0x30,
        tlv.encode(0x30, common),
        tlv.encode(0x30, text("CPS")),
        tlv.encode(0xA1, path_to(path)),
    )


def rule(operations: str, *, authenticated_by: int | None = None) -> bytes:
    """Return an access rule: which operations, and always or after which PIN.

    :param operations: a bit string in hexadecimal.
    :param authenticated_by: the PIN's identifier; always allowed where absent.
    """
    if authenticated_by is None:
        condition = tlv.encode(0x05)
    else:
        condition = tlv.encode(0x04, bytes((authenticated_by,)))
    return tlv.encode(0x30, tlv.encode(0x03, bytes.fromhex(operations)), condition)


def text(value: str) -> bytes:
    """Return a UTF8String."""
    return tlv.encode(0x0C, value.encode())


def _authentication_object(
    *,
    label: str,
    unblocked_by: bytes,
    rules: tuple[bytes, ...],
    identifier: int,
    flags: str,
    digits: int,
    reference: int,
    pad: bytes,
) -> bytes:
    common = text(label) + tlv.encode(0x03, PIN_FLAGS) + unblocked_by + tlv.encode(0x30, *rules)
    attributes = (
        tlv.encode(0x03, bytes.fromhex(flags)),
        # ASCII digits; the least, the stored and the greatest length.
        tlv.encode(0x0A, b"\x01"),
        integer(digits),
        integer(STORED_BYTES),
        integer(digits),
        tlv.encode(0x80, bytes((reference,))),
        pad,
    )
    return tlv.encode(
        0x30,
        tlv.encode(0x30, common),
        tlv.encode(0x30, tlv.encode(0x04, bytes((identifier,)))),
        tlv.encode(0xA1, tlv.encode(0x30, *attributes)),
    )


def path_to(path: bytes) -> bytes:
    """Return a path from the MF down, or from the application, or none."""
    return tlv.encode(0x30, tlv.encode(0x04, path))


def integer(value: int) -> bytes:
    """Return an INTEGER of at least 0: one with its first bit set gets a byte in front."""
    return tlv.encode(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))
