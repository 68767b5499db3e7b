"""Test certificates at a fixed clock: keys are made once per session and shared.

The clock stands at :data:`NOW`. Keys have 2048 bits, also those of authorities, because the real
length takes seconds; ``tests/unit/cps/issuer/test_hierarchy.py`` builds the real one.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cps import tlv
from cps.issuer.crl import (
    ListRequest,
    Revocation,
    encode_entries,
    made_up_serials,
    make_crl,
    packed_entries,
    sign_list,
)
from cps.issuer.hierarchy import (
    Authority,
    AuthorityNames,
    Gamme,
    Hierarchy,
    HierarchyKeys,
    Population,
    create_hierarchy,
    create_intermediate,
)
from cps.issuer.leaf import (
    CARD_TYPE_CPE,
    CARD_TYPE_CPS,
    CATEGORY_TEST_CARD,
    TOKEN_PREFIX,
    Holder,
    LeafRequest,
    Purpose,
    Structure,
    issue,
)
from cps.issuer.numbers import rpps_national_id
from cps.issuer.profiles import Support

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AUTHORITIES_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
CARDS_SINCE = NOW - timedelta(days=100)
CARD_NUMBER = "2899000001"

NAMES = AuthorityNames()
PRODUCTION_LOOKING_NAMES = AuthorityNames(
    organisation="AGENCE IMAGINAIRE", unit="IGC-IMAGINAIRE", prefix=""
)
"""Names without the word TEST: a test card under them must still be refused in production."""

DOCTOR = Holder(
    national_id=rpps_national_id("9990000001"),
    family_name="EXEMPLE",
    given_name="CAMILLE",
    title="Médecin",
    profession=10,
)
NURSE = Holder(
    national_id="00B9900001",
    family_name="MODELE-DUPONT",
    given_name="ÉLODIE",
    title="Infirmier",
    profession=60,
)
CLERK = Holder(
    national_id="30B9900001/CPET0001",
    family_name="ACCUEIL",
    given_name="SACHA",
    title="Personnel santé ou social",
    profession=None,
    structure=Structure(county="Paris (75)", name="HOPITAL IMAGINAIRE", number="10B9900001"),
)
SPECIALIST = replace(
    DOCTOR,
    national_id=rpps_national_id("9990000002"),
    family_name="SPECIMEN",
    specialities=("SM36", "SM54"),
)
STUDENT = Holder(
    national_id=rpps_national_id("9990000003"),
    family_name="APPRENTI",
    given_name="NOÉ",
    title="Médecin en formation",
    profession=None,
    future_profession=10,
)
HELPER = replace(
    CLERK, national_id="30B9900001/CPAT0001", family_name="SOUTIEN", title="Personnel autorisé"
)
"""Holder of a CPA."""


AUTHORITY_KEY_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)

_SHA256_WITH_RSA = bytes.fromhex("06092A864886F70D01010B 0500")
_SHA1_WITH_RSA = bytes.fromhex("06092A864886F70D010105 0500")


@cache
def key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the session's RSA key of that name and length."""
    return rsa.generate_private_key(65537, bits)


@cache
def hierarchy(names: AuthorityNames = NAMES, *, keys: str = "ours") -> Hierarchy:
    """Return a root and intermediate valid since :data:`AUTHORITIES_SINCE`.

    :param keys: which set of keys; another word gives another hierarchy under the same names.
    """
    return create_hierarchy(
        now=AUTHORITIES_SINCE,
        names=names,
        keys=HierarchyKeys(root=key(f"{keys} root"), intermediate=key(f"{keys} intermediate")),
    )


def foreign_hierarchy() -> Hierarchy:
    """Return one with the same names as ours and other keys."""
    return hierarchy(keys="foreign")


def production_looking_hierarchy() -> Hierarchy:
    """Return one whose names do not say that it is for tests."""
    return hierarchy(PRODUCTION_LOOKING_NAMES, keys="production-looking")


def standard_hierarchy() -> Hierarchy:
    """Return the family STANDARD, under which CPE cards are issued."""
    return hierarchy(replace(NAMES, gamme=Gamme.STANDARD), keys="standard")


def organisations_authority() -> Authority:
    """Return the intermediate for organisations under our own root."""
    return sibling_intermediate(replace(NAMES, population=Population.ORGANISATIONS))


