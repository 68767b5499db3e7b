"""The directory files of PKCS#15 on a CPS4, where they differ from those of a CPS3.

No real ones were seen. These have the form that the issuer's middleware reads; and they are well
made, because the mistakes of real CPS3 are not known to have been made again.
"""

from cps import tlv
from cps.simulator.cio import (
    CONTACT_AID,
    FLAG_PRIVATE,
    KEY_BITS,
    NO_FLAGS,
    PIN_DIGITS,
    PUK_DIGITS,
    KeyObject,
    integer,
    path_to,
    text,
)

PRIVATE_AND_MODIFIABLE = bytes.fromhex("06C0")
LOGIN_REQUIRED_AND_RANDOM = bytes.fromhex("0560")
# Sensitive, always sensitive, never extractable, local.
KEY_ACCESS = bytes.fromhex("03B8")
# Case sensitive and initialised, as numbers that are not padded; the PUK is the officer's.
PIN_KIND = bytes.fromhex("0388")
PUK_KIND = bytes.fromhex("0099")
PIN_IDENTIFIER, PUK_IDENTIFIER = b"\x01", b"\x02"


def ef_dir(label: str, path: bytes) -> bytes:
    """Return EF.DIR with its one record."""
    return tlv.encode(
        0x61,
        tlv.encode(0x4F, CONTACT_AID),
        tlv.encode(0x50, label.encode("ascii")),
        tlv.encode(0x51, path),
    )


def token_info(label: str) -> bytes:
    """Return TokenInfo, which names no algorithm."""
    return tlv.encode(
        0x30,
        integer(0),
        text("SIMULATEUR"),
        tlv.encode(0x80, label.encode("ascii")),
        tlv.encode(0x03, LOGIN_REQUIRED_AND_RANDOM),
    )


def aodf(mf: bytes) -> bytes:
    """Return the entries of PIN and PUK, of which both say that they are known from *mf*."""
    pin = _authentication_object(
        label="Code porteur de la carte CPS",
        unblocked_by=tlv.encode(0x04, PUK_IDENTIFIER),
        identifier=PIN_IDENTIFIER,
        kind=PIN_KIND,
        digits=PIN_DIGITS,
        reference=1,
        path=mf,
    )
    puk = _authentication_object(
        label="Code de déblocage de la carte CPS",
        unblocked_by=b"",
        identifier=PUK_IDENTIFIER,
        kind=PUK_KIND,
        digits=PUK_DIGITS,
        reference=2,
        path=mf,
    )
    return pin + puk


def private_key_entry(key: KeyObject, df: bytes) -> bytes:
    """Return the entry of a private key, whose path leads to its application."""
    return tlv.encode(
        0x30,
        tlv.encode(
            0x30,
            text(f"CPS_PRIV_{key.name}"),
            tlv.encode(0x03, FLAG_PRIVATE),
            tlv.encode(0x04, PIN_IDENTIFIER),
        ),
        tlv.encode(
            0x30,
            tlv.encode(0x04, key.identifier),
            tlv.encode(0x03, key.usage),
            tlv.encode(0x03, KEY_ACCESS),
            integer(key.reference),
        ),
        tlv.encode(0xA1, tlv.encode(0x30, path_to(df), integer(KEY_BITS))),
    )


def certificate_entry(key: KeyObject, path: bytes) -> bytes:
    """Return the entry of a certificate.

    :param path: from the MF down.
    """
    return tlv.encode(
        0x30,
        tlv.encode(0x30, text(key.certificate_label), tlv.encode(0x03, NO_FLAGS)),
        tlv.encode(0x30, tlv.encode(0x04, key.identifier)),
        tlv.encode(0xA1, tlv.encode(0x30, path_to(path))),
    )


def _authentication_object(
    *,
    label: str,
    unblocked_by: bytes,
    identifier: bytes,
    kind: bytes,
    digits: int,
    reference: int,
    path: bytes,
) -> bytes:
    return tlv.encode(
        0x30,
        tlv.encode(0x30, text(label), tlv.encode(0x03, PRIVATE_AND_MODIFIABLE), unblocked_by),
        tlv.encode(0x30, tlv.encode(0x04, identifier)),
        tlv.encode(
            0xA1,
            tlv.encode(
                0x30,
                tlv.encode(0x03, kind),
                # ASCII digits; the least, the stored and the greatest length.
                tlv.encode(0x0A, b"\x01"),
                integer(digits),
                integer(digits),
                integer(digits),
                tlv.encode(0x80, bytes((reference,))),
                path_to(path),
            ),
        ),
    )
