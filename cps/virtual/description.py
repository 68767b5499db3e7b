"""What a card of the folder is, read from its file and the certificates in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from cps import tlv
from cps.atr import CardType
from cps.errors import CardDataError
from cps.issuer import oids
from cps.simulator.files import MF
from cps.simulator.image import CardImage, ReferenceData
from cps.simulator.personalise import (
    AUTHENTICATION_CERTIFICATE,
    SIGNATURE_CERTIFICATE,
    TECHNICAL_CERTIFICATE,
)
from cps.simulator.security import PIN_REFERENCE, PUK_REFERENCE
from cps.simulator.tree import SERIAL_FID
from cps.virtual.holders import CardKind

CERTIFICATES = {
    "authentication": AUTHENTICATION_CERTIFICATE,
    "signature": SIGNATURE_CERTIFICATE,
    "technical": TECHNICAL_CERTIFICATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualCard:
    """One card of the folder, as ``cps virtual list`` and ``show`` tell of it."""

    name: str
    generation: CardType
    kind: CardKind
    family_name: str
    given_name: str
    title: str
    national_id: str
    card_number: str
    serial: str
    """The chip's, 8 digits."""
    not_before: datetime
    not_after: datetime
    tries_left: int
    """Of the PIN."""
    puk_tries_left: int
    certificate_serials: dict[str, int]
    """By what the certificate is for: ``authentication`` and so on."""


def describe(path: Path) -> VirtualCard:
    """Return what the card in *path* is.

    :raises CardDataError: where it is not a card made here.
    """
    image = CardImage.read(path)
    try:
        certificates = dict(_certificates(image))
        certificate = certificates["authentication"]
        return VirtualCard(
            name=path.stem,
            generation=image.card,
            kind=CardKind.of_code(int.from_bytes(_extension(certificate, oids.CARD_TYPE), "big")),
            family_name=_attribute(certificate, NameOID.SURNAME),
            given_name=_attribute(certificate, NameOID.GIVEN_NAME),
            title=_attribute(certificate, NameOID.TITLE),
            national_id=_attribute(certificate, NameOID.COMMON_NAME),
            card_number=_extension(certificate, oids.TOKEN_ID).decode("ascii").rpartition("/")[2],
            serial=image.content(MF + SERIAL_FID)[7:11].hex(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            tries_left=_reference_data(image, PIN_REFERENCE).tries_left,
            puk_tries_left=_reference_data(image, PUK_REFERENCE).tries_left,
            certificate_serials={
                name: certificate.serial_number for name, certificate in certificates.items()
            },
        )
    except (ValueError, LookupError, x509.ExtensionNotFound) as exc:
        raise CardDataError(f"{path}: not a card made here") from exc


def _certificates(image: CardImage) -> Iterator[tuple[str, x509.Certificate]]:
    for name, path in CERTIFICATES.items():
        if any(file.path == path for file in image.files):
            yield name, x509.load_der_x509_certificate(image.content(path))


def _extension(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> bytes:
    """Return the value of the one data object in an extension."""
    extension = certificate.extensions.get_extension_for_oid(oid).value.public_bytes()
    return tlv.read(extension)[0].value


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    return str(certificate.subject.get_attributes_for_oid(oid)[0].value)


def _reference_data(image: CardImage, reference: int) -> ReferenceData:
    for entry in image.reference_data:
        if entry.reference == reference:
            return entry
    raise LookupError(f"no reference data {reference:02X}")
