"""The certificate as a card gives it: mended where real cards err, its key taken out."""

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

from cps import tlv

_SEQUENCE = 0x30
_BIT_STRING = 0x03


@contextmanager
def reading() -> Iterator[None]:
    """Raise ValueError for whatever the library raises where it cannot read a certificate.

    It reads some parts only when they are asked for: those belong in the same block.
    """
    try:
        yield
    except (
        ValueError,
        TypeError,  # a name of another type than its attribute has
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        Warning,  # what the library only warns of is raised where warnings are errors
    ) as exc:
        raise ValueError(f"not a readable certificate: {exc}") from exc


def mended(der: bytes) -> bytes:
    """Return *der* with 0 unused bits in its signature, whatever count the card wrote there.

    Some real cards hold another count, which no strict reader accepts; the byte is not covered by
    the signature.

    :param der: one certificate without trailing bytes.
    :raises ValueError: where it is not made of three data objects, the last a BIT STRING.

    Source: RFC 5280 §4.1.1.3.
    """
    outer, end = tlv.read(der)
    parts = outer.children()
    if outer.tag != _SEQUENCE or end != len(der) or len(parts) != 3:
        raise ValueError("not a certificate")
    signature = parts[2]
    if signature.tag != _BIT_STRING or not signature.value:
        raise ValueError("a certificate without signature")
    unused_bits = len(der) - len(signature.value)
    return der[:unused_bits] + b"\x00" + der[unused_bits + 1 :]


def rsa_public_key(der: bytes) -> rsa.RSAPublicKey:
    """Return the key of the certificate, not verified.

    :raises ValueError: where it is no certificate, or one of another kind of key.
    """
    with reading():
        key = x509.load_der_x509_certificate(der).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")  # noqa: TRY004 - callers catch ValueError
    return key
