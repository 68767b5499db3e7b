"""The profile of a CPS authentication certificate, read with our own eyes after the path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import ExtendedKeyUsageOID

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.identity import CardKind
from gateway.trust.der import decode, decode_texts
from gateway.trust.extensions import find_extension
from gateway.trust.holder import Holder, read_holder
from gateway.trust.rfc5280 import FOREIGN_PURPOSES
from gateway.trust.store import Environment

CARD_CATEGORY = x509.ObjectIdentifier("1.2.250.1.71.1.2.5")
"""Table G01, one byte in an OCTET STRING."""
CARD_TYPE = x509.ObjectIdentifier("1.2.250.1.71.1.2.2")
"""Table G02, INTEGER."""
TOKEN_ID = x509.ObjectIdentifier("1.2.250.1.71.1.2.3")
"""PrintableString: the issuer's number, a slash, the card's number."""
PROFESSION = x509.ObjectIdentifier("1.2.250.1.71.1.2.7")
"""Table G15, INTEGER."""
FUTURE_PROFESSION = x509.ObjectIdentifier("1.2.250.1.71.1.2.8")
"""Table G16, INTEGER, on the CPF. No sample was seen."""
SPECIALITIES = x509.ObjectIdentifier("1.2.250.1.71.4.2.5")
"""Table R01, SEQUENCE OF UTF8String."""
USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""A name of the Microsoft directory, as otherName in subjectAltName, UTF8String."""

PRIVATE_EXTENSIONS = frozenset(
    {CARD_CATEGORY, CARD_TYPE, TOKEN_ID, PROFESSION, FUTURE_PROFESSION, SPECIALITIES}
)
"""All that is read here, and may therefore be critical."""

CATEGORIES: Mapping[Environment, bytes] = MappingProxyType({"production": b"\x00", "test": b"\x80"})
"""The one category (G01) let in: a real card, or a test card.

The two never overlap, so that one wrong word in the settings lets nobody of the other world in. The
rest of the table, 02, 03, 82 and 83, are keys in modules and in software: not cards.
"""
MAX_PROFESSION = 999
MAX_SPECIALITIES = 16
_TOKEN_ID = re.compile(r"8025000001/([0-9]{10})")
_SPECIALITY = re.compile(r"[0-9A-Z]{1,10}")
_UPN_DOMAIN = "carte-cps.fr"
_MAX_UPN_CHARACTERS = 128
_Fields: TypeAlias = Mapping[x509.ObjectIdentifier, x509.ExtensionType]
"""Each extension's value, by its OID."""
_T = TypeVar("_T")
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardProfile:
    """What a certificate that has the profile says of the card and of its holder."""

    kind: CardKind
    card_number: str
    """Ten digits."""
    profession: int | None
    """Table G15; a CPS always has one, other cards never."""
    future_profession: int | None
    """Table G16; on a CPF alone, and perhaps not on all."""
    specialities: tuple[str, ...]
    """Table R01; codes that the table does not have included."""
    holder: Holder
    upn_mismatch: str | None
    """What stands in place of the expected principal name, for the audit; ``None`` if it fits."""


def require_authentication_profile(
    leaf: x509.Certificate, *, environment: Environment
) -> CardProfile:
    """Return what *leaf* says, if it is the authentication certificate of a person's card.

    :param leaf: of a path that was verified.
    :param environment: whether real cards or test cards are let in, never both.
    :raises LoginRejectedError: CERT_PURPOSE for another use of the key, CERT_TYPE for something
        that is not such a card of such a person, CERT_MALFORMED for contents that cannot be read.
    """
    require_purpose(leaf)
    fields = {each.oid: each.value for each in leaf.extensions}
    _require_category(fields, environment)
    kind = _card_kind(fields)
    holder = read_holder(leaf.subject)
    return CardProfile(
        kind=kind,
        card_number=_card_number(fields),
        profession=_profession(fields, kind),
        future_profession=_future_profession(fields, kind),
        specialities=_specialities(fields),
        holder=holder,
        upn_mismatch=_upn_mismatch(leaf, holder.national_id),
    )


def require_purpose(leaf: x509.Certificate) -> None:
    """Refuse a key that is not the one for logging in.

    :raises LoginRejectedError: CERT_PURPOSE unless keyUsage has digitalSignature without
        nonRepudiation and the signatures of an authority, extKeyUsage has clientAuth and smart-card
        logon, and the certificate is no authority's.

    Source: RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.12.
    """
    usage = _required_purpose(leaf, x509.KeyUsage)
    extended = _required_purpose(leaf, x509.ExtendedKeyUsage)
    if not usage.digital_signature:
        raise LoginRejectedError(ErrorCode.CERT_PURPOSE, "keyUsage: no digitalSignature")
    if usage.content_commitment or usage.key_cert_sign or usage.crl_sign:
        raise LoginRejectedError(ErrorCode.CERT_PURPOSE, "keyUsage: more than authentication")
    # Smart-card logon too: what works without PIN by the contactless interface has no right to it.
    for purpose in (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SMARTCARD_LOGON):
        if purpose not in extended:
            raise LoginRejectedError(
                ErrorCode.CERT_PURPOSE, f"extKeyUsage: no {purpose.dotted_string}"
            )
    if not FOREIGN_PURPOSES.isdisjoint(extended):
        raise LoginRejectedError(ErrorCode.CERT_PURPOSE, "extKeyUsage: more than authentication")
    constraints = find_extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise LoginRejectedError(ErrorCode.CERT_PURPOSE, "basicConstraints: an authority")


