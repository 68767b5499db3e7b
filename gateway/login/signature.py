"""The card's signature: an algorithm that fits the key, over a message that the gateway built."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import PublicKeyAlgorithmOID

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.trust.strength import require_usual_exponent

RS256 = "RS256"
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
"""Bounds the work of one verification: the certificate is not trusted yet when it is done."""


def require_fitting_key(algorithm: str, certificate: x509.Certificate) -> rsa.RSAPublicKey:
    """Return the key of *certificate* if *algorithm* is allowed and made for it.

    :raises LoginRejectedError: SIG_INVALID for another algorithm or kind of key; CERT_UNTRUSTED for
        an RSA key outside 2048 to 4096 bits, or with an unusual exponent.
    """
    key = certificate.public_key()
    if (
        algorithm != RS256
        # The library takes a key that is bound to the PSS scheme for one that is not.
        or certificate.public_key_algorithm_oid != PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5
        or not isinstance(key, rsa.RSAPublicKey)
    ):
        raise LoginRejectedError(ErrorCode.SIG_INVALID, "RS256 with an RSA key is wanted")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise LoginRejectedError(
            ErrorCode.CERT_UNTRUSTED,
            f"an RSA key of {key.key_size} bits where {MIN_RSA_BITS} to {MAX_RSA_BITS} are wanted",
        )
    try:
        require_usual_exponent(key)
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.CERT_UNTRUSTED, str(exc)) from exc
    return key


def require_valid(key: rsa.RSAPublicKey, message: bytes, signature: bytes) -> None:
    """Refuse a *signature* that *key* did not make over *message*.

    :param signature: RSASSA-PKCS1-v1_5 with SHA-256, as long as the key's modulus.
    :raises LoginRejectedError: SIG_INVALID.

    Source: RFC 8017 §8.2.2; RFC 7518 §3.3.
    """
    try:
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as exc:
        raise LoginRejectedError(
            ErrorCode.SIG_INVALID, "the signature does not belong to this login"
        ) from exc
