from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from cps import tlv
from cps.issuer.crl import ListRequest, encode_entries
from cps.issuer.extensions import critical
from cps.issuer.hierarchy import Authority
from cps.issuer.list_faults import ListFault, faulty_list
from gateway.trust.list_entries import Reason, reason_of
from gateway.trust.list_scope import ALL_REASONS
from gateway.trust.revocation_list import CLOCK_SKEW, RevocationList
from gateway.trust.serial_table import decode_serial
from gateway.trust.table_file import TableFile
from tests.support import pki
from tests.support.revocation import (
    HOLD,
    PLACE,
    STOLEN,
    entry,
    list_der,
    make_list,
    points,
    scope,
)
from tests.support.trust import key_usage, trust_store

SHA256_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
SHA512_RSA = bytes.fromhex("300d06092a864886f70d01010d0500")
SHA1_RSA = bytes.fromhex("300d06092a864886f70d0101050500")
V2 = b"\x02\x01\x01"
THIS_UPDATE = tlv.encode(0x17, b"261123070000Z")
NEXT_UPDATE = tlv.encode(0x17, b"261125070000Z")


def issuer() -> Authority:
    return pki.hierarchy().intermediate


@cache
def good() -> bytes:
    return pki.der(pki.crl(pki.leaf()))


def parse(raw: bytes) -> RevocationList:
    return RevocationList.parse(raw, trust_store().authorities())


def serials(crl: RevocationList) -> set[int]:
    return {decode_serial(record) for table in crl.tables.values() for record in table.records()}


def hand_made(
    *, inside: bytes = SHA256_RSA, outside: bytes = SHA256_RSA, dates: bytes, version: bytes = V2
) -> bytes:
    """Return a list that the library's builder would not make, with a good signature."""
    name = issuer().certificate.subject.public_bytes()
    signed = tlv.encode(0x30, version + inside + name + dates)
    signature = issuer().key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return tlv.encode(0x30, signed + outside + tlv.encode(0x03, b"\0" + signature))


def built(
    *extensions: tuple[x509.ExtensionType, bool],
    entry: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """Return a signed list with these extensions, and one entry with those of *entry*."""
    revoked = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(pki.NOW)
    for value, is_critical in entry:
        revoked = revoked.add_extension(value, is_critical)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer().certificate.subject)
        .last_update(pki.NOW - timedelta(hours=1))
        .next_update(pki.NOW + timedelta(hours=1))
        .add_revoked_certificate(revoked.build())
    )
    for value, is_critical in extensions:
        builder = builder.add_extension(value, is_critical)
    return pki.der(builder.sign(issuer().key, hashes.SHA256()))


@pytest.mark.parametrize("form", [pki.der, pki.pem], ids=["DER", "PEM"])
def test_a_list_is_read(form: Callable[[x509.CertificateRevocationList], bytes]) -> None:
    leaf = pki.leaf()
    crl = pki.crl(leaf, number=42)
    read = parse(form(crl))
    assert read.authority == issuer().certificate
    assert read.number == 42
    assert read.this_update == crl.last_update_utc
    assert read.next_update == crl.next_update_utc
    assert serials(read) == {leaf.serial_number}
    assert len(read) == 1


def test_a_list_of_nothing_is_read() -> None:
    read = parse(pki.der(pki.crl()))
    assert serials(read) == set()
    assert len(read) == 0


def test_the_root_signs_lists_too() -> None:
    root = pki.hierarchy().root
    assert parse(pki.der(pki.crl(issuer=root))).authority == root.certificate


def test_a_list_without_number_is_read() -> None:
    assert parse(hand_made(dates=THIS_UPDATE + NEXT_UPDATE)).number is None


def test_a_list_of_version_1_is_read() -> None:
    read = parse(hand_made(dates=THIS_UPDATE + NEXT_UPDATE, version=b""))
    assert serials(read) == set()


def with_entry(rest: bytes = b"") -> bytes:
    """Return a list of version 1 with one entry, number 7."""
    entry = tlv.encode(0x30, tlv.encode(0x02, b"\x07"), THIS_UPDATE, rest)
    dates = THIS_UPDATE + NEXT_UPDATE
    return hand_made(dates=dates + tlv.encode(0x30, entry), version=b"")


def test_entries_of_version_1_have_no_extensions() -> None:
    assert serials(parse(with_entry())) == {7}
    reason = bytes.fromhex("300C300A0603551D1504030A0101")
    with pytest.raises(ValueError, match="extensions in a list of version 1"):
        parse(with_entry(reason))


def test_the_key_decides_between_two_authorities_of_one_name() -> None:
    sibling = pki.sibling_intermediate()
    raw = pki.der(pki.crl(issuer=sibling))
    authorities = (*trust_store().authorities(), sibling.certificate)
    assert RevocationList.parse(raw, authorities).authority == sibling.certificate


