from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from cps import tlv
from cps.issuer.hierarchy import Authority
from gateway.trust.revocation_list import CLOCK_SKEW, RevocationList
from tests.support import pki
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
    for value, critical in entry:
        revoked = revoked.add_extension(value, critical)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer().certificate.subject)
        .last_update(pki.NOW - timedelta(hours=1))
        .next_update(pki.NOW + timedelta(hours=1))
        .add_revoked_certificate(revoked.build())
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return pki.der(builder.sign(issuer().key, hashes.SHA256()))


def scope(**limits: bool) -> x509.IssuingDistributionPoint:
    names = (
        "only_contains_user_certs",
        "only_contains_ca_certs",
        "indirect_crl",
        "only_contains_attribute_certs",
    )
    return x509.IssuingDistributionPoint(
        full_name=None if limits else [x509.UniformResourceIdentifier("http://localhost/a.crl")],
        relative_name=None,
        only_some_reasons=None,
        **dict.fromkeys(names, False) | limits,
    )


@pytest.mark.parametrize("form", [pki.der, pki.pem], ids=["DER", "PEM"])
def test_a_list_is_read(form: Callable[[x509.CertificateRevocationList], bytes]) -> None:
    leaf = pki.leaf()
    crl = pki.crl(leaf, number=42)
    read = parse(form(crl))
    assert read.authority == issuer().certificate
    assert read.number == 42
    assert read.this_update == crl.last_update_utc
    assert read.next_update == crl.next_update_utc
    assert read.serials == {leaf.serial_number}


def test_a_list_of_nothing_is_read() -> None:
    assert parse(pki.der(pki.crl())).serials == frozenset()


def test_the_root_signs_lists_too() -> None:
    root = pki.hierarchy().root
    assert parse(pki.der(pki.crl(issuer=root))).authority == root.certificate


def test_a_list_without_number_is_read() -> None:
    assert parse(hand_made(dates=THIS_UPDATE + NEXT_UPDATE)).number is None


def test_a_list_of_version_1_is_read() -> None:
    read = parse(hand_made(dates=THIS_UPDATE + NEXT_UPDATE, version=b""))
    assert read.serials == frozenset()


def test_the_key_decides_between_two_authorities_of_one_name() -> None:
    sibling = pki.sibling_intermediate()
    raw = pki.der(pki.crl(issuer=sibling))
    authorities = (*trust_store().authorities(), sibling.certificate)
    assert RevocationList.parse(raw, authorities).authority == sibling.certificate


@pytest.mark.parametrize("reason", [None, *x509.ReasonFlags])
def test_every_reason_counts_as_revoked(reason: x509.ReasonFlags | None) -> None:
    leaf = pki.leaf()
    assert leaf.serial_number in parse(pki.der(pki.crl(leaf, reason=reason))).serials


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
    "delta": (lambda: built((x509.DeltaCRLIndicator(1), True)), "extension 2.5.29.27 is not"),
    "delta not critical": (lambda: built((x509.DeltaCRLIndicator(1), False)), "2.5.29.27 is not"),
    "only cards": (
        lambda: built((scope(only_contains_user_certs=True), True)),
        "extension 2.5.29.28 is not supported",
    ),
    "only authorities": (
        lambda: built((scope(only_contains_ca_certs=True), True)),
        "extension 2.5.29.28 is not supported",
    ),
    "indirect": (lambda: built((scope(indirect_crl=True), True)), "extension 2.5.29.28 is not"),
    "one distribution point": (lambda: built((scope(), True)), "extension 2.5.29.28 is not"),
    "scope not critical": (
        lambda: built((scope(only_contains_user_certs=True), False)),
        "extension 2.5.29.28 is not supported",
    ),
    "entry of another issuer": (
        lambda: built(
            entry=[
                (x509.CertificateIssuer([x509.DirectoryName(issuer().certificate.subject)]), True)
            ]
        ),
        "an entry has a critical extension",
    ),
    "entry with unknown critical extension": (
        lambda: built(
            entry=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\0"), True)]
        ),
        "an entry has a critical extension",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_list_that_cannot_be_believed_or_understood_is_refused(case: str) -> None:
    make, reason = UNUSABLE[case]
    with pytest.raises(ValueError, match=reason):
        parse(make())


def test_bytes_that_only_look_like_a_critical_extension_are_no_reason_to_refuse() -> None:
    leaf = pki.leaf(serial=0x7A0101FF7A)
    assert parse(pki.der(pki.crl(leaf))).serials == {0x7A0101FF7A}


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
    assert one.is_older_than(other) is older
