"""The person named in the subject of a card's certificate."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cryptography import x509
from cryptography.x509.oid import NameOID

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError

MAX_NAME_CHARACTERS = 128
_INTERNAL = r"/[0-9A-Za-z._-]{1,32}"
_NATIONAL_ID = re.compile(
    "|".join(
        (
            r"0[0-9A-Z]{9}",  # an ADELI number, with letters in Corsica and on test cards
            r"1[0-9A-Z]{11}" + _INTERNAL,  # somebody in a practice with an ADELI number
            r"3[0-9A-Z]{9}" + _INTERNAL,  # … in an establishment with a FINESS number
            r"4[0-9]{9}" + _INTERNAL,  # … in a company with a SIREN number
            r"5[0-9]{14}" + _INTERNAL,  # … in a company's site with a SIRET number
            r"6[0-9]{14}" + _INTERNAL,  # … in a practice with an RPPS number
            r"8[0-9]{11}",  # an RPPS number with its check digit
            r"9[0-9A-Z]{5,20}",  # a student's number, given until 2020
        )
    )
)
"""The forms of idNat_PS on cards (table G08) that were not withdrawn.

2 (DRASS) was, and 10 is a mail address, which no card has.
"""
_RPPS = "8"
_Attributes: TypeAlias = Mapping[x509.ObjectIdentifier, Sequence[str | bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What the subject says of the person."""

    national_id: str
    """idNat_PS."""
    family_name: str
    given_name: str
    organisation: str | None
    organisation_id: str | None


def read_holder(subject: x509.Name) -> Holder:
    """Return the person in *subject*.

    The attributes are found by their OID: three of them share one RDN, a set without order.

    :raises LoginRejectedError: CERT_TYPE for a pseudonym, as on the cards of services, and where
        the number or a name is missing; CERT_MALFORMED where an attribute stands twice or its text
        is not allowed.
    """
    attributes: dict[x509.ObjectIdentifier, list[str | bytes]] = {}
    for attribute in subject:
        attributes.setdefault(attribute.oid, []).append(attribute.value)
    if NameOID.PSEUDONYM in attributes:
        raise LoginRejectedError(
            ErrorCode.CERT_TYPE, "subject: a pseudonym, so a service's card, which names no person"
        )
    national_id = _required(attributes, NameOID.COMMON_NAME, "CN")
    _require_national_id(national_id)
    return Holder(
        national_id=national_id,
        family_name=_required(attributes, NameOID.SURNAME, "SN"),
        given_name=_required(attributes, NameOID.GIVEN_NAME, "GN"),
        organisation=_optional(attributes, NameOID.ORGANIZATION_NAME, "O"),
        organisation_id=_optional(attributes, NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"),
    )


def _require_national_id(national_id: str) -> None:
    if not _NATIONAL_ID.fullmatch(national_id):
        raise LoginRejectedError(ErrorCode.CERT_MALFORMED, "subject: CN is not an idNat_PS")
    # The key of FINESS and ADELI numbers is not checked: test cards have letters in them.
    if national_id.startswith(_RPPS) and not _passes_luhn(national_id.removeprefix(_RPPS)):
        raise LoginRejectedError(
            ErrorCode.CERT_MALFORMED, "subject: the RPPS number's key is wrong"
        )


def _passes_luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value // 10 + value % 10
    return total % 10 == 0


def _required(attributes: _Attributes, oid: x509.ObjectIdentifier, label: str) -> str:
    value = _optional(attributes, oid, label)
    if value is None:
        raise LoginRejectedError(ErrorCode.CERT_TYPE, f"subject: no {label}, so no person's card")
    return value


def _optional(attributes: _Attributes, oid: x509.ObjectIdentifier, label: str) -> str | None:
    values = attributes.get(oid, [])
    if not values:
        return None
    if len(values) > 1:
        raise LoginRejectedError(ErrorCode.CERT_MALFORMED, f"subject: {label} stands twice")
    (value,) = values
    # Printable also means: no line break for a log or a header, no turn of the writing direction.
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= MAX_NAME_CHARACTERS
        or not value.isprintable()
    ):
        raise LoginRejectedError(
            ErrorCode.CERT_MALFORMED,
            f"subject: {label} is not 1 to {MAX_NAME_CHARACTERS} printable characters",
        )
    return value
