"""Which keys and signature algorithms are believed, and whether one certificate signed another."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import PublicKeyAlgorithmOID, SignatureAlgorithmOID

from gateway.trust.der import members

MIN_RSA_EXPONENT = 65537
"""Smaller ones turn small mistakes in the padding into forgeries."""
MAX_RSA_EXPONENT_BITS = 64
"""Bounds the work of one verification; every known authority uses 65537."""
_ALGORITHM_IN_TBS = 2
"""Place of the algorithm in the signed part of a version 3 certificate: behind version, serial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """The weakest that is accepted."""

    algorithms: frozenset[x509.ObjectIdentifier]
    """Signature algorithms."""
    min_rsa_bits: int

    def require_key(self, key: CertificatePublicKeyTypes) -> None:
        """Refuse a key that is too short, or of a kind that no accepted algorithm uses.

        :raises ValueError: always for other kinds than RSA, curves and DSA.
        """
        match key:
            case rsa.RSAPublicKey() if key.key_size >= self.min_rsa_bits:
                require_usual_exponent(key)
                return
            case ec.EllipticCurvePublicKey() if self.algorithms & _CURVE_ALGORITHMS:
                if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1):
                    return
            case dsa.DSAPublicKey() if self.algorithms & _DSA_ALGORITHMS:
                return
        raise ValueError("a key of a kind or length that is not accepted")

    def require_stated(self, certificate: x509.Certificate) -> None:
        """Refuse a key or a signature algorithm by what *certificate* says; nothing is verified.

        :raises ValueError: also for an RSA key that is bound to the PSS scheme.

        Source: RFC 4055 §1.2.
        """
        if certificate.signature_algorithm_oid not in self.algorithms:
            raise ValueError("a signature algorithm that is not accepted")
        if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
            raise ValueError("a key of a kind or length that is not accepted")
        self.require_key(certificate.public_key())

    def require_signed(self, certificate: x509.Certificate, issuer: x509.Certificate) -> None:
        """Refuse *certificate* unless the key of *issuer* signed it; names are not looked at.

        :raises ValueError: also for an algorithm that is not accepted, or that the certificate
            names in two ways.

        Source: RFC 5280 §4.1.1.2, §6.1.3 (a) (1).
        """
        signed, outside, _ = members(certificate.public_bytes(Encoding.DER))
        if members(signed)[_ALGORITHM_IN_TBS] != outside:
            raise ValueError("the signature algorithm inside is not the one outside")
        if certificate.signature_algorithm_oid not in self.algorithms:
            raise ValueError("a signature algorithm that is not accepted")
        try:
            _verify(certificate, issuer)
        except (InvalidSignature, UnsupportedAlgorithm, TypeError) as exc:
            raise ValueError("not signed by the key of its issuer") from exc


def require_usual_exponent(key: rsa.RSAPublicKey) -> None:
    """Refuse an RSA key whose exponent is too small to be safe, or too large to be quick.

    :raises ValueError: for such a key.
    """
    exponent = key.public_numbers().e
    if exponent < MIN_RSA_EXPONENT or exponent.bit_length() > MAX_RSA_EXPONENT_BITS:
        raise ValueError("an RSA key with an unusual exponent")


def _verify(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    digest = certificate.signature_hash_algorithm
    parameters = certificate.signature_algorithm_parameters
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    match issuer.public_key(), parameters:
        case rsa.RSAPublicKey() as key, (padding.PKCS1v15() | padding.PSS()) as scheme if digest:
            key.verify(signature, signed, scheme, digest)
        case ec.EllipticCurvePublicKey() as key, ec.ECDSA() as scheme:
            key.verify(signature, signed, scheme)
        case dsa.DSAPublicKey() as key, _ if digest:
            key.verify(signature, signed, digest)
        case _:
            raise TypeError("the algorithm is not one for the issuer's key")


_CURVE_ALGORITHMS = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)
_DSA_ALGORITHMS = frozenset(
    {SignatureAlgorithmOID.DSA_WITH_SHA1, SignatureAlgorithmOID.DSA_WITH_SHA256}
)
RSA_SHA2 = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
    }
)
LOGIN_STRENGTH = Strength(algorithms=RSA_SHA2, min_rsa_bits=2048)
"""What the national authorities use, and no less."""
