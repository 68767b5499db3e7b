from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.x509.oid import SignatureAlgorithmOID

from gateway.trust.certificate import load_certificate
from gateway.trust.strength import (
    LOGIN_STRENGTH,
    MAX_RSA_EXPONENT_BITS,
    MIN_RSA_EXPONENT,
    Strength,
)
from tests.support import pki, strange_leaves
from tests.support.plain_certificates import CURVES, certificate, curve_key, named

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey | ed25519.Ed25519PrivateKey
)
ALGORITHMS = frozenset(
    {SignatureAlgorithmOID.RSA_WITH_SHA256, SignatureAlgorithmOID.DSA_WITH_SHA256}
)


@cache
def dsa_key() -> dsa.DSAPrivateKey:
    return dsa.generate_private_key(1024)  # noqa: S505 - a longer one takes seconds


def signed(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey,
    *,
    digest: hashes.SHA256 | hashes.SHA384 | None = None,
    scheme: padding.PSS | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named("a"))
        .issuer_name(named("b"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(pki.CARDS_SINCE)
        .not_valid_after(pki.NOW)
    )
    return builder.sign(key, digest or hashes.SHA256(), rsa_padding=scheme)


def test_a_login_takes_rsa_of_2048_bits_and_sha2() -> None:
    ours = pki.hierarchy()
    LOGIN_STRENGTH.require_key(ours.root.certificate.public_key())
    LOGIN_STRENGTH.require_signed(ours.intermediate.certificate, ours.root.certificate)


@pytest.mark.parametrize(
    "key",
    [
        lambda: pki.key("short", 1024),
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ed25519.Ed25519PrivateKey.generate(),
        dsa_key,
    ],
    ids=["RSA of 1024 bits", "curve", "Ed25519", "DSA"],
)
def test_a_login_takes_no_other_key(key: Callable[[], PrivateKey]) -> None:
    with pytest.raises(ValueError, match="kind or length"):
        LOGIN_STRENGTH.require_key(key().public_key())


def with_exponent(exponent: int) -> rsa.RSAPublicKey:
    modulus = pki.key("leaf").public_key().public_numbers().n
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


@pytest.mark.parametrize("exponent", [MIN_RSA_EXPONENT, (1 << MAX_RSA_EXPONENT_BITS) - 1])
def test_usual_exponents_are_taken(exponent: int) -> None:
    LOGIN_STRENGTH.require_key(with_exponent(exponent))


@pytest.mark.parametrize(
    "exponent", [3, MIN_RSA_EXPONENT - 2, (1 << MAX_RSA_EXPONENT_BITS) + 1, (1 << 2040) + 1]
)
def test_small_and_large_exponents_are_not(exponent: int) -> None:
    with pytest.raises(ValueError, match="unusual exponent"):
        LOGIN_STRENGTH.require_key(with_exponent(exponent))


def test_what_a_certificate_says_of_key_and_algorithm_is_looked_at() -> None:
    LOGIN_STRENGTH.require_stated(pki.leaf())
    with pytest.raises(ValueError, match="algorithm"):
        LOGIN_STRENGTH.require_stated(
            signed(pki.key("leaf"), scheme=padding.PSS(padding.MGF1(hashes.SHA256()), 32))
        )
    with pytest.raises(ValueError, match="kind or length"):
        LOGIN_STRENGTH.require_stated(pki.leaf(leaf_key=pki.key("weak leaf", 1024)))
    with pytest.raises(ValueError, match="kind or length"):
        LOGIN_STRENGTH.require_stated(load_certificate(strange_leaves.bound_to_pss()))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_curves_of_the_standard_are_taken_where_allowed(curve: ec.EllipticCurve) -> None:
    CURVES.require_key(ec.generate_private_key(curve).public_key())


def test_a_small_curve_is_never_taken() -> None:
    with pytest.raises(ValueError, match="kind or length"):
        CURVES.require_key(ec.generate_private_key(ec.SECP192R1()).public_key())


def test_signatures_of_each_kind_of_key_are_verified() -> None:
    keys = pki.key("leaf"), dsa_key()
    strength = Strength(algorithms=ALGORITHMS, min_rsa_bits=2048)
    for key in keys:
        strength.require_key(key.public_key())
        strength.require_signed(signed(key), signed(key))
    CURVES.require_signed(certificate(issuer="root"), certificate("root", issuer="root"))


@pytest.mark.parametrize(
    "issuer",
    [
        lambda: certificate("other", issuer="other"),
        lambda: signed(pki.key("leaf")),
    ],
    ids=["another key", "a key of another kind"],
)
def test_a_signature_of_another_key_is_refused(issuer: Callable[[], x509.Certificate]) -> None:
    with pytest.raises(ValueError, match="not signed by"):
        CURVES.require_signed(certificate(), issuer())


def test_a_damaged_signature_is_refused() -> None:
    good = certificate()
    der = bytearray(pki.der(good))
    der[-1] ^= 1
    with pytest.raises(ValueError, match="not signed by"):
        CURVES.require_signed(load_certificate(bytes(der)), certificate("root", issuer="root"))


@pytest.mark.parametrize(
    "made",
    [
        lambda: signed(pki.key("leaf"), digest=hashes.SHA384()),
        lambda: signed(pki.key("leaf"), scheme=padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
        lambda: signed(curve_key("root")),
    ],
    ids=["another hash", "PSS", "ECDSA"],
)
def test_an_algorithm_that_is_not_named_is_refused(made: Callable[[], x509.Certificate]) -> None:
    strength = Strength(algorithms=ALGORITHMS, min_rsa_bits=2048)
    with pytest.raises(ValueError, match="algorithm that is not accepted"):
        strength.require_signed(made(), made())


def test_two_names_for_the_algorithm_are_refused() -> None:
    """The one outside is not signed: an attacker chooses it freely."""
    sha256, sha384 = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "0c"))
    der = pki.der(signed(pki.key("leaf")))
    outside = der.rindex(sha256)
    forged = der[:outside] + sha384 + der[outside + len(sha384) :]
    with pytest.raises(ValueError, match="not the one outside"):
        LOGIN_STRENGTH.require_signed(load_certificate(forged), signed(pki.key("leaf")))
