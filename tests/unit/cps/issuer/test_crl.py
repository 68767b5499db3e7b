from dataclasses import replace
from datetime import timedelta
from time import process_time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cps import tlv
from cps.issuer.crl import (
    ListRequest,
    Revocation,
    encode_entries,
    made_up_serials,
    packed_entries,
    sign_list,
)
from tests.support import pki


def test_list_is_signed_by_the_authority_and_by_no_other() -> None:
    ours, foreign = pki.hierarchy().intermediate, pki.foreign_hierarchy().intermediate
    crl = pki.crl()
    assert crl.issuer == ours.certificate.subject
    assert crl.is_signature_valid(ours.key.public_key())
    assert not crl.is_signature_valid(foreign.key.public_key())
    assert isinstance(crl.signature_hash_algorithm, hashes.SHA256)


def test_list_is_version_2_with_number_and_key_identifier() -> None:
    crl = pki.crl(number=42)
    assert [(ext.oid, ext.critical) for ext in crl.extensions] == [
        (x509.AuthorityKeyIdentifier.oid, False),
        (x509.CRLNumber.oid, False),
    ]
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 42


def test_times_are_those_given_without_microseconds() -> None:
    crl = pki.crl(
        this_update=pki.NOW + timedelta(microseconds=7),
        next_update=pki.NOW + timedelta(hours=1, microseconds=7),
    )
    assert crl.last_update_utc == pki.NOW
    assert crl.next_update_utc == pki.NOW + timedelta(hours=1)


def test_revoked_certificate_is_listed_and_another_is_not() -> None:
    revoked, good = pki.leaf(), pki.leaf()
    crl = pki.crl(revoked)
    assert crl.get_revoked_certificate_by_serial_number(revoked.serial_number) is not None
    assert crl.get_revoked_certificate_by_serial_number(good.serial_number) is None


def test_entry_says_when() -> None:
    entry = next(iter(pki.crl(pki.leaf(), this_update=pki.NOW)))
    assert entry.revocation_date_utc == pki.NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    "reason",
    [x509.ReasonFlags.key_compromise, x509.ReasonFlags.certificate_hold],
    ids=["stolen", "on hold"],
)
def test_entry_says_why(reason: x509.ReasonFlags) -> None:
    entry = next(iter(pki.crl(pki.leaf(), reason=reason)))
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason == reason


def test_entry_without_a_reason_has_no_extension() -> None:
    entry = next(iter(pki.crl(pki.leaf())))
    assert len(entry.extensions) == 0


GOOD = ListRequest(number=7, this_update=pki.NOW, next_update=pki.NOW + timedelta(days=1))


def signed(request: ListRequest = GOOD) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(sign_list(pki.hierarchy().intermediate, request))


def test_same_bytes_as_the_librarys_builder() -> None:
    ours = pki.hierarchy().intermediate
    scope = distribution_point()
    entries = [
        Revocation(serial=0x80FF, revoked_at=pki.NOW, reason=x509.ReasonFlags.key_compromise),
        Revocation(serial=5, revoked_at=pki.NOW.replace(year=2050)),
    ]
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ours.certificate.subject)
        .last_update(pki.NOW)
        .next_update(pki.NOW.replace(year=2051))
        .add_extension(ours.key_identifier(), critical=False)
        .add_extension(x509.CRLNumber(300), critical=False)
        .add_extension(x509.DeltaCRLIndicator(299), critical=True)
        .add_extension(scope, critical=True)
    )
    for entry in entries:
        revoked = x509.RevokedCertificateBuilder().serial_number(entry.serial)
        revoked = revoked.revocation_date(entry.revoked_at)
        if entry.reason is not None:
            revoked = revoked.add_extension(x509.CRLReason(entry.reason), critical=False)
        builder = builder.add_revoked_certificate(revoked.build())
    by_hand = sign_list(
        ours,
        replace(
            GOOD,
            number=300,
            base_number=299,
            scope=scope,
            next_update=pki.NOW.replace(year=2051),
            entries=encode_entries(entries),
        ),
    )
    assert by_hand == pki.der(builder.sign(ours.key, hashes.SHA256()))


def distribution_point(
    *, users: bool = False, authorities: bool = False, indirect: bool = False
) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier("http://crl.invalid/x.crl")],
        relative_name=None,
        only_contains_user_certs=users,
        only_contains_ca_certs=authorities,
        only_some_reasons=None,
        indirect_crl=indirect,
        only_contains_attribute_certs=False,
    )


