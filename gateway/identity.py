"""Who a person is, as read from a certificate whose chain and signature were verified."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum, unique
from typing import Literal, TypeAlias

RevocationSource: TypeAlias = Literal["list", "ocsp", "grace"]
"""From what a certificate was known not to be revoked: a list in force, a responder's answer, or a
list that had ended, by ``trust.grace_until``."""


@unique
class CardKind(IntEnum):
    """Card type in the certificate, extension 1.2.250.1.71.1.2.2 (table G02)."""

    CPS = 0
    CPF = 1
    CPE = 2
    CPA = 3


@unique
class NationalIdKind(StrEnum):
    """What register a person's national number comes from; the value is its first digit (G08)."""

    ADELI = "0"
    ADELI_PRACTICE = "1"
    """Somebody in a practice that has an ADELI number."""
    FINESS = "3"
    """Somebody in an establishment that has a FINESS number."""
    SIREN = "4"
    """Somebody in a company."""
    SIRET = "5"
    """Somebody in one of a company's sites."""
    RPPS_PRACTICE = "6"
    """Somebody in a practice that has an RPPS number."""
    RPPS = "8"
    STUDENT = "9"
    """A student's number, given until 2020."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedIdentity:
    """A person whose card proved itself; only :mod:`gateway.login.verify` makes one."""

    national_id: str
    """idNat_PS, the certificate's CN: ``8`` and the RPPS number, ``0`` and the ADELI number …"""
    family_name: str
    given_name: str
    profession: int | None
    """Code of table G15, ``None`` where the certificate has none (CPE)."""
    card_type: CardKind
    card_number: str
    """The ten digits behind the issuer's number in the token id."""
    organisation: str | None
    """O of the subject, for a CPE."""
    organisation_id: str | None
    """OU of the subject, for a CPE."""
    certificate_serial: str
    """Hexadecimal, upper case."""
    certificate_issuer: str
    """SHA-256 of the certificate of the authority that issued it, hexadecimal, lower case."""
    certificate_sha256: str
    """Hexadecimal, lower case, of the DER."""
    not_after: int
    """End of the certificate, seconds since 1970 UTC."""
    upn_mismatch: str | None = None
    """What the certificate has in place of the principal name ``<national_id>@carte-cps.fr``, for
    the audit alone; ``None`` where it fits."""
    specialities: tuple[str, ...] = ()
    """Codes of table R01, as the certificate orders them."""
    future_profession: int | None = None
    """Code of table G16, on the card of somebody in training (CPF)."""
    revocation: RevocationSource = "list"
    """The weakest that the decision rests on, for the audit alone."""

    @property
    def national_id_kind(self) -> NationalIdKind:
        """Return what register the national number comes from."""
        return NationalIdKind(self.national_id[0])