@pytest.mark.parametrize("reason", [None, *x509.ReasonFlags])
def test_every_reason_counts_as_revoked(reason: x509.ReasonFlags | None) -> None:
    leaf = pki.leaf()
    read = parse(pki.der(pki.crl(leaf, reason=reason)))
    expected = Reason.UNSPECIFIED if reason is None else reason_of(reason)
    assert read.reasons(leaf.serial_number, issuer().certificate) == {expected}


def damaged(crl: x509.CertificateRevocationList) -> bytes:
    raw = bytearray(pki.der(crl))
    raw[-1] ^= 1
    return bytes(raw)


UNUSABLE: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a usable"),
    "a certificate": (lambda: pki.der(pki.leaf()), "not a usable"),
    "trailing byte": (lambda: pki.der(pki.crl()) + b"\x00", "not a usable"),
    "two lists in PEM": (lambda: pki.pem(pki.crl()) * 2, "several PEM blocks"),
    "a certificate in PEM": (lambda: pki.pem(pki.leaf()), "."),
    "signature damaged": (lambda: damaged(pki.crl()), "not signed by"),
    "same name, another key": (
        lambda: pki.der(pki.crl(issuer=pki.foreign_hierarchy().intermediate)),
        "not signed by",
    ),
    "another authority": (
        lambda: pki.der(pki.crl(issuer=pki.standard_hierarchy().intermediate)),
        "not signed by",
    ),
    "signed by the root in the intermediate's name": (
        lambda: pki.der(
            pki.crl(issuer=replace(pki.hierarchy().root, certificate=issuer().certificate))
        ),
        "not signed by",
    ),
    "no end": (lambda: hand_made(dates=THIS_UPDATE), "does not say when"),
    "other algorithm inside": (
        lambda: hand_made(inside=SHA512_RSA, dates=THIS_UPDATE + NEXT_UPDATE),
        "Inner and outer signature algorithms",
    ),
    "version of no standard": (
        lambda: hand_made(version=b"\x02\x01\x00", dates=THIS_UPDATE + NEXT_UPDATE),
        "0 is not a valid CRL version",
    ),
    "SHA-1": (
        lambda: hand_made(inside=SHA1_RSA, outside=SHA1_RSA, dates=THIS_UPDATE + NEXT_UPDATE),
        "signature algorithm 1.2.840.113549.1.1.5",
    ),
    "unknown critical extension": (
        lambda: built(
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\0"), True)
        ),
        "extension 1.2.3 is not supported",
    ),
    "critical number": (lambda: built((x509.CRLNumber(1), True)), "extension 2.5.29.20 is not"),
    "entry with unknown critical extension": (
        lambda: built(
            entry=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\0"), True)]
        ),
        "entry extension 1.2.3 is not supported",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_list_that_cannot_be_believed_or_understood_is_refused(case: str) -> None:
    make, reason = UNUSABLE[case]
    with pytest.raises(ValueError, match=reason):
        parse(make())


def test_bytes_that_only_look_like_a_critical_extension_are_no_reason_to_refuse() -> None:
    leaf = pki.leaf(serial=0x7A0101FF7A)
    assert serials(parse(pki.der(pki.crl(leaf)))) == {0x7A0101FF7A}


def test_an_authority_that_may_not_sign_lists_signs_none() -> None:
    may_not = (
        x509.CertificateBuilder()
        .subject_name(issuer().certificate.subject)
        .issuer_name(issuer().certificate.subject)
        .public_key(issuer().key.public_key())
        .serial_number(1)
        .not_valid_before(pki.AUTHORITIES_SINCE)
        .not_valid_after(pki.NOW)
        .add_extension(key_usage("key_cert_sign"), critical=True)
        .sign(issuer().key, hashes.SHA256())
    )
    with pytest.raises(ValueError, match="not signed by"):
        RevocationList.parse(pki.der(pki.crl()), [may_not])


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(raw)


@given(at=st.integers(0, 9999), flip=st.integers(1, 255))
def test_no_byte_can_be_changed(at: int, flip: int) -> None:
    raw = bytearray(good())
    raw[at % len(raw)] ^= flip
    with pytest.raises(ValueError, match=r"."):
        parse(bytes(raw))


@given(length=st.integers(0, 9999))
def test_a_truncated_list_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(good()[: length % len(good())])


def test_a_list_is_in_force_between_its_dates_and_five_minutes_around() -> None:
    crl = parse(good())
    assert timedelta(minutes=5) == CLOCK_SKEW
    first, last = crl.this_update - CLOCK_SKEW, crl.next_update + CLOCK_SKEW
    moment = timedelta(seconds=1)
    assert crl.is_in_force(first)
    assert crl.is_in_force(last)
    assert not crl.is_in_force(first - moment)
    assert not crl.is_in_force(last + moment)


@pytest.mark.parametrize(
    ("old", "new", "older"),
    [
        ((5, 0), (6, 1), False),
        ((5, 0), (5, 0), False),
        ((5, 0), (5, 1), False),
        ((5, 0), (4, 1), True),
        ((5, 0), (6, -1), True),
        ((5, 0), (None, 1), True),
        ((None, 0), (None, 1), False),
        ((None, 0), (1, 1), False),
        ((None, 0), (None, -1), True),
    ],
)
def test_number_and_date_both_only_rise(
    old: tuple[int | None, int], new: tuple[int | None, int], older: bool
) -> None:
    crl = parse(good())
    one, other = (
        replace(crl, number=number, this_update=crl.this_update + timedelta(hours=hours))
        for number, hours in (new, old)
    )
    assert one.mark.is_before(other.mark) is older
    if older:
        with pytest.raises(ValueError, match="older than"):
            other.require_successor(one)
    else:
        other.require_successor(one)


def request(number: int = 7) -> ListRequest:
    return ListRequest(
        number=number,
        this_update=pki.NOW - timedelta(hours=1),
        next_update=pki.NOW + timedelta(days=1),
        entries=encode_entries([entry(0x600D)]),
    )


READABLE = {
    ListFault.STALE,
    ListFault.FUTURE,
    ListFault.LOWER_NUMBER,
    ListFault.VERSION_1,
    ListFault.INDIRECT,
    ListFault.ONLY_SOME_REASONS,
    ListFault.ONLY_AUTHORITIES,
    ListFault.ONLY_ATTRIBUTES,
    ListFault.OTHER_DISTRIBUTION_POINT,
    ListFault.DELTA_AS_COMPLETE,
    ListFault.DELTA_BASE_AHEAD,
}
"""Faults that lie not in the list itself but in what it is taken for; see test_crl.py for those."""


@pytest.mark.parametrize("fault", [each for each in ListFault if each not in READABLE])
def test_a_list_with_a_fault_is_refused(fault: ListFault) -> None:
    raw = faulty_list(issuer(), request(), fault, stranger=pki.organisations_authority())
    with pytest.raises(ValueError, match="not a usable revocation list"):
        parse(raw)


@pytest.mark.parametrize("fault", [each for each in ListFault if each in READABLE])
def test_a_list_for_something_else_is_read(fault: ListFault) -> None:
    raw = faulty_list(issuer(), request(), fault, stranger=pki.organisations_authority())
    assert parse(raw).authority == issuer().certificate


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(scope(only_users=True), id="cards"),
        pytest.param(scope(place=PLACE, reasons=[STOLEN]), id="place and reasons"),
        pytest.param(scope(indirect=True), id="indirect"),
    ],
)
def test_the_scope_is_read(limits: x509.IssuingDistributionPoint) -> None:
    assert make_list(scope=limits).scope == limits


