"""Was this signed with that key? For lists and answers, whose bytes are hashed as they came."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import SignatureAlgorithmOID

from gateway.trust.strength import Strength

_RSA: Mapping[x509.ObjectIdentifier, hashes.HashAlgorithm] = MappingProxyType(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA1: hashes.SHA1(),  # noqa: S303 - believed by no login
        SignatureAlgorithmOID.RSA_WITH_SHA256: hashes.SHA256(),
        SignatureAlgorithmOID.RSA_WITH_SHA384: hashes.SHA384(),
        SignatureAlgorithmOID.RSA_WITH_SHA512: hashes.SHA512(),
    }
)
_ECDSA: Mapping[x509.ObjectIdentifier, hashes.HashAlgorithm] = MappingProxyType(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA256: hashes.SHA256(),
        SignatureAlgorithmOID.ECDSA_WITH_SHA384: hashes.SHA384(),
        SignatureAlgorithmOID.ECDSA_WITH_SHA512: hashes.SHA512(),
    }
)
_DSA: Mapping[x509.ObjectIdentifier, hashes.HashAlgorithm] = MappingProxyType(
    {
        SignatureAlgorithmOID.DSA_WITH_SHA1: hashes.SHA1(),  # noqa: S303 - believed by no login
        SignatureAlgorithmOID.DSA_WITH_SHA256: hashes.SHA256(),
    }
)


def require_signed_bytes(
    signed: bytes | memoryview,
    signature: bytes,
    *,
    algorithm: x509.ObjectIdentifier,
    key: CertificatePublicKeyTypes,
    strength: Strength,
) -> None:
    """Refuse *signed* unless *signature* over it was made with *key*.

    :raises ValueError: also for a key or an algorithm that *strength* does not accept.
    """
    strength.require_key(key)
    if algorithm not in strength.algorithms:
        raise ValueError(f"signature algorithm {algorithm.dotted_string} is not accepted")
    try:
        match key:
            case rsa.RSAPublicKey() if algorithm in _RSA:
                digest, prehashed = _hashed(signed, _RSA[algorithm])
                key.verify(signature, digest, padding.PKCS1v15(), prehashed)
            case ec.EllipticCurvePublicKey() if algorithm in _ECDSA:
                digest, prehashed = _hashed(signed, _ECDSA[algorithm])
                key.verify(signature, digest, ec.ECDSA(prehashed))
            case dsa.DSAPublicKey() if algorithm in _DSA:
                digest, prehashed = _hashed(signed, _DSA[algorithm])
                key.verify(signature, digest, prehashed)
            case _:
                raise ValueError("the signature algorithm is not one for the key")
    except InvalidSignature as exc:
        raise ValueError("the signature was not made with the key") from exc


def _hashed(signed: bytes | memoryview, algorithm: hashes.HashAlgorithm) -> tuple[bytes, Prehashed]:
    digest = hashlib.new(algorithm.name, signed, usedforsecurity=False).digest()
    return digest, Prehashed(algorithm)
