"""The bytes that a card signs for a login: built from a fixed frame by both sides."""

import hashlib
import ipaddress
import re
from urllib.parse import urlsplit

LOGIN_CONTEXT = b"CPS-GATEWAY-LOGIN-V1\x00"
NONCE_BYTES = 32
RID_BYTES = 16
RID_CHARACTERS = 22
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")
_IPV6 = re.compile(r"\[([0-9a-f:.]{2,45})\]\Z")
_NUMBER = re.compile(r"([0-9]+|0x[0-9a-f]*)\Z")
_DEFAULT_PORTS = {"https": 443, "http": 80}


def login_message(
    *, origin: str, nonce: bytes, rid: str, jwk_thumbprint: bytes, certificate: bytes
) -> bytes:
    """Return the message M of which the card signs the SHA-256.

    :param origin: in the one spelling of :func:`require_origin`.
    :param nonce: 32 raw bytes.
    :param rid: the request id, 22 characters of base64url.
    :param jwk_thumbprint: 32 bytes, RFC 7638 with SHA-256.
    :param certificate: DER of the authentication certificate.
    :returns: 181 bytes; every field has a fixed length, so fields cannot run into each other.
    :raises ValueError: for a field of another length or an origin in another spelling.

    Source: docs/reference/protocol.md, "Agent to gateway".
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"nonce: {len(nonce)} bytes where {NONCE_BYTES} are wanted")
    if len(jwk_thumbprint) != hashlib.sha256().digest_size:
        raise ValueError("jwk thumbprint: 32 bytes are wanted")
    if len(rid) != RID_CHARACTERS:
        raise ValueError(f"rid: {len(rid)} characters where {RID_CHARACTERS} are wanted")
    return b"".join(
        (
            LOGIN_CONTEXT,
            hashlib.sha256(require_origin(origin).encode("ascii")).digest(),
            hashlib.sha256(nonce).digest(),
            hashlib.sha256(rid.encode("ascii")).digest(),
            jwk_thumbprint,
            hashlib.sha256(certificate).digest(),
        )
    )


def require_origin(origin: str) -> str:
    """Return *origin* if it is an ASCII origin in its one canonical spelling, else raise.

    :param origin: ``scheme://host[:port]``; http or https, lower case, punycode, no default port,
        no trailing slash.
    :raises ValueError: for any other spelling, also of an address: browsers turn 127.1 into
        127.0.0.1, so that a second spelling would never be what the browser shows.

    Source: RFC 6454 §6.2; docs/reference/protocol.md, "Agent to gateway".
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"origin {origin!r}: not an origin") from exc
    default = _DEFAULT_PORTS.get(parts.scheme)
    netloc = parts.netloc if port is None else parts.netloc.removesuffix(f":{port}")
    if (
        default is None
        or not _is_host(netloc)
        or port in (default, 0)
        or origin != f"{parts.scheme}://{netloc}" + ("" if port is None else f":{port}")
    ):
        raise ValueError(
            f"origin {origin!r}: wanted scheme://host[:port], lower case, ASCII, "
            "without default port or trailing slash"
        )
    return origin


def _is_host(text: str) -> bool:
    """Return whether *text* is a host name or an address, each in its one spelling."""
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    bracketed = _IPV6.match(text)
    try:
        if bracketed:
            address = ipaddress.IPv6Address(bracketed[1])
            return address.compressed == bracketed[1]
        if _NUMBER.match(text.rpartition(".")[2]):
            address = ipaddress.IPv4Address(text)
            return address.compressed == text
    except ValueError:
        return False
    return _NAME.match(text) is not None and ".." not in text
