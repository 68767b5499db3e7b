"""Builders of certificates that no authority should issue; each returns DER."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from cps import tlv
from cps.issuer import der, oids, profiles
from cps.issuer.extensions import critical
from cps.issuer.hierarchy import Authority, Gamme, Hierarchy, create_intermediate
from cps.issuer.leaf import Holder, LeafRequest, Structure, issue
from cps.issuer.profiles import Support
from tests.support import pki

STRUCTURE = Structure(county="Paris (75)", name="HOPITAL IMAGINAIRE", number="10B9900001")
_VERSION_3 = der.explicit(0, der.integer(2))
_UTF8, _TELETEX = 0x0C, 0x14


def issued_by(hierarchy: Hierarchy) -> bytes:
    """Return a card's certificate that has no fault but its issuer."""
    return pki.der(pki.leaf(issuer=hierarchy.intermediate))


def card(
    profile: Callable[[Holder, Support], LeafRequest], holder: Holder, hierarchy: Hierarchy
) -> bytes:
    """Return the certificate of another card type, with nothing wrong in it."""
    return pki.der(issue(hierarchy.intermediate, profile(holder, pki.support())))


def service_card() -> bytes:
    """Return the certificate of a card that names a service."""
    request = profiles.service_card(
        STRUCTURE, pki.support(), pseudonym="URGENCES", national_id="30B9900001/SERV0001"
    )
    return pki.der(issue(pki.hierarchy().intermediate, request))


def organisation(issuer: Authority) -> bytes:
    """Return what an organisation signs documents with."""
    request = profiles.organisation(STRUCTURE, pki.support(), host="org.invalid")
    return pki.der(issue(issuer, request))


# What the outermost bytes can be.


def long_length() -> bytes:
    """Return a certificate whose outermost length takes more bytes than it needs."""
    content = tlv.read(pki.der(pki.leaf()))[0].value
    return b"\x30\x84" + len(content).to_bytes(4, "big") + content


def indefinite_length() -> bytes:
    """Return a certificate whose end is marked instead of its length."""
    return b"\x30\x80" + tlv.read(pki.der(pki.leaf()))[0].value + b"\x00\x00"


# What only a changed and newly signed content can be.


def teletex_name() -> bytes:
    """Return a certificate with the string type and the accents of cards before 2013."""
    name = tlv.encode(_UTF8, pki.DOCTOR.family_name.encode())
    return pki.patched(pki.leaf(), name, tlv.encode(_TELETEX, b"EX\xc9MPLE"))


def duplicate_extension() -> bytes:
    """Return a certificate with two card types and no profession."""
    return pki.patched(pki.leaf(), _encoded(oids.PROFESSION), _encoded(oids.CARD_TYPE))


def negative_serial() -> bytes:
    """Return a certificate whose serial number is below 0."""
    leaf = pki.leaf()
    number = leaf.serial_number.to_bytes(16, "big")
    return pki.patched(leaf, number, b"\x80" + number[1:])


def serial_zero() -> bytes:
    """Return a certificate with serial number 0."""
    before = _VERSION_3 + der.integer(0x55)
    return pki.patched(pki.leaf(serial=0x55), before, _VERSION_3 + der.integer(0))


def ends_in_the_year_0() -> bytes:
    """Return a certificate whose end is in a year that no calendar here has."""
    leaf = pki.leaf(not_after=pki.NOW.replace(year=2060))
    return pki.patched(leaf, b"20601123", b"00001123")


def version_2() -> bytes:
    """Return a certificate of version 2, which has extensions nevertheless."""
    return pki.patched(pki.leaf(), _VERSION_3, der.explicit(0, der.integer(1)))


def changed_signature() -> bytes:
    """Return a certificate with one bit of the signature turned."""
    whole = pki.der(pki.leaf())
    return whole[:-1] + bytes((whole[-1] ^ 1,))


def changed_content() -> bytes:
    """Return a certificate with another name than was signed."""
    name = pki.DOCTOR.family_name.encode()
    return pki.der(pki.leaf()).replace(name, name[::-1])


# Keys and signers.


def on_curve(curve: ec.EllipticCurve, *, not_after: datetime | None = None) -> bytes:
    """Return a certificate for a key on *curve*."""
    request = replace(
        pki.leaf_request(not_after=not_after), public_key=_curve_key(curve.name).public_key()
    )
    return pki.der(issue(pki.hierarchy().intermediate, request))


def with_exponent(exponent: int) -> bytes:
    """Return a certificate for an RSA key with this exponent, of which nobody has the other."""
    modulus = pki.key("leaf").public_key().public_numbers().n
    public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    request = replace(pki.leaf_request(), public_key=public)
    return pki.der(issue(pki.hierarchy().intermediate, request))


