from dataclasses import replace
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding
from cryptography.x509.oid import SignatureAlgorithmOID as Algorithm

from gateway.trust.signed_bytes import require_signed_bytes
from gateway.trust.strength import LOGIN_STRENGTH, Strength
from tests.support import pki

MESSAGE = b"what is signed"
EVERYTHING = Strength(
    algorithms=frozenset(
        {
            Algorithm.RSA_WITH_SHA1,
            Algorithm.RSA_WITH_SHA256,
            Algorithm.RSA_WITH_SHA384,
            Algorithm.RSA_WITH_SHA512,
            Algorithm.RSASSA_PSS,
            Algorithm.ECDSA_WITH_SHA256,
            Algorithm.ECDSA_WITH_SHA384,
            Algorithm.ECDSA_WITH_SHA512,
            Algorithm.DSA_WITH_SHA1,
            Algorithm.DSA_WITH_SHA256,
            Algorithm.ED25519,
        }
    ),
    min_rsa_bits=2048,
)


@cache
def curve_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def dsa_key() -> dsa.DSAPrivateKey:
    return dsa.generate_private_key(1024)  # noqa: S505 - as the suites have it


RSA = [
    pytest.param(Algorithm.RSA_WITH_SHA256, hashes.SHA256(), id="SHA-256"),
    pytest.param(Algorithm.RSA_WITH_SHA384, hashes.SHA384(), id="SHA-384"),
    pytest.param(Algorithm.RSA_WITH_SHA512, hashes.SHA512(), id="SHA-512"),
]
CURVE = [
    pytest.param(Algorithm.ECDSA_WITH_SHA256, hashes.SHA256(), id="SHA-256"),
    pytest.param(Algorithm.ECDSA_WITH_SHA384, hashes.SHA384(), id="SHA-384"),
    pytest.param(Algorithm.ECDSA_WITH_SHA512, hashes.SHA512(), id="SHA-512"),
]


@pytest.mark.parametrize("view", [bytes, memoryview])
@pytest.mark.parametrize(("algorithm", "digest"), RSA)
def test_a_signature_of_a_login_is_verified(
    algorithm: x509.ObjectIdentifier, digest: hashes.HashAlgorithm, view: type
) -> None:
    key = pki.key("signer")
    signature = key.sign(MESSAGE, padding.PKCS1v15(), digest)
    require_signed_bytes(
        view(MESSAGE),
        signature,
        algorithm=algorithm,
        key=key.public_key(),
        strength=LOGIN_STRENGTH,
    )


@pytest.mark.parametrize(("algorithm", "digest"), CURVE)
def test_signatures_of_curves_are_verified_where_they_are_accepted(
    algorithm: x509.ObjectIdentifier, digest: hashes.HashAlgorithm
) -> None:
    signature = curve_key().sign(MESSAGE, ec.ECDSA(digest))
    key = curve_key().public_key()
    require_signed_bytes(MESSAGE, signature, algorithm=algorithm, key=key, strength=EVERYTHING)
    with pytest.raises(ValueError, match="not accepted"):
        require_signed_bytes(
            MESSAGE, signature, algorithm=algorithm, key=key, strength=LOGIN_STRENGTH
        )


def test_signatures_of_dsa_are_verified_where_they_are_accepted() -> None:
    signature = dsa_key().sign(MESSAGE, hashes.SHA256())
    key = dsa_key().public_key()
    algorithm = Algorithm.DSA_WITH_SHA256
    require_signed_bytes(MESSAGE, signature, algorithm=algorithm, key=key, strength=EVERYTHING)
    with pytest.raises(ValueError, match="not made with the key"):
        require_signed_bytes(
            MESSAGE + b"!", signature, algorithm=algorithm, key=key, strength=EVERYTHING
        )


@pytest.mark.parametrize("what", ["message", "signature", "key", "hash"])
def test_what_was_changed_is_refused(what: str) -> None:
    key = pki.key("signer")
    signature = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(ValueError, match="not made with the key"):
        require_signed_bytes(
            MESSAGE + b"!" * (what == "message"),
            signature[:-1] + bytes((signature[-1] ^ (what == "signature"),)),
            algorithm=Algorithm.RSA_WITH_SHA512 if what == "hash" else Algorithm.RSA_WITH_SHA256,
            key=pki.key("stranger" if what == "key" else "signer").public_key(),
            strength=LOGIN_STRENGTH,
        )


def test_sha1_is_refused_in_a_login() -> None:
    key = pki.key("signer")
    signature = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - to be refused
    algorithm = Algorithm.RSA_WITH_SHA1
    with pytest.raises(ValueError, match=r"1\.2\.840\.113549\.1\.1\.5 is not accepted"):
        require_signed_bytes(
            MESSAGE,
            signature,
            algorithm=algorithm,
            key=key.public_key(),
            strength=LOGIN_STRENGTH,
        )
    require_signed_bytes(
        MESSAGE, signature, algorithm=algorithm, key=key.public_key(), strength=EVERYTHING
    )


def test_a_short_key_is_refused() -> None:
    key = pki.key("signer")
    signature = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(ValueError, match="length"):
        require_signed_bytes(
            MESSAGE,
            signature,
            algorithm=Algorithm.RSA_WITH_SHA256,
            key=key.public_key(),
            strength=replace(LOGIN_STRENGTH, min_rsa_bits=2049),
        )


@pytest.mark.parametrize(
    "algorithm",
    [Algorithm.ECDSA_WITH_SHA256, Algorithm.DSA_WITH_SHA256, Algorithm.RSASSA_PSS],
    ids=["ECDSA", "DSA", "PSS"],
)
def test_an_algorithm_that_does_not_fit_the_key_is_refused(
    algorithm: x509.ObjectIdentifier,
) -> None:
    key = pki.key("signer")
    signature = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(ValueError, match="not one for the key"):
        require_signed_bytes(
            MESSAGE, signature, algorithm=algorithm, key=key.public_key(), strength=EVERYTHING
        )


def test_a_key_of_a_kind_that_is_not_known_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(ValueError, match="kind or length"):
        require_signed_bytes(
            MESSAGE,
            key.sign(MESSAGE),
            algorithm=Algorithm.ED25519,
            key=key.public_key(),
            strength=EVERYTHING,
        )