@cache
def sibling_intermediate(names: AuthorityNames = NAMES) -> Authority:
    """Return another intermediate under our own root: the same name by default, another key."""
    return create_intermediate(
        hierarchy().root, now=AUTHORITIES_SINCE, names=names, key=key("sibling intermediate")
    )


def subordinate_authority() -> Authority:
    """Return a third authority, under our intermediate, whose path length forbids it."""
    own_key = key("subordinate authority")
    certificate = leaf(
        leaf_key=own_key,
        extensions=(
            extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
            extension(AUTHORITY_KEY_USAGE, critical=True),
        ),
        without=(x509.ExtendedKeyUsage.oid,),
    )
    return replace(hierarchy().intermediate, certificate=certificate, key=own_key)


def leaf_request(
    holder: Holder = DOCTOR,
    *,
    leaf_key: rsa.RSAPrivateKey | None = None,
    purpose: Purpose = Purpose.AUTHENTICATION,
    category: int = CATEGORY_TEST_CARD,
    card_type: int | None = None,
    card_number: str = CARD_NUMBER,
    token_prefix: str = TOKEN_PREFIX,
    not_before: datetime = CARDS_SINCE,
    not_after: datetime | None = None,
    serial: int | None = None,
    without: Iterable[x509.ObjectIdentifier] = (),
    extensions: Iterable[x509.Extension[x509.ExtensionType]] = (),
) -> LeafRequest:
    """Return a request for a good certificate, but for what the caller changes.

    :param leaf_key: ``key("leaf")`` where absent.
    :param card_type: the one that fits the holder where absent.
    :param without: extensions to leave out.
    :param extensions: extensions to use in place of the usual ones, or to add.
    """
    fitting_type = CARD_TYPE_CPS if holder.structure is None else CARD_TYPE_CPE
    return LeafRequest(
        holder=holder,
        public_key=(leaf_key or key("leaf")).public_key(),
        card_number=card_number,
        not_before=not_before,
        not_after=not_after,
        purpose=purpose,
        category=category,
        card_type=fitting_type if card_type is None else card_type,
        token_prefix=token_prefix,
        serial=serial,
        omitted=frozenset(without),
        replaced=tuple(extensions),
    )


def leaf(
    holder: Holder = DOCTOR,
    *,
    issuer: Authority | None = None,
    leaf_key: rsa.RSAPrivateKey | None = None,
    purpose: Purpose = Purpose.AUTHENTICATION,
    category: int = CATEGORY_TEST_CARD,
    card_type: int | None = None,
    card_number: str = CARD_NUMBER,
    token_prefix: str = TOKEN_PREFIX,
    not_before: datetime = CARDS_SINCE,
    not_after: datetime | None = None,
    serial: int | None = None,
    without: Iterable[x509.ObjectIdentifier] = (),
    extensions: Iterable[x509.Extension[x509.ExtensionType]] = (),
) -> x509.Certificate:
    """Return a certificate issued by *issuer*, our intermediate where absent.

    The other parameters are those of :func:`leaf_request`.
    """
    request = leaf_request(
        holder,
        leaf_key=leaf_key,
        purpose=purpose,
        category=category,
        card_type=card_type,
        card_number=card_number,
        token_prefix=token_prefix,
        not_before=not_before,
        not_after=not_after,
        serial=serial,
        without=without,
        extensions=extensions,
    )
    return issue(issuer or hierarchy().intermediate, request)


def support(
    leaf_key: rsa.RSAPrivateKey | None = None,
    *,
    purpose: Purpose = Purpose.AUTHENTICATION,
    number: str = CARD_NUMBER,
    real: bool = False,
) -> Support:
    """Return what :mod:`cps.issuer.profiles` wants to know of a card.

    :param leaf_key: ``key("leaf")`` where absent.
    """
    return Support(
        public_key=(leaf_key or key("leaf")).public_key(),
        number=number,
        not_before=CARDS_SINCE,
        purpose=purpose,
        real=real,
    )


def crl(
    *revoked: x509.Certificate,
    issuer: Authority | None = None,
    number: int = 1,
    this_update: datetime = NOW - timedelta(hours=5),
    next_update: datetime = NOW + timedelta(days=2),
    reason: x509.ReasonFlags | None = None,
) -> x509.CertificateRevocationList:
    """Return the list of *issuer*, our intermediate where absent, with *revoked* in it."""
    return make_crl(
        issuer or hierarchy().intermediate,
        number=number,
        this_update=this_update,
        next_update=next_update,
        revoked=[
            Revocation(
                serial=certificate.serial_number,
                revoked_at=this_update - timedelta(hours=1),
                reason=reason,
            )
            for certificate in revoked
        ],
    )


