from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cps.issuer import leaf as issuer_leaf
from cps.issuer import oids
from cps.issuer.leaf import Holder, Purpose, Structure
from tests.support import pki
from tests.support.shared import shared_file


def private(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    value = certificate.extensions.get_extension_for_oid(oid).value
    assert isinstance(value, x509.UnrecognizedExtension)
    return value.value.hex()


def encoded(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> str:
    return certificate.extensions.get_extension_for_class(kind).value.public_bytes().hex()


def profile(certificate: x509.Certificate) -> list[tuple[str, bool]]:
    return [(ext.oid.dotted_string, ext.critical) for ext in certificate.extensions]


def test_last_rdn_of_the_subject_holds_given_name_number_and_family_name() -> None:
    rdns = list(pki.leaf().subject.rdns)
    assert [len(rdn) for rdn in rdns] == [1, 1, 3]
    person = {attribute.oid: attribute.value for attribute in rdns[-1]}
    assert person == {
        NameOID.GIVEN_NAME: "CAMILLE",
        NameOID.COMMON_NAME: "899900000011",
        NameOID.SURNAME: "EXEMPLE",
    }


@pytest.mark.parametrize(
    ("given_name", "family_name", "order"),
    [
        pytest.param("LEA", "MARTIN-DE-LA-TOUR", "GN CN SN", id="short given name"),
        pytest.param("ANNE-CHARLOTTE-MARIE", "LE", "SN CN GN", id="short family name"),
        pytest.param("ANNE-CHARLOTTE", "MARTIN-DE-LA-TOUR", "CN GN SN", id="both long"),
    ],
)
def test_order_inside_the_rdn_follows_the_lengths(
    given_name: str, family_name: str, order: str
) -> None:
    holder = Holder(
        national_id=pki.DOCTOR.national_id,
        given_name=given_name,
        family_name=family_name,
        title="Médecin",
        profession=10,
    )
    subject = pki.leaf(holder).subject.public_bytes()
    places = {"CN": b"\x55\x04\x03", "SN": b"\x55\x04\x04", "GN": b"\x55\x04\x2a"}
    assert " ".join(sorted(places, key=lambda name: subject.index(places[name]))) == order


def test_subject_of_an_employee_names_the_structure() -> None:
    subject = pki.leaf(pki.CLERK, issuer=pki.standard_hierarchy().intermediate).subject
    assert [next(iter(rdn)).oid for rdn in subject.rdns][:5] == [
        NameOID.COUNTRY_NAME,
        NameOID.STATE_OR_PROVINCE_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.ORGANIZATIONAL_UNIT_NAME,
        NameOID.TITLE,
    ]


def test_authentication_leaf_has_the_extensions_of_a_card_in_their_order() -> None:
    assert profile(pki.leaf()) == [
        ("2.5.29.19", False),  # basicConstraints
        ("2.5.29.14", False),  # subjectKeyIdentifier
        ("2.5.29.35", False),  # authorityKeyIdentifier
        ("2.5.29.15", True),  # keyUsage
        ("2.5.29.32", False),  # certificatePolicies
        ("2.5.29.37", False),  # extKeyUsage
        ("2.5.29.17", False),  # subjectAltName
        ("2.5.29.31", False),  # cRLDistributionPoints
        ("2.5.29.46", False),  # freshestCRL
        ("1.3.6.1.5.5.7.1.1", False),  # authorityInfoAccess
        ("1.2.250.1.71.1.2.5", False),  # category
        ("1.2.250.1.71.1.2.2", False),  # card type
        ("1.2.250.1.71.1.2.3", False),  # token id
        ("1.2.250.1.71.1.2.7", False),  # profession
    ]


def test_authentication_leaf_may_sign_challenges_and_log_on() -> None:
    certificate = pki.leaf()
    assert encoded(certificate, x509.BasicConstraints) == "3000"
    assert encoded(certificate, x509.KeyUsage) == "03020780"
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SMARTCARD_LOGON,
    ]


def test_principal_name_is_the_number_at_the_cards_domain() -> None:
    names = pki.leaf().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [name] = names.get_values_for_type(x509.OtherName)
    assert name.type_id == oids.USER_PRINCIPAL_NAME
    assert name.value == b"\x0c\x19899900000011@carte-cps.fr"


def test_signature_leaf_has_no_right_of_the_authentication_leaf() -> None:
    certificate = pki.leaf(purpose=Purpose.SIGNATURE)
    assert encoded(certificate, x509.KeyUsage) == "03020640"
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.EMAIL_PROTECTION
    ]
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_signature_leaf_may_sign_as_long_as_it_is_valid() -> None:
    certificate = pki.leaf(purpose=Purpose.SIGNATURE)
    period = certificate.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod).value
    assert period.not_before == certificate.not_valid_before_utc.replace(tzinfo=None)
    assert period.not_after == certificate.not_valid_after_utc.replace(tzinfo=None)


