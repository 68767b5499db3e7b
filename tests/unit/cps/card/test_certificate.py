"""A certificate as the card gives it: one byte may be mended, nothing else."""

from contextlib import suppress
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from cps import tlv
from cps.card.certificate import mended, rsa_public_key
from tests.support import pki


@cache
def certificate() -> bytes:
    return pki.der(pki.leaf())


Damage = tuple[bytes, bytes]
"""What stands in a certificate, and what is put in its place: as many bytes."""

OF_NO_VERSION: Damage = (bytes.fromhex("A003020102"), bytes.fromhex("A003020104"))
NAMED_IN_BITS: Damage = (bytes.fromhex("0603550404 0C"), bytes.fromhex("0603550404 03"))
"""The surname becomes a BIT STRING."""


def with_unused_bits(der: bytes, count: int) -> bytes:
    """Return *der* with that count of unused bits in its signature."""
    damaged = bytearray(der)
    damaged[len(der) - 1 - 256] = count
    return bytes(damaged)


def test_a_good_certificate_stays_as_it_is() -> None:
    assert mended(certificate()) == certificate()


@pytest.mark.parametrize("count", [1, 7, 0xFF])
def test_unused_bits_of_the_signature_are_mended(count: int) -> None:
    damaged = with_unused_bits(certificate(), count)
    assert damaged != certificate()
    assert mended(damaged) == certificate()


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes.fromhex("3000"), id="empty"),
        pytest.param(bytes.fromhex("3006 3000 3000 0300"), id="no signature"),
        pytest.param(bytes.fromhex("3006 3000 3000 0400"), id="another type of signature"),
        pytest.param(bytes.fromhex("3106 3000 3000 0301"), id="no sequence"),
        pytest.param(bytes.fromhex("3007 3000 3000 030100 00"), id="trailing byte"),
        pytest.param(bytes.fromhex("3009 3000 3000 3000 030100"), id="four parts"),
    ],
)
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        mended(der)


@pytest.mark.parametrize("cut", [1, 100, 500])
def test_a_truncated_certificate_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="runs past the end"):
        mended(certificate()[:-cut])


def test_the_key_is_that_of_the_certificate() -> None:
    key = rsa_public_key(certificate())
    assert key.public_numbers() == pki.key("leaf").public_key().public_numbers()


def test_what_cannot_be_read_has_no_key() -> None:
    with pytest.raises(ValueError, match=r"."):
        rsa_public_key(bytes.fromhex("3009 3000 3000 030100"))


def test_a_version_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="not a readable certificate"):
        rsa_public_key(certificate().replace(*OF_NO_VERSION))


def test_a_name_that_is_not_asked_for_hinders_nothing() -> None:
    der = certificate().replace(*NAMED_IN_BITS)
    assert der != certificate()
    assert rsa_public_key(der) == pki.key("leaf").public_key()


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 2000), byte=st.integers(0, 0xFF))
def test_any_other_byte_makes_another_certificate_or_a_value_error(at: int, byte: int) -> None:
    der = bytearray(certificate())
    der[at % len(der)] = byte
    with suppress(ValueError):
        whole = mended(bytes(der))
        assert sum(old != new for old, new in zip(der, whole, strict=True)) <= 1
        assert rsa_public_key(whole).key_size > 0


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_anything_else_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        rsa_public_key(mended(raw))


def test_a_key_of_another_kind_is_refused() -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TEST")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(1)
        .not_valid_before(pki.CARDS_SINCE)
        .not_valid_after(pki.NOW)
        .sign(pki.key("leaf"), hashes.SHA256())
    )
    with pytest.raises(ValueError, match="not an RSA key"):
        rsa_public_key(pki.der(made))


def test_a_key_that_nobody_supports_is_refused() -> None:
    unknown = certificate().replace(
        bytes.fromhex("06092A864886F70D0101010500"), bytes.fromhex("06092A864886F70D0101630500")
    )
    assert tlv.encoded_length(unknown) == len(unknown)
    with pytest.raises(ValueError, match=r"."):
        rsa_public_key(unknown)
