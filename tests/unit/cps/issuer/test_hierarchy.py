from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from cps import tlv
from cps.issuer.hierarchy import (
    Gamme,
    Hierarchy,
    HierarchyKeys,
    Population,
    create_hierarchy,
    years_later,
)
from tests.support import pki
from tests.support.shared import shared_file


@cache
def real_length() -> Hierarchy:
    """Return a hierarchy with keys as long as the real ones, made once for this module."""
    return create_hierarchy(now=pki.NOW)


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def profile(certificate: x509.Certificate) -> list[tuple[str, bool]]:
    return [(ext.oid.dotted_string, ext.critical) for ext in certificate.extensions]


def name_types(name: x509.Name) -> list[tuple[str, int]]:
    """Return type and string tag of each attribute: 0x13 PrintableString, 0x0C UTF8String."""
    types = []
    for rdn in tlv.read(name.public_bytes())[0].children():
        for attribute in rdn.children():
            kind, text = attribute.children()
            types.append((kind.value.hex(), text.tag))
    return types


def test_both_authorities_have_rsa_4096_keys_and_sha256_signatures() -> None:
    for authority in (real_length().root, real_length().intermediate):
        public_key = authority.certificate.public_key()
        assert isinstance(public_key, rsa.RSAPublicKey)
        assert public_key.key_size == 4096
        assert public_key.public_numbers().e == 65537
        assert isinstance(authority.certificate.signature_hash_algorithm, hashes.SHA256)


def test_root_signs_itself_and_the_intermediate() -> None:
    ours = pki.hierarchy()
    ours.root.certificate.verify_directly_issued_by(ours.root.certificate)
    ours.intermediate.certificate.verify_directly_issued_by(ours.root.certificate)


def test_names_say_that_this_is_a_test_and_are_not_the_national_ones() -> None:
    for authority in (pki.hierarchy().root, pki.hierarchy().intermediate):
        subject = authority.certificate.subject.rfc4514_string()
        assert common_name(authority.certificate).startswith("TEST AC ")
        assert "ASIP" not in subject
        assert "IGC-SANTE" not in subject


def test_country_is_a_printable_string_and_the_rest_is_utf8() -> None:
    types = name_types(pki.hierarchy().intermediate.certificate.subject)
    assert [tag for _, tag in types] == [0x13, 0x0C, 0x0C, 0x0C, 0x0C]


def test_path_ends_at_the_intermediate() -> None:
    constraints = [
        authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        for authority in (pki.hierarchy().root, pki.hierarchy().intermediate)
    ]
    assert [extension.critical for extension in constraints] == [True, True]
    assert [extension.value.path_length for extension in constraints] == [None, 0]


def test_key_usage_is_to_sign_certificates_and_lists_and_nothing_else() -> None:
    for authority in (pki.hierarchy().root, pki.hierarchy().intermediate):
        usage = authority.certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert usage.value == pki.AUTHORITY_KEY_USAGE


def test_only_the_intermediate_says_where_it_could_be_revoked() -> None:
    ours = pki.hierarchy()
    points = ours.intermediate.certificate.extensions.get_extension_for_class(
        x509.CRLDistributionPoints
    )
    first = points.value[0].full_name
    assert first is not None
    assert first[0].value == "http://igc-simulateur.localhost/CRL/ACR-FO-TEST.crl"
    with pytest.raises(x509.ExtensionNotFound):
        ours.root.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)


def test_every_address_points_to_a_host_that_cannot_exist() -> None:
    for addresses in (pki.hierarchy().root.addresses, pki.hierarchy().intermediate.addresses):
        urls = (
            *addresses.crl,
            *addresses.delta_crl,
            addresses.ocsp,
            addresses.certificate,
            addresses.policy,
        )
        assert all("igc-simulateur.localhost" in url.split("/")[2] for url in urls)


def test_valid_for_twenty_years_from_the_given_second() -> None:
    certificate = real_length().intermediate.certificate
    assert certificate.not_valid_before_utc == pki.NOW
    assert certificate.not_valid_after_utc == datetime(2046, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("gamme", Gamme, ids=lambda gamme: gamme.name)
@pytest.mark.parametrize("population", Population, ids=lambda population: population.name)
def test_names_and_addresses_follow_family_and_population(
    gamme: Gamme, population: Population
) -> None:
    names = replace(pki.NAMES, gamme=gamme, population=population)
    assert names.intermediate_common_name == f"TEST AC SIMULATEUR {gamme.name} {population.name}"
    assert (
        names.intermediate_addresses()
        .crl[0]
        .endswith(f"/CRL/ACI-{gamme.value}-{population.value}-TEST.crl")
    )


def test_production_looking_names_have_no_mark_of_a_test() -> None:
    hierarchy = pki.production_looking_hierarchy()
    for authority in (hierarchy.root, hierarchy.intermediate):
        assert "TEST" not in authority.certificate.subject.rfc4514_string()
        assert "TEST" not in "".join(authority.addresses.crl)


def test_foreign_hierarchy_has_our_names_but_not_our_keys() -> None:
    ours, foreign = pki.hierarchy(), pki.foreign_hierarchy()
    assert foreign.intermediate.certificate.subject == ours.intermediate.certificate.subject
    with pytest.raises(InvalidSignature):
        foreign.intermediate.certificate.verify_directly_issued_by(ours.root.certificate)


def test_subordinate_authority_breaks_the_path_length() -> None:
    below = pki.subordinate_authority()
    below.certificate.verify_directly_issued_by(pki.hierarchy().intermediate.certificate)
    constraints = below.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value.ca


def test_serial_numbers_have_18_bytes_and_differ() -> None:
    serials = {
        authority.certificate.serial_number
        for authority in (pki.hierarchy().root, pki.hierarchy().intermediate)
    }
    assert len(serials) == 2
    assert all(serial.to_bytes(18, "big")[:2] == b"\x11\x20" for serial in serials)


def test_microseconds_of_the_clock_do_not_reach_the_certificate() -> None:
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("leaf"))
    made = create_hierarchy(now=pki.NOW + timedelta(microseconds=999_999), keys=keys)
    assert made.root.certificate.not_valid_before_utc == pki.NOW


def test_years_later_keeps_the_day_and_the_second() -> None:
    assert years_later(pki.NOW, 3) == datetime(2029, 11, 23, 12, tzinfo=UTC)


def test_years_later_of_a_leap_day_is_the_28th() -> None:
    assert years_later(datetime(2028, 2, 29, 8, tzinfo=UTC), 3) == datetime(
        2031, 2, 28, 8, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("file", "level"),
    [
        pytest.param("certs/ACR_FORT_20130625.cer", "root", id="root"),
        pytest.param("certs/AC_FORT_PERSONNES_20130625.cer", "intermediate", id="intermediate"),
    ],
)
def test_same_shape_as_the_real_authority(file: str, level: str) -> None:
    real = x509.load_der_x509_certificate(shared_file(file).read_bytes())
    ours = getattr(real_length(), level).certificate
    assert profile(ours) == profile(real)
    assert name_types(ours.subject) == name_types(real.subject)
    assert ours.signature_algorithm_oid == real.signature_algorithm_oid
    assert len(ours.signature) == len(real.signature)
    for extension in (x509.BasicConstraints, x509.KeyUsage):
        assert (
            ours.extensions.get_extension_for_class(extension).value.public_bytes()
            == real.extensions.get_extension_for_class(extension).value.public_bytes()
        )
