"""Certificates of which each must be refused, with the code of the refusal.

They are judged at :data:`tests.support.pki.NOW`, with the authorities of
:attr:`NegativeLeaf.pinned` trusted, the policy of test cards demanded and nothing revoked.
:data:`tests.support.good_leaves.GOOD` are accepted then: who refuses everything fails on them.

``rows`` are those of the project's list of tests. Not here: rows 41 to 45, which are about the
token's JSON, and 71, 76, 82, 85 and 86, which are about the authorities that are configured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cps import tlv
from cps.authtoken.codes import ErrorCode
from cps.issuer import der, oids, profiles
from cps.issuer.extensions import UNKNOWN, AnyExtension, critical, key_usage, plain
from cps.issuer.hierarchy import Hierarchy
from cps.issuer.leaf import Purpose, card_category, card_type, profession
from tests.support import pki, strange_leaves

ABSENT_POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.32473.3")
"""A policy that nobody demands: its arc is reserved for examples (RFC 5612)."""
SECOND = timedelta(seconds=1)
_NUMBER = (NameOID.COMMON_NAME, pki.DOCTOR.national_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativeLeaf:
    """One certificate that must not let anybody in."""

    name: str
    rows: tuple[int, ...]
    code: ErrorCode
    build: Callable[[], bytes]
    """Returns what stands in the certificate's place, mostly DER."""
    environment: Literal["production", "test"] = "test"
    pinned: Callable[[], Hierarchy] = pki.hierarchy
    """The authorities that are trusted."""
    by_rules: bool = False
    """Whether the card is good and only the portal's rules refuse it: CPS cards alone come in."""


def _leaf(*extensions: AnyExtension, without: x509.ObjectIdentifier | None = None) -> bytes:
    omitted = () if without is None else (without,)
    return pki.der(pki.leaf(extensions=extensions, without=omitted))


def _purposes(*purposes: x509.ObjectIdentifier) -> bytes:
    return _leaf(plain(x509.ExtendedKeyUsage(purposes)))


def _policy(policy: x509.ObjectIdentifier) -> bytes:
    return _leaf(plain(x509.CertificatePolicies([x509.PolicyInformation(policy, None)])))


def _raw(oid: x509.ObjectIdentifier, content: bytes) -> bytes:
    """Return a leaf with this content in one of the private extensions."""
    return _leaf(plain(x509.UnrecognizedExtension(oid, content)))


def _own_key_identifier() -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(pki.key("leaf").public_key())


def _text(number: str) -> bytes:
    return tlv.encode(0x13, number.encode())


def _malformed(name: str, row: int, build: Callable[[], bytes], *other_rows: int) -> NegativeLeaf:
    return NegativeLeaf(
        name=name, rows=(row, *other_rows), code=ErrorCode.CERT_MALFORMED, build=build
    )


def _purpose(name: str, row: int, build: Callable[[], bytes]) -> NegativeLeaf:
    return NegativeLeaf(name=name, rows=(row,), code=ErrorCode.CERT_PURPOSE, build=build)


def _untrusted(
    name: str,
    row: int,
    build: Callable[[], bytes],
    *,
    pinned: Callable[[], Hierarchy] = pki.hierarchy,
) -> NegativeLeaf:
    return NegativeLeaf(
        name=name, rows=(row,), code=ErrorCode.CERT_UNTRUSTED, build=build, pinned=pinned
    )


def _type(name: str, row: int, build: Callable[[], bytes]) -> NegativeLeaf:
    return NegativeLeaf(name=name, rows=(row,), code=ErrorCode.CERT_TYPE, build=build)


def _policy_refused(name: str, row: int, build: Callable[[], bytes]) -> NegativeLeaf:
    return NegativeLeaf(name=name, rows=(row,), code=ErrorCode.CERT_POLICY, build=build)


def _usage(name: str, usage: x509.KeyUsage) -> NegativeLeaf:
    return _purpose(name, 58, lambda: _leaf(critical(usage)))


def _token(name: str, number: str) -> NegativeLeaf:
    return _type(name, 66, lambda: _raw(oids.TOKEN_ID, _text(number)))


def _unreadable(name: str, oid: x509.ObjectIdentifier, content: bytes) -> NegativeLeaf:
    return _malformed(name, 50, lambda: _raw(oid, content))


