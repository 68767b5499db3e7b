from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

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
