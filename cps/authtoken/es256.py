"""ES256, with which the agent's key of one login signs what the agent says afterwards."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from cps.authtoken.jwk import AgentKey

_NUMBER_BYTES = 32
SIGNATURE_BYTES = 2 * _NUMBER_BYTES
"""r and s, each of 32 bytes, big-endian: one length and one spelling, where DER has several."""


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the 64 bytes of the signature.

    :param key: on P-256.

    Source: RFC 7518 §3.4.
    """
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_NUMBER_BYTES, "big") + s.to_bytes(_NUMBER_BYTES, "big")


def require_signed(key: AgentKey, signature: bytes, message: bytes) -> None:
    """Refuse *message* unless *key* signed it.

    :param signature: 64 bytes.
    :raises ValueError: where it is not so.
    """
    r, s = signature[:_NUMBER_BYTES], signature[_NUMBER_BYTES:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    try:
        key.public_key().verify(der, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as exc:
        raise ValueError("the signature is not that of the agent's key") from exc