def bound_to_pss() -> bytes:
    """Return a certificate whose RSA key is for signatures of another scheme alone."""
    usual = bytes.fromhex("06092A864886F70D010101 0500")
    pss_of_any_kind = bytes.fromhex("06092A864886F70D01010A 3000")
    return pki.patched(pki.leaf(), usual, pss_of_any_kind)


def pss_signed() -> bytes:
    """Return a certificate that its authority signed by another scheme than all others."""
    leaf = pki.leaf()
    builder = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.issuer)
        .public_key(leaf.public_key())
        .serial_number(leaf.serial_number)
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
    )
    for extension in leaf.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    key = pki.hierarchy().intermediate.key
    return pki.der(builder.sign(key, hashes.SHA256(), rsa_padding=scheme))


def self_signed() -> bytes:
    """Return a certificate that its own key signed, under our intermediate's name."""
    ours = pki.hierarchy().intermediate
    request = replace(pki.leaf_request(), subject=ours.certificate.subject)
    return pki.der(issue(replace(ours, key=pki.key("leaf")), request))


# Authorities that are trusted, and yet no path may go through them.


@cache
def future_hierarchy() -> Hierarchy:
    """Return our root over an intermediate that is valid from tomorrow."""
    return _with_intermediate_since(pki.NOW + timedelta(days=1))


@cache
def expired_hierarchy() -> Hierarchy:
    """Return our root over an intermediate that expired an hour ago."""
    return _with_intermediate_since(pki.NOW.replace(year=pki.NOW.year - 20) - timedelta(hours=1))


@cache
def elementary_hierarchy() -> Hierarchy:
    """Return the family for keys that need no card."""
    return pki.hierarchy(replace(pki.NAMES, gamme=Gamme.ELEMENTAIRE), keys="elementary")


@cache
def constrained_hierarchy() -> Hierarchy:
    """Return our root over an intermediate that may certify nobody in France."""
    ours = pki.hierarchy()
    key = pki.key("constrained intermediate")
    france = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")])
    request = LeafRequest(
        holder=pki.DOCTOR,
        subject=ours.intermediate.certificate.subject,
        public_key=key.public_key(),
        card_number=pki.CARD_NUMBER,
        not_before=pki.AUTHORITIES_SINCE,
        not_after=pki.AUTHORITIES_SINCE.replace(year=2040),
        omitted=frozenset({x509.ExtendedKeyUsage.oid, x509.SubjectAlternativeName.oid}),
        replaced=(
            critical(x509.BasicConstraints(ca=True, path_length=0)),
            critical(pki.AUTHORITY_KEY_USAGE),
            critical(x509.NameConstraints(None, [x509.DirectoryName(france)])),
        ),
    )
    intermediate = replace(ours.intermediate, certificate=issue(ours.root, request), key=key)
    return Hierarchy(root=ours.root, intermediate=intermediate)


def _with_intermediate_since(start: datetime) -> Hierarchy:
    root = pki.hierarchy().root
    key = pki.key("untimely intermediate")
    intermediate = create_intermediate(root, now=start, names=pki.NAMES, key=key)
    return Hierarchy(root=root, intermediate=intermediate)


@cache
def _curve_key(name: str) -> ec.EllipticCurvePrivateKey:
    curves = {curve.name: curve for curve in (ec.SECP256R1(), ec.SECP256K1())}
    return ec.generate_private_key(curves[name])


def _encoded(oid: x509.ObjectIdentifier) -> bytes:
    return der.object_identifier(oid.dotted_string)


# Subjects.


def named(*attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    """Return a certificate whose subject has these attributes behind the country, one an RDN."""
    names = [
        x509.NameAttribute(oid, value) for oid, value in ((NameOID.COUNTRY_NAME, "FR"), *attributes)
    ]
    return with_subject(x509.Name(names))


def with_numbers(*numbers: str) -> bytes:
    """Return a certificate whose subject has these numbers for its holder."""
    common_names = ((NameOID.COMMON_NAME, number) for number in numbers)
    holder = pki.DOCTOR
    return named(
        (NameOID.TITLE, holder.title),
        (NameOID.GIVEN_NAME, holder.given_name),
        *common_names,
        (NameOID.SURNAME, holder.family_name),
    )


def with_family_name(name: str) -> bytes:
    """Return a certificate for a doctor of that name."""
    return pki.der(pki.leaf(replace(pki.DOCTOR, family_name=name)))


def with_subject(subject: x509.Name) -> bytes:
    """Return a certificate with this subject."""
    request = replace(pki.leaf_request(), subject=subject)
    return pki.der(issue(pki.hierarchy().intermediate, request))