def delta_crl(
    *changed: x509.Certificate,
    issuer: Authority | None = None,
    number: int = 2,
    base_number: int = 1,
    this_update: datetime = NOW - timedelta(hours=1),
    next_update: datetime = NOW + timedelta(days=1),
    reason: x509.ReasonFlags | None = None,
) -> x509.CertificateRevocationList:
    """Return the list of what changed since the complete list *base_number*.

    :param issuer: our intermediate where absent.
    :param reason: ``remove_from_crl`` for certificates whose hold was lifted.
    """
    request = ListRequest(
        number=number,
        base_number=base_number,
        this_update=this_update,
        next_update=next_update,
        entries=_entries(changed, this_update, reason),
    )
    return x509.load_der_x509_crl(sign_list(issuer or hierarchy().intermediate, request))


def big_crl(
    count: int,
    *revoked: x509.Certificate,
    issuer: Authority | None = None,
    number: int = 1,
    this_update: datetime = NOW - timedelta(hours=5),
    next_update: datetime = NOW + timedelta(days=2),
) -> bytes:
    """Return the DER of a list with *count* made-up entries and, amid them, *revoked*.

    A million entries take a second; each has a serial number of 16 bytes and a reason.
    """
    revoked_at = this_update - timedelta(hours=1)
    reason = x509.ReasonFlags.cessation_of_operation
    serials = made_up_serials(count)
    first, second = (
        packed_entries(part, revoked_at=revoked_at, reason=reason)
        for part in (serials[: count // 2], serials[count // 2 :])
    )
    request = ListRequest(
        number=number,
        this_update=this_update,
        next_update=next_update,
        entries=first + _entries(revoked, this_update, reason) + second,
    )
    return sign_list(issuer or hierarchy().intermediate, request)


def _entries(
    certificates: Iterable[x509.Certificate],
    this_update: datetime,
    reason: x509.ReasonFlags | None,
) -> bytes:
    return encode_entries(
        Revocation(
            serial=certificate.serial_number,
            revoked_at=this_update - timedelta(hours=1),
            reason=reason,
        )
        for certificate in certificates
    )


def extension(
    value: x509.ExtensionType, *, critical: bool = False
) -> x509.Extension[x509.ExtensionType]:
    """Return *value* as an extension for :func:`leaf`."""
    return x509.Extension(value.oid, critical, value)


def patched(
    certificate: x509.Certificate, old: bytes, new: bytes, *, issuer: Authority | None = None
) -> bytes:
    """Return DER in which *old* became *new*, signed again, for what no builder would make.

    :param old: occurs once in the part that is signed, or more often if all are meant.
    :param new: as long as *old*, so that every length around it stays true.
    :raises ValueError: where *old* is not there or *new* has another length.
    """
    if len(old) != len(new) or old not in certificate.tbs_certificate_bytes:
        raise ValueError("the bytes to replace must be there, and the new ones as many")
    tbs = certificate.tbs_certificate_bytes.replace(old, new)
    return _signed(tbs, tlv.encode(0x30, _SHA256_WITH_RSA), hashes.SHA256(), issuer)


def sha1_signed(certificate: x509.Certificate, *, issuer: Authority | None = None) -> bytes:
    """Return DER of the same certificate with a good signature that uses SHA-1."""
    tbs = certificate.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    return _signed(tbs, tlv.encode(0x30, _SHA1_WITH_RSA), hashes.SHA1(), issuer)  # noqa: S303 - to be refused


def _signed(
    tbs: bytes, algorithm: bytes, digest: hashes.HashAlgorithm, issuer: Authority | None
) -> bytes:
    signer = (issuer or hierarchy().intermediate).key
    signature = signer.sign(tbs, padding.PKCS1v15(), digest)
    return tlv.encode(0x30, tbs, algorithm, tlv.encode(0x03, b"\x00", signature))


def der(value: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """Return the DER bytes of *value*."""
    return value.public_bytes(Encoding.DER)


def pem(value: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """Return *value* as PEM."""
    return value.public_bytes(Encoding.PEM)
