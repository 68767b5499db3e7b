from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding

from cps import tlv
from cps.issuer import list_faults
from cps.issuer.crl import ListRequest, Revocation, encode_entries, sign_list
from cps.issuer.extensions import UNKNOWN
from cps.issuer.list_faults import ListFault, faulty_list
from tests.support import pki

Judge = Callable[[x509.CertificateRevocationList], object]


def request() -> ListRequest:
    entry = Revocation(serial=0x600D, revoked_at=pki.NOW, reason=x509.ReasonFlags.superseded)
    return ListRequest(
        number=7,
        this_update=pki.NOW - timedelta(hours=1),
        next_update=pki.NOW + timedelta(days=1),
        entries=encode_entries([entry]),
    )


def made(fault: ListFault) -> bytes:
    return faulty_list(
        pki.hierarchy().intermediate, request(), fault, stranger=pki.organisations_authority()
    )


def is_signed_by_us(crl: x509.CertificateRevocationList) -> bool:
    key = pki.hierarchy().intermediate.key.public_key()
    algorithm = crl.signature_hash_algorithm
    assert algorithm is not None
    try:
        key.verify(crl.signature, crl.tbs_certlist_bytes, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def scope(crl: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint:
    return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value


def no_version(crl: x509.CertificateRevocationList) -> bool:
    return tlv.read(crl.tbs_certlist_bytes)[0].children()[0].tag == 0x30


def faulty_entry(crl: x509.CertificateRevocationList) -> x509.Extensions:
    entry = crl.get_revoked_certificate_by_serial_number(list_faults.FAULTY_SERIAL)
    assert entry is not None
    return entry.extensions


def next_update(crl: x509.CertificateRevocationList) -> datetime:
    assert crl.next_update_utc is not None
    return crl.next_update_utc


def base_number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number


def number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def raises(kind: type[Exception], read: Judge) -> Judge:
    def judge(crl: x509.CertificateRevocationList) -> bool:
        with pytest.raises(kind):
            read(crl)
        return True

    return judge


READABLE: dict[ListFault, Judge] = {
    ListFault.STALE: lambda crl: next_update(crl) < pki.NOW - timedelta(days=29),
    ListFault.FUTURE: lambda crl: crl.last_update_utc > pki.NOW + timedelta(days=29),
    ListFault.NEXT_BEFORE_THIS: lambda crl: next_update(crl) < crl.last_update_utc,
    ListFault.NO_NEXT_UPDATE: lambda crl: crl.next_update_utc is None,
    ListFault.LOWER_NUMBER: lambda crl: number(crl) == 0,
    ListFault.NEGATIVE_NUMBER: raises(ValueError, number),
    ListFault.LONG_NUMBER: lambda crl: b"\x02\x15\x01" + bytes(20) in crl.tbs_certlist_bytes,
    ListFault.VERSION_1: lambda crl: len(crl.extensions) == 0 and no_version(crl),
    ListFault.VERSION_1_WITH_EXTENSIONS: lambda crl: number(crl) == 7 and no_version(crl),
    ListFault.UNKNOWN_CRITICAL_EXTENSION: lambda crl: (
        crl.extensions.get_extension_for_oid(UNKNOWN.oid).critical
    ),
    ListFault.DUPLICATE_EXTENSION: raises(x509.DuplicateExtension, lambda crl: crl.extensions),
    ListFault.OTHER_KEY_IDENTIFIER: lambda crl: (
        crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        == pki.organisations_authority().key_identifier()
    ),
    ListFault.UNKNOWN_CRITICAL_ENTRY_EXTENSION: lambda crl: (
        faulty_entry(crl).get_extension_for_oid(UNKNOWN.oid).critical
    ),
    ListFault.OTHER_CERTIFICATE_ISSUER: lambda crl: (
        faulty_entry(crl).get_extension_for_class(x509.CertificateIssuer).critical
    ),
    ListFault.UNUSED_REASON: raises(ValueError, faulty_entry),
    ListFault.INDIRECT: lambda crl: scope(crl).indirect_crl,
    ListFault.ONLY_SOME_REASONS: lambda crl: scope(crl).only_some_reasons,
    ListFault.ONLY_AUTHORITIES: lambda crl: scope(crl).only_contains_ca_certs,
    ListFault.ONLY_ATTRIBUTES: lambda crl: scope(crl).only_contains_attribute_certs,
    ListFault.OTHER_DISTRIBUTION_POINT: lambda crl: scope(crl).full_name,
    ListFault.DELTA_AS_COMPLETE: lambda crl: (number(crl), base_number(crl)) == (7, 6),
    ListFault.DELTA_BASE_AHEAD: lambda crl: (number(crl), base_number(crl)) == (1007, 1006),
}
"""Lists that the library can read, with what shows that the fault is there."""

WRONGLY_SIGNED: dict[ListFault, Judge] = {
    ListFault.WRONG_KEY: lambda crl: crl.issuer == pki.hierarchy().intermediate.certificate.subject,
    ListFault.BAD_SIGNATURE: lambda crl: number(crl) == 7,
}

UNREADABLE: dict[ListFault, Callable[[bytes], object]] = {
    ListFault.VERSION_3: lambda raw: raw[8:11].hex() == "020102",
    ListFault.ALGORITHMS_DIFFER: lambda raw: bytes.fromhex("2A864886F70D010105") in raw,
    ListFault.TRUNCATED: lambda raw: raw.startswith(b"\x30\x82"),
    ListFault.TRAILING_BYTES: lambda raw: len(tlv.read(raw)[0].encode()) == len(raw) - 2,
    ListFault.LONG_LENGTH: lambda raw: raw.startswith(b"\x30\x84\x00\x00"),
    ListFault.NOT_A_LIST: lambda raw: raw.startswith(b"<!doctype html>"),
    ListFault.EMPTY: lambda raw: raw == b"",
}
"""Lists that already the library refuses."""


def cases(judges: dict[ListFault, object]) -> list[object]:
    return [pytest.param(fault, judge, id=fault.name) for fault, judge in judges.items()]


@pytest.mark.parametrize(("fault", "is_there"), cases({**READABLE}))
def test_fault_is_there_and_everything_else_is_good(fault: ListFault, is_there: Judge) -> None:
    crl = x509.load_der_x509_crl(made(fault))
    assert is_there(crl)
    assert is_signed_by_us(crl)
    assert crl.issuer == pki.hierarchy().intermediate.certificate.subject
    assert len(list(tlv.read(made(fault))[0].children())) == 3


@pytest.mark.parametrize(("fault", "is_there"), cases({**WRONGLY_SIGNED}))
def test_signature_is_not_ours(fault: ListFault, is_there: Judge) -> None:
    crl = x509.load_der_x509_crl(made(fault))
    assert is_there(crl)
    assert not is_signed_by_us(crl)


@pytest.mark.parametrize(("fault", "is_there"), cases({**UNREADABLE}))
def test_bytes_are_no_list_in_der(fault: ListFault, is_there: Callable[[bytes], object]) -> None:
    raw = made(fault)
    assert is_there(raw)
    with pytest.raises((ValueError, x509.InvalidVersion)):
        x509.load_der_x509_crl(raw)


def test_other_issuers_name_stands_over_our_signature() -> None:
    crl = x509.load_der_x509_crl(made(ListFault.WRONG_ISSUER))
    assert crl.issuer == pki.organisations_authority().certificate.subject
    assert is_signed_by_us(crl)


@pytest.mark.parametrize(
    ("fault", "oid"),
    [
        pytest.param(ListFault.SHA1_SIGNATURE, "1.2.840.113549.1.1.5", id="SHA-1"),
        pytest.param(ListFault.UNKNOWN_ALGORITHM, "2.16.840.1.101.3.4.3.14", id="SHA-3"),
    ],
)
def test_signature_is_good_but_its_algorithm_is_not(fault: ListFault, oid: str) -> None:
    crl = x509.load_der_x509_crl(made(fault))
    assert crl.signature_algorithm_oid.dotted_string == oid
    assert is_signed_by_us(crl)


def test_every_fault_is_tested_and_differs_from_the_good_list() -> None:
    others = {
        ListFault.WRONG_ISSUER,
        ListFault.SHA1_SIGNATURE,
        ListFault.UNKNOWN_ALGORITHM,
    }
    assert {*READABLE, *WRONGLY_SIGNED, *UNREADABLE, *others} == set(ListFault)
    good = sign_list(pki.hierarchy().intermediate, request())
    assert good not in {made(fault) for fault in ListFault}