def _incomplete(name: str, *attributes: tuple[x509.ObjectIdentifier, str]) -> NegativeLeaf:
    return _type(name, 52, lambda: strange_leaves.named(*attributes))


def _numbered(name: str, *numbers: str) -> NegativeLeaf:
    return _malformed(name, 53, lambda: strange_leaves.with_numbers(*numbers))


def _family_name(name: str, text: str) -> NegativeLeaf:
    return _malformed(name, 54, lambda: strange_leaves.with_family_name(text))


FORM: tuple[NegativeLeaf, ...] = (
    _malformed("nothing", 42, lambda: b""),
    _malformed("text", 46, lambda: b"no certificate"),
    _malformed("revocation list", 46, lambda: pki.der(pki.crl())),
    _malformed("PEM", 47, lambda: pki.pem(pki.leaf())),
    _malformed("trailing byte", 48, lambda: _leaf() + b"\x00"),
    _malformed("two certificates", 49, lambda: _leaf() + _leaf()),
    _malformed("truncated", 50, lambda: _leaf()[:-1]),
    _malformed("BER, long length", 50, strange_leaves.long_length),
    _malformed("BER, indefinite length", 50, strange_leaves.indefinite_length),
    _malformed("T61String", 51, strange_leaves.teletex_name),
    _malformed("extension twice", 55, strange_leaves.duplicate_extension),
    _malformed("negative serial number", 56, strange_leaves.negative_serial),
    _malformed("serial number 0", 56, strange_leaves.serial_zero),
    _malformed("version 2", 46, strange_leaves.version_2),
    _malformed("end in the year 0", 46, strange_leaves.ends_in_the_year_0),
)
"""What is no certificate in DER."""