def _required_purpose(leaf: x509.Certificate, kind: type[_Extension]) -> _Extension:
    found = find_extension(leaf, kind)
    if found is None:
        raise LoginRejectedError(ErrorCode.CERT_PURPOSE, f"no extension {kind.oid.dotted_string}")
    return found.value


def _require_category(fields: _Fields, environment: Environment) -> None:
    value = _decode(bytes, _required(fields, CARD_CATEGORY), "card category")
    if value != CATEGORIES[environment]:
        raise LoginRejectedError(
            ErrorCode.CERT_TYPE, f"category {value.hex()} where environment is {environment}"
        )


def _card_kind(fields: _Fields) -> CardKind:
    code = _decode(int, _required(fields, CARD_TYPE), "card type")
    try:
        return CardKind(code)
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.CERT_TYPE, "card type outside table G02") from exc


def _card_number(fields: _Fields) -> str:
    text = _decode(asn1.PrintableString, _required(fields, TOKEN_ID), "token id").as_str()
    match = _TOKEN_ID.fullmatch(text)
    if match is None:
        raise LoginRejectedError(ErrorCode.CERT_TYPE, "token id: not the number of a card")
    return match.group(1)


def _profession(fields: _Fields, kind: CardKind) -> int | None:
    der = _optional(fields, PROFESSION)
    if (der is not None) != (kind is CardKind.CPS):
        raise LoginRejectedError(
            ErrorCode.CERT_TYPE, f"a {kind.name} {'without' if der is None else 'with'} profession"
        )
    return None if der is None else _profession_code(der, "profession")


def _future_profession(fields: _Fields, kind: CardKind) -> int | None:
    der = _optional(fields, FUTURE_PROFESSION)
    if der is None:
        return None
    if kind is not CardKind.CPF:
        raise LoginRejectedError(ErrorCode.CERT_TYPE, f"a {kind.name} with a future profession")
    return _profession_code(der, "future profession")


def _profession_code(der: bytes, what: str) -> int:
    code = _decode(int, der, what)
    if not 0 <= code <= MAX_PROFESSION:
        raise LoginRejectedError(ErrorCode.CERT_MALFORMED, f"{what}: not a code of its table")
    return code


def _specialities(fields: _Fields) -> tuple[str, ...]:
    der = _optional(fields, SPECIALITIES)
    if der is None:
        return ()
    try:
        codes = decode_texts(der)
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.CERT_MALFORMED, "specialities: not strict DER") from exc
    if len(codes) > MAX_SPECIALITIES or not all(map(_SPECIALITY.fullmatch, codes)):
        raise LoginRejectedError(ErrorCode.CERT_MALFORMED, "specialities: not codes of table R01")
    return codes


def _upn_mismatch(leaf: x509.Certificate, national_id: str) -> str | None:
    expected = f"{national_id}@{_UPN_DOMAIN}"
    names = _principal_names(leaf)
    return None if names == [expected] else ", ".join(names) or "(absent)"


def _principal_names(leaf: x509.Certificate) -> list[str]:
    names = find_extension(leaf, x509.SubjectAlternativeName)
    if names is None:
        return []
    return [
        _principal_name(other.value)
        for other in names.value.get_values_for_type(x509.OtherName)
        if other.type_id == USER_PRINCIPAL_NAME
    ]


def _principal_name(der: bytes) -> str:
    # It is noted and decides nothing, so neither is an unreadable one a reason to refuse.
    try:
        name = asn1.decode_der(str, der)
    except ValueError:
        return "(unreadable)"
    readable = name.isprintable() and len(name) <= _MAX_UPN_CHARACTERS
    return name if readable else "(unreadable)"


def _required(fields: _Fields, oid: x509.ObjectIdentifier) -> bytes:
    der = _optional(fields, oid)
    if der is None:
        raise LoginRejectedError(
            ErrorCode.CERT_TYPE, f"no extension {oid.dotted_string}, so not a card's certificate"
        )
    return der


def _optional(fields: _Fields, oid: x509.ObjectIdentifier) -> bytes | None:
    value = fields.get(oid)
    return None if value is None else value.public_bytes()


def _decode(kind: type[_T], der: bytes, what: str) -> _T:
    try:
        return decode(kind, der)
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.CERT_MALFORMED, f"{what}: not strict DER") from exc
