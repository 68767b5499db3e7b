"""Certificates of cards, with the contents and the order of extensions of real ones."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cps import tlv
from cps.issuer import der, oids
from cps.issuer.extensions import AnyExtension, amended, key_usage, plain
from cps.issuer.hierarchy import Authority, years_later

LEAF_YEARS = 3
CATEGORY_TEST_CARD = 0x80
CATEGORY_TEST_MODULE = 0x82
CATEGORY_TEST_SOFTWARE = 0x83
CARD_TYPE_CPS = 0
CARD_TYPE_CPF = 1
CARD_TYPE_CPE = 2
CARD_TYPE_CPA = 3
TOKEN_PREFIX = "8025000001"  # noqa: S105 - the issuer's number, printed on every card
UPN_DOMAIN = "carte-cps.fr"


@unique
class Purpose(Enum):
    """What the key behind a certificate is for."""

    AUTHENTICATION = "authentication"
    """Behind the PIN: the one a login needs."""
    SIGNATURE = "signature"
    """Behind the PIN, for documents: never good for a login."""
    TECHNICAL = "technical"
    """Contactless and without PIN: it proves the card and nobody's will.

    No sample of the real one was seen. This one has all of the authentication certificate that a
    key without PIN can have, so that a gateway has the hardest case to refuse: it lacks the
    smart-card logon purpose and the principal's name.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """The employer that the card of an employee names."""

    county: str
    """``Paris (75)``."""
    name: str
    number: str
    """idNat_Struct: a digit for the kind of number, then the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The person a card belongs to."""

    national_id: str
    """idNat_PS: ``8`` and the RPPS number, ``0`` and the ADELI number …"""
    family_name: str
    given_name: str
    title: str
    """The profession in words."""
    profession: int | None
    """The profession as a code of table G15; ``None`` for all but a CPS."""
    structure: Structure | None = None
    """Only for a CPE or CPA."""
    future_profession: int | None = None
    """What a CPF is a training for, as a code of table G16."""
    specialities: tuple[str, ...] = ()
    """Codes of table R01, as ``SM36``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafRequest:
    """All that makes one certificate differ from another."""

    holder: Holder
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    """Cards have RSA keys."""
    card_number: str
    """Ten digits."""
    not_before: datetime
    """Aware."""
    not_after: datetime | None = None
    """Aware; 3 years after *not_before* where absent."""
    purpose: Purpose = Purpose.AUTHENTICATION
    category: int = CATEGORY_TEST_CARD
    """0 to 255, table G01."""
    card_type: int = CARD_TYPE_CPS
    token_prefix: str = TOKEN_PREFIX
    serial: int | None = None
    """A random one of 16 bytes where absent."""
    subject: x509.Name | None = None
    """Another name than the holder's, for what belongs to nobody or must be refused."""
    omitted: frozenset[x509.ObjectIdentifier] = frozenset()
    """Extensions to leave out, for certificates that must be refused."""
    replaced: tuple[AnyExtension, ...] = ()
    """Extensions to use in place of the usual ones, or to add at the end, for the same reason."""


def issue(authority: Authority, request: LeafRequest) -> x509.Certificate:
    """Return the certificate that *authority* signs for *request*.

    Nothing is checked: an authority for tests has to make certificates that must be refused.
    """
    start = request.not_before.replace(microsecond=0)
    serial = random_serial() if request.serial is None else request.serial
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject or subject_name(request.holder))
        .issuer_name(authority.certificate.subject)
        .public_key(request.public_key)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(request.not_after or years_later(start, LEAF_YEARS))
    )
    usual = _extensions(authority, request)
    for extension in amended(usual, omitted=request.omitted, replaced=request.replaced):
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(authority.key, hashes.SHA256())


def random_serial() -> int:
    """Return a positive serial number that takes 16 bytes."""
    return int.from_bytes(secrets.token_bytes(16), "big") & ((1 << 127) - 1) | 1 << 126