def test_technical_leaf_lacks_what_needs_a_pin() -> None:
    certificate = pki.leaf(purpose=Purpose.TECHNICAL)
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SMARTCARD_LOGON not in usages
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_private_extensions_have_the_types_of_real_ones() -> None:
    certificate = pki.leaf(pki.NURSE)
    assert private(certificate, oids.CARD_CATEGORY) == "040180"
    assert private(certificate, oids.CARD_TYPE) == "020100"
    assert private(certificate, oids.TOKEN_ID) == "1315" + b"8025000001/2899000001".hex()
    assert private(certificate, oids.PROFESSION) == "02013c"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(0, "020100", id="zero"),
        pytest.param(127, "02017f", id="one byte"),
        pytest.param(128, "02020080", id="top bit"),
        pytest.param(256, "02020100", id="two bytes"),
    ],
)
def test_profession_is_a_der_integer(code: int, expected: str) -> None:
    assert issuer_leaf.profession(code).value.hex() == expected


def test_addresses_are_those_of_the_issuer() -> None:
    certificate = pki.leaf()
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    urls = [point.full_name[0].value for point in points if point.full_name]
    assert urls == list(pki.hierarchy().intermediate.addresses.crl)
    assert [url.split(":")[0] for url in urls] == ["http", "ldap"]


def test_serial_number_is_positive_and_takes_sixteen_bytes() -> None:
    serials = {issuer_leaf.random_serial() for _ in range(50)}
    assert len(serials) == 50
    assert all(serial.bit_length() == 127 for serial in serials)


def test_valid_for_three_years_to_the_second() -> None:
    certificate = pki.leaf(not_before=pki.NOW + timedelta(microseconds=5))
    assert certificate.not_valid_before_utc == pki.NOW
    assert certificate.not_valid_after_utc == pki.NOW.replace(year=2029)


def test_key_of_a_card_is_rsa_2048() -> None:
    public_key = pki.leaf().public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    assert public_key.key_size == 2048


def make_expired() -> x509.Certificate:
    return pki.leaf(not_before=pki.NOW.replace(year=2022), not_after=pki.NOW.replace(year=2025))


def make_weak() -> x509.Certificate:
    return pki.leaf(leaf_key=pki.key("weak leaf", 1024))


def make_without_profession() -> x509.Certificate:
    return pki.leaf(without=[oids.PROFESSION])


def make_with_any_purpose() -> x509.Certificate:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    return pki.leaf(extensions=[pki.extension(usage)])


def make_with_unknown_critical_extension() -> x509.Certificate:
    value = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.250.1.71.1.2.99"), b"\x05\x00")
    return pki.leaf(extensions=[pki.extension(value, critical=True)])


def make_authority() -> x509.Certificate:
    return pki.subordinate_authority().certificate


