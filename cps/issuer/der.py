"""A writer of DER and of signatures, for lists and answers that the library's builders cannot make.

The builders refuse what a test of a verifier needs most, such as an answer with two responses, and
they take half an hour for a list of a million entries.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum, unique

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cps import tlv

_FIRST_GENERALIZED_YEAR = 2050


@unique
class SignatureAlgorithm(Enum):
    """How something is signed; the value is the OID."""

    RSA_SHA256 = "1.2.840.113549.1.1.11"
    RSA_SHA1 = "1.2.840.113549.1.1.5"
    """Broken; only for what must be refused."""
    RSA_SHA3_256 = "2.16.840.1.101.3.4.3.14"
    """Sound, but no verifier of this field has it: to be refused without a crash."""

    def identifier(self) -> bytes:
        """Return the AlgorithmIdentifier, its parameters NULL or absent as the standards want."""
        parameters = b"" if self is SignatureAlgorithm.RSA_SHA3_256 else null()
        return sequence(object_identifier(self.value), parameters)

    def hash(self) -> hashes.HashAlgorithm:
        """Return the hash that is signed."""
        match self:
            case SignatureAlgorithm.RSA_SHA256:
                return hashes.SHA256()
            case SignatureAlgorithm.RSA_SHA1:
                return hashes.SHA1()  # noqa: S303 - to be refused
            case SignatureAlgorithm.RSA_SHA3_256:
                return hashes.SHA3_256()


def signature(
    signed: bytes,
    key: rsa.RSAPrivateKey,
    algorithm: SignatureAlgorithm = SignatureAlgorithm.RSA_SHA256,
) -> bytes:
    """Return the two elements that follow *signed*: the algorithm and the signature's bits."""
    value = key.sign(signed, padding.PKCS1v15(), algorithm.hash())
    return algorithm.identifier() + bit_string(value)


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE of *parts*."""
    return tlv.encode(0x30, *parts)


def explicit(number: int, *parts: bytes) -> bytes:
    """Return *parts* under the context tag [number], explicit; 0 to 30."""
    return tlv.encode(0xA0 | number, *parts)


def integer(value: int) -> bytes:
    """Return an INTEGER in its shortest form."""
    magnitude = value if value >= 0 else ~value
    return tlv.encode(0x02, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def enumerated(value: int) -> bytes:
    """Return an ENUMERATED of 0 to 127."""
    return tlv.encode(0x0A, bytes((value,)))


def true() -> bytes:
    """Return the BOOLEAN TRUE."""
    return tlv.encode(0x01, b"\xff")


def null() -> bytes:
    """Return NULL."""
    return tlv.encode(0x05)


def octet_string(value: bytes) -> bytes:
    """Return an OCTET STRING."""
    return tlv.encode(0x04, value)


def bit_string(value: bytes) -> bytes:
    """Return a BIT STRING of whole bytes."""
    return tlv.encode(0x03, b"\x00", value)


def object_identifier(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER.

    :param dotted: at least two arcs in decimal, as ``1.2.250.1``.

    Source: ISO/IEC 8825-1:2021 §8.19.
    """
    first, second, *others = (int(arc) for arc in dotted.split("."))
    return tlv.encode(0x06, *(_base_128(arc) for arc in (40 * first + second, *others)))


def time(moment: datetime) -> bytes:
    """Return a Time: UTCTime until 2049, GeneralizedTime from 2050.

    :param moment: aware; microseconds are dropped.

    Source: RFC 5280 §5.1.2.4.
    """
    moment = moment.astimezone(UTC)
    if moment.year >= _FIRST_GENERALIZED_YEAR:
        return generalized_time(moment)
    return tlv.encode(0x17, f"{moment:%y%m%d%H%M%S}Z".encode("ascii"))


def generalized_time(moment: datetime) -> bytes:
    """Return a GeneralizedTime without fractions of a second.

    :param moment: aware.
    """
    return tlv.encode(0x18, f"{moment.astimezone(UTC):%Y%m%d%H%M%S}Z".encode("ascii"))


def extensions(values: Iterable[x509.Extension[x509.ExtensionType]]) -> bytes:
    """Return Extensions, in the order given; a type that stands twice is written twice.

    Source: RFC 5280 §4.1.
    """
    return sequence(*(extension(value) for value in values))


def extension(value: x509.Extension[x509.ExtensionType]) -> bytes:
    """Return one Extension."""
    return sequence(
        object_identifier(value.oid.dotted_string),
        true() if value.critical else b"",
        octet_string(value.value.public_bytes()),
    )


def _base_128(arc: int) -> bytes:
    """Return *arc* in groups of seven bits, all but the last one with the top bit set."""
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(0x80 | arc & 0x7F)
    return bytes(reversed(groups))