USE: tuple[NegativeLeaf, ...] = (
    _purpose("no key usage", 57, lambda: _leaf(without=x509.KeyUsage.oid)),
    _usage("may encipher keys", key_usage(key_encipherment=True)),
    _usage("may sign documents too", key_usage(digital_signature=True, content_commitment=True)),
    _usage("may sign certificates too", key_usage(digital_signature=True, key_cert_sign=True)),
    _usage("may sign lists too", key_usage(digital_signature=True, crl_sign=True)),
    _purpose("purpose of a web server", 58, lambda: _purposes(ExtendedKeyUsageOID.SERVER_AUTH)),
    _purpose(
        "any purpose and no other",
        58,
        lambda: _purposes(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
    ),
    _purpose("logon without client", 58, lambda: _purposes(ExtendedKeyUsageOID.SMARTCARD_LOGON)),
    _purpose("no purpose", 61, lambda: _leaf(without=x509.ExtendedKeyUsage.oid)),
    _purpose("signature key", 62, lambda: pki.der(pki.leaf(purpose=Purpose.SIGNATURE))),
    _purpose("key without PIN", 67, lambda: pki.der(pki.leaf(purpose=Purpose.TECHNICAL))),
    _purpose("organisation", 64, lambda: strange_leaves.organisation(pki.hierarchy().intermediate)),
    _purpose("intermediate", 65, lambda: pki.der(pki.hierarchy().intermediate.certificate)),
    _purpose("root", 65, lambda: pki.der(pki.hierarchy().root.certificate)),
    _purpose(
        "authority in all but name",
        65,
        lambda: _leaf(critical(x509.BasicConstraints(ca=True, path_length=None))),
    ),
)
"""Keys that are not for logging in."""

POLICY: tuple[NegativeLeaf, ...] = (
    _policy_refused("other policy", 59, lambda: _policy(ABSENT_POLICY)),
    _policy_refused("no policy", 60, lambda: _leaf(without=x509.CertificatePolicies.oid)),
)
"""Certificates issued under other rules than those demanded."""

PATH: tuple[NegativeLeaf, ...] = (
    NegativeLeaf(
        name="valid from the next second",
        rows=(72,),
        code=ErrorCode.CERT_NOT_YET,
        build=lambda: pki.der(pki.leaf(not_before=pki.NOW + SECOND)),
    ),
    NegativeLeaf(
        name="expired since a second",
        rows=(73,),
        code=ErrorCode.CERT_EXPIRED,
        build=lambda: pki.der(pki.leaf(not_after=pki.NOW - SECOND)),
    ),
    NegativeLeaf(
        name="expired, with a key on a curve",
        rows=(73,),
        code=ErrorCode.CERT_EXPIRED,
        build=lambda: strange_leaves.on_curve(ec.SECP256R1(), not_after=pki.NOW - SECOND),
    ),
    _untrusted("RSA-1024", 63, lambda: pki.der(pki.leaf(leaf_key=pki.key("weak leaf", 1024)))),
    _untrusted("SHA-1", 63, lambda: pki.sha1_signed(pki.leaf())),
    _untrusted("exponent 3", 63, lambda: strange_leaves.with_exponent(3)),
    _untrusted("key for PSS", 63, strange_leaves.bound_to_pss),
    _untrusted("signed by PSS", 63, strange_leaves.pss_signed),
    _untrusted("curve of coins", 63, lambda: strange_leaves.on_curve(ec.SECP256K1())),
    _untrusted("signature changed", 77, strange_leaves.changed_signature),
    _untrusted("content changed", 77, strange_leaves.changed_content),
    _untrusted("unknown critical extension", 68, lambda: _leaf(critical(UNKNOWN))),
    _untrusted(
        "constrains names",
        69,
        lambda: _leaf(critical(x509.NameConstraints([x509.DNSName("example.org")], None))),
    ),
    _untrusted(
        "names that its authority may not give",
        69,
        lambda: strange_leaves.issued_by(strange_leaves.constrained_hierarchy()),
        pinned=strange_leaves.constrained_hierarchy,
    ),
    _untrusted(
        "third level",
        69,
        lambda: pki.der(pki.leaf(issuer=pki.subordinate_authority())),
    ),
    _untrusted(
        "authority not valid yet",
        74,
        lambda: strange_leaves.issued_by(strange_leaves.future_hierarchy()),
        pinned=strange_leaves.future_hierarchy,
    ),
    _untrusted(
        "authority expired",
        75,
        lambda: strange_leaves.issued_by(strange_leaves.expired_hierarchy()),
        pinned=strange_leaves.expired_hierarchy,
    ),
    _untrusted(
        "authority that nobody knows",
        77,
        lambda: strange_leaves.issued_by(pki.production_looking_hierarchy()),
    ),
    _untrusted(
        "our names, other keys", 77, lambda: strange_leaves.issued_by(pki.foreign_hierarchy())
    ),
    _untrusted("signed by itself", 78, strange_leaves.self_signed),
    _untrusted("issued by the root", 80, lambda: pki.der(pki.leaf(issuer=pki.hierarchy().root))),
    _untrusted(
        "authority of our name under our root",
        81,
        lambda: pki.der(pki.leaf(issuer=pki.sibling_intermediate())),
    ),
    _untrusted(
        "authority for organisations",
        84,
        lambda: pki.der(pki.leaf(issuer=pki.organisations_authority())),
    ),
    _untrusted(
        "family ÉLÉMENTAIRE",
        84,
        lambda: strange_leaves.issued_by(strange_leaves.elementary_hierarchy()),
    ),
    _untrusted(
        "points to no key of its issuer",
        81,
        lambda: _leaf(without=x509.AuthorityKeyIdentifier.oid),
    ),
    _untrusted("points to another key", 81, lambda: _leaf(plain(_own_key_identifier()))),
    _untrusted("a list of no names", 50, lambda: _leaf(plain(x509.SubjectAlternativeName([])))),
)
"""Certificates that no path leads to."""

CARD: tuple[NegativeLeaf, ...] = (
    NegativeLeaf(
        name="test card in production",
        rows=(83,),
        code=ErrorCode.CERT_TYPE,
        build=lambda: strange_leaves.issued_by(pki.production_looking_hierarchy()),
        environment="production",
        pinned=pki.production_looking_hierarchy,
    ),
    _type("real card among tests", 83, lambda: _leaf(plain(card_category(0x00)))),
    _type("software for tests", 67, lambda: _leaf(plain(card_category(0x83)))),
    _type("software", 67, lambda: _leaf(plain(card_category(0x03)))),
    _type("module for tests", 67, lambda: _leaf(plain(card_category(0x82)))),
    _type("module", 67, lambda: _leaf(plain(card_category(0x02)))),
    _type("no category", 66, lambda: _leaf(without=oids.CARD_CATEGORY)),
    _type("two categories", 66, lambda: _raw(oids.CARD_CATEGORY, der.octet_string(b"\x80\x00"))),
    _type("no card type", 66, lambda: _leaf(without=oids.CARD_TYPE)),
    _type("card type 4", 66, lambda: _leaf(plain(card_type(4)))),
    _type("card type -1", 66, lambda: _leaf(plain(card_type(-1)))),
    _type("no token id", 66, lambda: _leaf(without=oids.TOKEN_ID)),
    _token("other issuer's token", "8025000002/2899000001"),
    _token("card number of 9 digits", "8025000001/289900001"),
    _type("CPS without profession", 66, lambda: _leaf(without=oids.PROFESSION)),
    _type("service card", 66, strange_leaves.service_card),
    NegativeLeaf(
        name="CPE with a profession",
        rows=(66,),
        code=ErrorCode.CERT_TYPE,
        build=lambda: _leaf(plain(card_type(2))),
    ),
    _unreadable("card type is a text", oids.CARD_TYPE, _text("0")),
    _unreadable("card type with a needless zero", oids.CARD_TYPE, b"\x02\x02\x00\x00"),
    _unreadable("card number and a line break", oids.TOKEN_ID, _text("8025000001/2899000001\n")),
    _unreadable("category is a number", oids.CARD_CATEGORY, der.integer(0x80)),
    _unreadable("token id in UTF-8", oids.TOKEN_ID, b"\x0c\x15" + b"8025000001/2899000001"),
    _unreadable("bytes behind the profession", oids.PROFESSION, der.integer(10) + der.null()),
    _malformed("profession -1", 50, lambda: _leaf(plain(profession(-1)))),
    _malformed("profession 1000", 50, lambda: _leaf(plain(profession(1000)))),
)
"""Certificates of the right authority that are no CPS card's, or cannot be read."""

HOLDER: tuple[NegativeLeaf, ...] = (
    _incomplete("no family name", _NUMBER, (NameOID.GIVEN_NAME, "CAMILLE")),
    _incomplete("no given name", _NUMBER, (NameOID.SURNAME, "EXEMPLE")),
    _incomplete("no number", (NameOID.GIVEN_NAME, "CAMILLE"), (NameOID.SURNAME, "EXEMPLE")),
    _numbered("two numbers", "899900000011", "899900000029"),
    _numbered("wrong check digit", "899900000012"),
    _numbered("number of another kind", "212345678901"),
    _numbered("number and more", "899900000011/X"),
    _numbered("number in other digits", "8٩٩٩00000011"),
    _numbered("number and a line break", "899900000011\n"),
    _family_name("line break in a name", "EXEMPLE\nX-CPS-Subject: 0"),
    _family_name("text from right to left in a name", "EX\u202eELPME"),
    _family_name("NUL in a name", "EXEMPLE\x00"),
    _family_name("name of 129 characters", "E" * 129),
)
"""Certificates of the right authority whose subject names nobody in the way it has to."""

RULES: tuple[NegativeLeaf, ...] = (
    NegativeLeaf(
        name="CPE",
        rows=(66,),
        code=ErrorCode.CERT_TYPE,
        build=lambda: strange_leaves.card(profiles.cpe, pki.CLERK, pki.standard_hierarchy()),
        pinned=pki.standard_hierarchy,
        by_rules=True,
    ),
    NegativeLeaf(
        name="CPA",
        rows=(66,),
        code=ErrorCode.CERT_TYPE,
        build=lambda: strange_leaves.card(profiles.cpa, pki.HELPER, pki.standard_hierarchy()),
        pinned=pki.standard_hierarchy,
        by_rules=True,
    ),
    NegativeLeaf(
        name="CPF",
        rows=(66,),
        code=ErrorCode.CERT_TYPE,
        build=lambda: strange_leaves.card(profiles.cpf, pki.STUDENT, pki.hierarchy()),
        by_rules=True,
    ),
)
"""Good cards of people for whom the portal is not."""

NEGATIVE: tuple[NegativeLeaf, ...] = (*FORM, *USE, *POLICY, *PATH, *CARD, *HOLDER, *RULES)