@pytest.mark.parametrize(
    ("make", "is_so"),
    [
        pytest.param(make_expired, lambda leaf: leaf.not_valid_after_utc < pki.NOW, id="expired"),
        pytest.param(make_weak, lambda leaf: leaf.public_key().key_size == 1024, id="weak key"),
        pytest.param(
            make_without_profession,
            lambda leaf: oids.PROFESSION not in {ext.oid for ext in leaf.extensions},
            id="no profession",
        ),
        pytest.param(
            make_with_any_purpose,
            lambda leaf: encoded(leaf, x509.ExtendedKeyUsage) == "30060604551d2500",
            id="any purpose only",
        ),
        pytest.param(
            make_with_unknown_critical_extension,
            lambda leaf: profile(leaf)[-1] == ("1.2.250.1.71.1.2.99", True),
            id="unknown critical extension",
        ),
        pytest.param(
            make_authority,
            lambda leaf: encoded(leaf, x509.BasicConstraints) == "30030101ff",
            id="an authority",
        ),
        pytest.param(
            lambda: pki.leaf(category=0x83),
            lambda leaf: private(leaf, oids.CARD_CATEGORY) == "040183",
            id="software",
        ),
        pytest.param(
            lambda: pki.leaf(token_prefix="8025000002"),
            lambda leaf: private(leaf, oids.TOKEN_ID).startswith("1315" + b"8025000002/".hex()),
            id="other issuer's token",
        ),
    ],
)
def test_a_leaf_with_one_fault_has_that_fault_and_our_signature(
    make: Callable[[], x509.Certificate], is_so: Callable[[x509.Certificate], bool]
) -> None:
    certificate = make()
    assert is_so(certificate)
    certificate.verify_directly_issued_by(pki.hierarchy().intermediate.certificate)


def test_replaced_extension_keeps_its_place() -> None:
    changed = pki.leaf(extensions=[pki.extension(issuer_leaf.card_type(1))])
    assert profile(changed) == profile(pki.leaf())
    assert private(changed, oids.CARD_TYPE) == "020101"


def test_patched_certificate_is_still_signed_by_the_issuer() -> None:
    profession = bytes.fromhex("2A817A0147010207")
    category = bytes.fromhex("2A817A0147010205")
    twice = x509.load_der_x509_certificate(pki.patched(pki.leaf(), profession, category))
    twice.verify_directly_issued_by(pki.hierarchy().intermediate.certificate)
    with pytest.raises(x509.DuplicateExtension):
        len(twice.extensions)


REAL_CPE = "certs/test-igcsante-auth-CPE-STANDARD.pem"
REAL_SIGNATURE = "certs/test-cps-signature-INFIRMIER-2020.pem"
AGENCY_CPE = Holder(
    national_id="30B0057881/CPET0002",
    family_name="ADMINISTRATIF-CH057880002",
    given_name="CHARLES",
    title="Personnel santé ou social",
    profession=None,
    structure=Structure(county="Paris (75)", name="HOPITAL DES 3 DAMES", number="10B0057881"),
)
AGENCY_NURSE = Holder(
    national_id="00B6087510",
    family_name="INFIRMCS ADELI8751",
    given_name="OLIVIER",
    title="Infirmier",
    profession=60,
)


@pytest.mark.parametrize(
    ("file", "holder", "purpose", "card_number"),
    [
        pytest.param(
            REAL_CPE, AGENCY_CPE, Purpose.AUTHENTICATION, "2600301752", id="authentication of a CPE"
        ),
        pytest.param(
            REAL_SIGNATURE, AGENCY_NURSE, Purpose.SIGNATURE, "2800636234", id="signature of a CPS"
        ),
    ],
)
def test_same_bytes_as_the_agencys_own_test_card(
    file: str, holder: Holder, purpose: Purpose, card_number: str
) -> None:
    real = x509.load_pem_x509_certificate(shared_file(file).read_bytes())
    ours = pki.leaf(
        holder,
        purpose=purpose,
        card_number=card_number,
        not_before=real.not_valid_before_utc,
    )
    assert ours.subject.public_bytes() == real.subject.public_bytes()
    assert ours.not_valid_after_utc == real.not_valid_after_utc
    assert profile(ours) == profile(real)
    issuer_bound = {
        x509.SubjectKeyIdentifier.oid,
        x509.AuthorityKeyIdentifier.oid,
        x509.CertificatePolicies.oid,
        x509.CRLDistributionPoints.oid,
        x509.FreshestCRL.oid,
        x509.AuthorityInformationAccess.oid,
    }
    for extension in real.extensions:
        if extension.oid not in issuer_bound:
            mine = ours.extensions.get_extension_for_oid(extension.oid).value
            assert mine.public_bytes() == extension.value.public_bytes(), extension.oid
