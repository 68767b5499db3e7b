"""What a client asks an OCSP responder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import OCSPExtensionOID

from cps import tlv
from cps.issuer import der

MAX_REQUEST_BYTES = 16 * 1024
MAX_CERTIFICATES = 32
"""How many certificates one request may ask about."""
MAX_NONCE_BYTES = 128
"""Source: RFC 9654 §2.1."""
_INTEGER, _OCTET_STRING, _OBJECT_IDENTIFIER, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_BOOLEAN = 0x01
_FIRST, _SECOND, _THIRD = 0xA0, 0xA1, 0xA2
_HASHES: Mapping[bytes, str] = MappingProxyType(
    {
        der.object_identifier("1.3.14.3.2.26"): "sha1",
        der.object_identifier("2.16.840.1.101.3.4.2.1"): "sha256",
        der.object_identifier("2.16.840.1.101.3.4.2.2"): "sha384",
        der.object_identifier("2.16.840.1.101.3.4.2.3"): "sha512",
    }
)
_NONCE = der.object_identifier(OCSPExtensionOID.NONCE.dotted_string)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertID:
    """Which certificate is meant: its issuer by two hashes, and its serial number."""

    algorithm: bytes
    """The AlgorithmIdentifier of the hash as it came, to be sent back the same."""
    name_hash: bytes
    key_hash: bytes
    serial: int

    def encode(self) -> bytes:
        """Return the DER."""
        return der.sequence(
            self.algorithm,
            der.octet_string(self.name_hash),
            der.octet_string(self.key_hash),
            der.integer(self.serial),
        )

    def is_issued_by(self, issuer: x509.Certificate) -> bool:
        """Return whether the hashes are those of *issuer*; never for a hash that is not known."""
        name = _HASHES.get(tlv.read(self.algorithm)[0].children()[0].encode())
        if name is None:
            return False
        return (self.name_hash, self.key_hash) == (
            hashlib.new(name, issuer.subject.public_bytes(), usedforsecurity=False).digest(),
            hashlib.new(name, _key_bits(issuer), usedforsecurity=False).digest(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OCSPRequest:
    """All of a request that an answer depends on."""

    cert_ids: tuple[CertID, ...]
    """At least one."""
    nonce: bytes | None
    """The contents of the extension as they came, to be sent back the same."""


def parse_request(raw: bytes) -> OCSPRequest:
    """Return the request in *raw*; a signature on it is passed over.

    :param raw: at most 16384 bytes.
    :raises ValueError: for anything but one request about 1 to 32 certificates, with a nonce of 1
        to 128 bytes if any, and for a critical extension.

    Source: RFC 6960 §4.1.1; RFC 9654 §2.1.
    """
    if len(raw) > MAX_REQUEST_BYTES:
        raise ValueError(f"more than {MAX_REQUEST_BYTES} bytes")
    request, end = tlv.read(raw)
    if end != len(raw):
        raise ValueError("bytes behind the request")
    parts = _children(request, _SEQUENCE)
    if not 1 <= len(parts) <= 2 or any(part.tag != _FIRST for part in parts[1:]):
        raise ValueError("a request and perhaps its signature are expected")
    fields = _children(parts[0], _SEQUENCE)
    if fields and fields[0].tag == _FIRST:
        _require_version_1(fields.pop(0))
    if fields and fields[0].tag == _SECOND:
        fields.pop(0)  # the requestor's name
    if not 1 <= len(fields) <= 2:
        raise ValueError("a list of certificates and perhaps extensions are expected")
    wanted = _children(fields[0], _SEQUENCE)
    if not 1 <= len(wanted) <= MAX_CERTIFICATES:
        raise ValueError(f"1 to {MAX_CERTIFICATES} certificates are expected")
    return OCSPRequest(
        cert_ids=tuple(_wanted(each) for each in wanted),
        nonce=_nonce(fields[1]) if len(fields) > 1 else None,
    )


def _wanted(request: tlv.TLV) -> CertID:
    parts = _children(request, _SEQUENCE)
    if not 1 <= len(parts) <= 2 or any(part.tag != _FIRST for part in parts[1:]):
        raise ValueError("a certificate's identifier and perhaps extensions are expected")
    for part in parts[1:]:
        _read_extensions(part)
    fields = _children(parts[0], _SEQUENCE)
    if [field.tag for field in fields] != [_SEQUENCE, _OCTET_STRING, _OCTET_STRING, _INTEGER]:
        raise ValueError("an algorithm, two hashes and a serial number are expected")
    algorithm, name_hash, key_hash, serial = fields
    if [part.tag for part in algorithm.children()[:1]] != [_OBJECT_IDENTIFIER]:
        raise ValueError("a hash algorithm is expected")
    return CertID(
        algorithm=algorithm.encode(),
        name_hash=name_hash.value,
        key_hash=key_hash.value,
        serial=int.from_bytes(serial.value, "big", signed=True),
    )


def _nonce(field: tlv.TLV) -> bytes | None:
    if field.tag != _THIRD:
        raise ValueError("extensions are expected")
    value = _read_extensions(field).get(_NONCE)
    if value is None:
        return None
    inner, end = tlv.read(value)
    if inner.tag != _OCTET_STRING or end != len(value):
        raise ValueError("the nonce is no OCTET STRING")
    if not 1 <= len(inner.value) <= MAX_NONCE_BYTES:
        raise ValueError(f"a nonce of 1 to {MAX_NONCE_BYTES} bytes is expected")
    return value


def _read_extensions(field: tlv.TLV) -> dict[bytes, bytes]:
    """Return the contents of each extension by its type; a critical one must be the nonce."""
    inside = field.children()
    if len(inside) != 1:
        raise ValueError("one list of extensions is expected")
    contents: dict[bytes, bytes] = {}
    for extension in _children(inside[0], _SEQUENCE):
        parts = _children(extension, _SEQUENCE)
        if len(parts) == 3 and parts[1].tag == _BOOLEAN:
            critical = parts.pop(1).value != b"\x00"
        else:
            critical = False
        if [part.tag for part in parts] != [_OBJECT_IDENTIFIER, _OCTET_STRING]:
            raise ValueError("an extension is expected")
        oid = parts[0].encode()
        if oid in contents or (critical and oid != _NONCE):
            raise ValueError("an extension stands twice, or is critical and not known")
        contents[oid] = parts[1].value
    return contents


def _require_version_1(field: tlv.TLV) -> None:
    if field.children() != [tlv.TLV(tag=_INTEGER, value=b"\x00")]:
        raise ValueError("version 1 is expected")


def _children(parent: tlv.TLV, tag: int) -> list[tlv.TLV]:
    if parent.tag != tag:
        raise ValueError(f"tag {parent.tag:X} where {tag:X} is expected")
    return parent.children()


def _key_bits(issuer: x509.Certificate) -> bytes:
    """Return the contents of subjectPublicKey; all authorities here have RSA keys."""
    return issuer.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