def test_empty_list_has_no_field_for_entries() -> None:
    # Present and empty would be an error: RFC 5280 §5.1.2.6.
    signed_part = tlv.read(signed().tbs_certlist_bytes)[0]
    assert [child.tag for child in signed_part.children()] == [
        *(0x02, 0x30, 0x30, 0x17, 0x17, 0xA0)
    ]


def test_delta_list_names_its_base_in_a_critical_extension() -> None:
    extension = signed(replace(GOOD, base_number=5)).extensions.get_extension_for_class(
        x509.DeltaCRLIndicator
    )
    assert extension.critical
    assert extension.value.crl_number == 5


@pytest.mark.parametrize(
    "scope",
    [
        distribution_point(),
        distribution_point(users=True),
        distribution_point(authorities=True),
        distribution_point(indirect=True),
    ],
    ids=["place", "users", "authorities", "indirect"],
)
def test_scope_is_critical_and_the_one_asked_for(scope: x509.IssuingDistributionPoint) -> None:
    extension = signed(replace(GOOD, scope=scope)).extensions.get_extension_for_class(
        x509.IssuingDistributionPoint
    )
    assert extension.critical
    assert extension.value == scope


def test_list_can_say_where_the_delta_list_is() -> None:
    freshest = pki.hierarchy().intermediate.addresses.freshest_crl()
    extension = signed(replace(GOOD, freshest=freshest)).extensions.get_extension_for_class(
        x509.FreshestCRL
    )
    assert extension.value == freshest


def test_delta_list_can_lift_a_hold() -> None:
    entry = Revocation(serial=9, revoked_at=pki.NOW, reason=x509.ReasonFlags.remove_from_crl)
    crl = signed(replace(GOOD, base_number=6, entries=encode_entries([entry])))
    reason = next(iter(crl)).extensions.get_extension_for_class(x509.CRLReason).value
    assert reason.reason is x509.ReasonFlags.remove_from_crl


def test_packed_entries_are_those_that_would_be_made_one_by_one() -> None:
    serials = made_up_serials(300)
    reason = x509.ReasonFlags.superseded
    assert packed_entries(serials, revoked_at=pki.NOW, reason=reason) == encode_entries(
        Revocation(serial=int.from_bytes(serial, "big"), revoked_at=pki.NOW, reason=reason)
        for serial in serials
    )
    assert packed_entries([b"\x01", b"\x7f"], revoked_at=pki.NOW) == encode_entries(
        Revocation(serial=serial, revoked_at=pki.NOW) for serial in (1, 127)
    )


def test_packed_entries_of_nothing_are_nothing() -> None:
    assert packed_entries([], revoked_at=pki.NOW) == b""


def test_packed_entries_refuse_serial_numbers_of_several_lengths() -> None:
    with pytest.raises(ValueError, match="one length"):
        packed_entries([b"\x01", b"\x01\x02"], revoked_at=pki.NOW)


def test_made_up_serial_numbers_are_positive_different_and_repeatable() -> None:
    serials = made_up_serials(5000)
    assert len(set(serials)) == 5000
    assert {len(serial) for serial in serials} == {16}
    assert all(0x40 <= serial[0] <= 0x7F for serial in serials)
    assert serials == made_up_serials(5000)
    assert not set(serials) & set(made_up_serials(5000, seed=b"other"))


def test_list_of_a_hundred_thousand_takes_no_time_to_speak_of() -> None:
    # The library's builder takes a quarter of a minute for as many, and a hundred times that for
    # ten times as many. Process time, because other programs may run.
    issuer = pki.hierarchy().intermediate
    start = process_time()
    entries = packed_entries(
        made_up_serials(100_000), revoked_at=pki.NOW, reason=x509.ReasonFlags.superseded
    )
    raw = sign_list(issuer, replace(GOOD, entries=entries))
    assert process_time() - start < 1
    crl = x509.load_der_x509_crl(raw)
    assert len(crl) == 100_000
    last = int.from_bytes(made_up_serials(100_000)[-1], "big")
    assert crl.get_revoked_certificate_by_serial_number(last) is not None


def test_list_for_load_tests_has_the_revoked_ones_amid_the_made_up_ones() -> None:
    leaf = pki.leaf()
    crl = x509.load_der_x509_crl(pki.big_crl(1001, leaf, number=5))
    assert len(crl) == 1002
    assert crl[500].serial_number == leaf.serial_number
    assert crl.is_signature_valid(pki.hierarchy().intermediate.key.public_key())
    reason = crl[0].extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.cessation_of_operation