def test_a_list_without_scope_speaks_of_all_its_signers_certificates() -> None:
    elsewhere = pki.leaf(extensions=[points(place=PLACE)])
    ours, root = issuer().certificate, pki.hierarchy().root.certificate
    assert make_list().covers(elsewhere, ours) == ALL_REASONS
    assert make_list().covers(ours, root) == frozenset()


def test_a_scope_that_is_not_critical_limits_all_the_same() -> None:
    crl = parse(built((scope(only_authorities=True), False)))
    assert crl.covers(pki.leaf(), issuer().certificate) == frozenset()


def test_a_delta_list_is_read_critical_or_not() -> None:
    for is_critical in (True, False):
        crl = parse(built((x509.CRLNumber(9), False), (x509.DeltaCRLIndicator(5), is_critical)))
        assert (crl.number, crl.base_number) == (9, 5)


def test_a_delta_list_without_number_is_refused() -> None:
    with pytest.raises(ValueError, match="a delta list without number"):
        parse(built((x509.DeltaCRLIndicator(5), True)))


def test_a_signature_of_broken_bytes_is_refused() -> None:
    raw = bytearray(good())
    raw[-257] = 1
    with pytest.raises(ValueError, match=r"."):
        parse(bytes(raw))


def test_an_authority_without_key_usage_signs_no_lists() -> None:
    certificate = pki.leaf(without=[x509.KeyUsage.oid], leaf_key=issuer().key)
    signer = replace(issuer(), certificate=certificate)
    raw = list_der(issuer=signer, omitted=frozenset({x509.AuthorityKeyIdentifier.oid}))
    with pytest.raises(ValueError, match="not signed by"):
        RevocationList.parse(raw, [certificate])