def subject_name(holder: Holder) -> x509.Name:
    """Return the subject: its last RDN holds given name, number and family name at once."""
    rdns = [_rdn((NameOID.COUNTRY_NAME, "FR"))]
    if holder.structure is not None:
        rdns += [
            _rdn((NameOID.STATE_OR_PROVINCE_NAME, holder.structure.county)),
            _rdn((NameOID.ORGANIZATION_NAME, holder.structure.name)),
            _rdn((NameOID.ORGANIZATIONAL_UNIT_NAME, holder.structure.number)),
        ]
    rdns += [
        _rdn((NameOID.TITLE, holder.title)),
        _rdn(
            (NameOID.GIVEN_NAME, holder.given_name),
            (NameOID.COMMON_NAME, holder.national_id),
            (NameOID.SURNAME, holder.family_name),
        ),
    ]
    return x509.Name(rdns)


def card_category(code: int) -> x509.UnrecognizedExtension:
    """Return the extension for the category of table G01, 0 to 255."""
    return x509.UnrecognizedExtension(oids.CARD_CATEGORY, tlv.encode(0x04, bytes((code,))))


def card_type(code: int) -> x509.UnrecognizedExtension:
    """Return the extension for the card type of table G02."""
    return x509.UnrecognizedExtension(oids.CARD_TYPE, der.integer(code))


def token_id(prefix: str, card_number: str) -> x509.UnrecognizedExtension:
    """Return the extension for the issuer's number and the card's number."""
    text = f"{prefix}/{card_number}".encode("ascii")
    return x509.UnrecognizedExtension(oids.TOKEN_ID, tlv.encode(0x13, text))


def profession(code: int) -> x509.UnrecognizedExtension:
    """Return the extension for the profession of table G15."""
    return x509.UnrecognizedExtension(oids.PROFESSION, der.integer(code))


def future_profession(code: int) -> x509.UnrecognizedExtension:
    """Return the extension for the profession of table G16 that the holder learns."""
    return x509.UnrecognizedExtension(oids.FUTURE_PROFESSION, der.integer(code))


def specialities(codes: Iterable[str]) -> x509.UnrecognizedExtension:
    """Return the extension for the specialities of table R01."""
    texts = (tlv.encode(0x0C, code.encode()) for code in codes)
    return x509.UnrecognizedExtension(oids.SPECIALITIES, der.sequence(*texts))


def _extensions(authority: Authority, request: LeafRequest) -> Iterator[AnyExtension]:
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(request.public_key)
    addresses = authority.addresses
    yield plain(x509.BasicConstraints(ca=False, path_length=None))
    yield plain(key_identifier)
    yield plain(authority.key_identifier())
    yield x509.Extension(x509.KeyUsage.oid, True, _key_usage(request.purpose))
    yield plain(addresses.certificate_policies(oids.TEST_POLICY))
    yield plain(_extended_key_usage(request.purpose))
    if request.purpose is Purpose.SIGNATURE:
        start = request.not_before.replace(microsecond=0)
        end = request.not_after or years_later(start, LEAF_YEARS)
        yield plain(x509.PrivateKeyUsagePeriod(start, end))
    if request.purpose is Purpose.AUTHENTICATION:
        yield plain(_principal_name(request.holder))
    yield plain(addresses.crl_distribution_points())
    yield plain(addresses.freshest_crl())
    yield plain(addresses.authority_information_access())
    yield plain(card_category(request.category))
    yield plain(card_type(request.card_type))
    yield plain(token_id(request.token_prefix, request.card_number))
    holder = request.holder
    if holder.profession is not None:
        yield plain(profession(holder.profession))
    if holder.future_profession is not None:
        yield plain(future_profession(holder.future_profession))
    if holder.specialities:
        yield plain(specialities(holder.specialities))


def _key_usage(purpose: Purpose) -> x509.KeyUsage:
    return key_usage(
        digital_signature=purpose is not Purpose.SIGNATURE,
        content_commitment=purpose is Purpose.SIGNATURE,
    )


def _extended_key_usage(purpose: Purpose) -> x509.ExtendedKeyUsage:
    match purpose:
        case Purpose.AUTHENTICATION:
            return x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SMARTCARD_LOGON]
            )
        case Purpose.SIGNATURE:
            return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        case Purpose.TECHNICAL:
            return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def _principal_name(holder: Holder) -> x509.SubjectAlternativeName:
    name = f"{holder.national_id}@{UPN_DOMAIN}".encode()
    return x509.SubjectAlternativeName(
        [x509.OtherName(oids.USER_PRINCIPAL_NAME, tlv.encode(0x0C, name))]
    )


def _rdn(*values: tuple[x509.ObjectIdentifier, str]) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName(x509.NameAttribute(oid, value) for oid, value in values)