def test_a_list_of_an_authority_that_names_no_key_of_its_own_is_read() -> None:
    crl = make_list(omitted=frozenset({x509.AuthorityKeyIdentifier.oid}))
    assert crl.key_identifier is None


LISTS: Mapping[str, Callable[[], RevocationList]] = {
    "plain": lambda: make_list(entry(1), entry(2, STOLEN), number=5),
    "empty": lambda: make_list(number=None),
    "delta": lambda: make_list(entry(1, HOLD), number=5, base_number=3),
    "scope": lambda: make_list(entry(1), scope=scope(place=PLACE, reasons=[STOLEN])),
    "indirect": lambda: make_list(entry(1), scope=scope(indirect=True)),
}


@pytest.mark.parametrize("case", LISTS)
def test_a_list_in_a_file_is_the_same_list(case: str, tmp_path: Path) -> None:
    crl = LISTS[case]()
    crl.to_file(generation=4).write(tmp_path / "a.table")
    file = TableFile.map(tmp_path / "a.table")
    assert file.about["generation"] == 4
    found = RevocationList.from_file(file, trust_store().authorities())
    assert serials(found) == serials(crl)
    assert replace(found, tables={}) == replace(crl, tables={})


def test_a_list_in_a_file_needs_its_authority() -> None:
    file = make_list().to_file(1)
    stranger = pki.foreign_hierarchy().intermediate.certificate
    with pytest.raises(ValueError, match="not configured"):
        RevocationList.from_file(file, [stranger])
    with pytest.raises(ValueError, match="not the file of a list"):
        RevocationList.from_file(TableFile(about={}, tables={}), [stranger])


def test_a_list_speaks_for_the_key_that_signed_it() -> None:
    crl = make_list()
    ours, root = issuer().certificate, pki.hierarchy().root.certificate
    renewed = pki.leaf(leaf_key=issuer().key)
    assert crl.speaks_for(ours)
    assert crl.speaks_for(renewed)
    assert not crl.speaks_for(root)
    assert not crl.speaks_for(pki.sibling_intermediate().certificate)


def test_an_indirect_list_may_speak_for_others_but_not_for_its_signers_namesake() -> None:
    crl = make_list(scope=scope(indirect=True))
    assert crl.speaks_for(pki.hierarchy().root.certificate)
    assert not crl.speaks_for(pki.sibling_intermediate().certificate)


def test_entries_of_an_indirect_list_are_found_by_their_issuer() -> None:
    root = pki.hierarchy().root.certificate
    named = critical(x509.CertificateIssuer([x509.DirectoryName(root.subject)]))
    crl = make_list(entry(1, HOLD), entry(2, STOLEN, (named,)), scope=scope(indirect=True))
    ours = pki.leaf(serial=1)
    roots = pki.leaf(serial=2, issuer=pki.hierarchy().root)
    assert crl.reasons(ours.serial_number, issuer().certificate) == {Reason.CERTIFICATE_HOLD}
    assert crl.reasons(roots.serial_number, root) == {Reason.KEY_COMPROMISE}
    assert crl.reasons(2, issuer().certificate) == set()
    assert crl.reasons(1, root) == set()


def test_what_vanished_is_all_that_was_revoked_for_good() -> None:
    older = make_list(
        entry(1), entry(2, STOLEN), entry(3, HOLD), entry(4, STOLEN), entry(5, STOLEN), entry(6)
    )
    newer = make_list(entry(4, STOLEN), entry(5), entry(6, HOLD), entry(7))
    vanished = {decode_serial(each): Reason(each[-1]) for each in newer.vanished_since(older)}
    assert vanished == {
        1: Reason.UNSPECIFIED,
        2: Reason.KEY_COMPROMISE,
        6: Reason.UNSPECIFIED,
    }


@pytest.mark.parametrize(
    "fresh",
    [
        pytest.param(lambda: make_list(number=9, issuer=pki.hierarchy().root), id="authority"),
        pytest.param(lambda: make_list(number=9, base_number=3), id="kind"),
        pytest.param(lambda: make_list(number=9, scope=scope(only_users=True)), id="scope"),
    ],
)
def test_another_list_is_no_successor(fresh: Callable[[], RevocationList]) -> None:
    with pytest.raises(ValueError, match="another authority, kind or scope"):
        make_list(number=5).require_successor(fresh())


def test_a_file_with_random_contents_is_no_list() -> None:
    for about in ({"authority": 3, "list": "00"}, {"authority": "00", "list": "zz"}):
        with pytest.raises(ValueError, match=r"."):
            RevocationList.from_file(TableFile(about=about, tables={}), [])
