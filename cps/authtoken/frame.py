"""The bytes that a card signs for a login: built from a fixed frame by both sides."""

import hashlib
import re
from urllib.parse import urlsplit

LOGIN_CONTEXT = b"CPS-GATEWAY-LOGIN-V1\x00"
NONCE_BYTES = 32
RID_BYTES = 16
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z|\[[0-9a-f:.]{2,45}\]\Z")
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
    :raises ValueError: for any other spelling.

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
        or not _HOST.match(netloc)
        or ".." in netloc
        or port in (default, 0)
        or origin != f"{parts.scheme}://{netloc}" + ("" if port is None else f":{port}")
    ):
        raise ValueError(
            f"origin {origin!r}: wanted scheme://host[:port], lower case, ASCII, "
            "without default port or trailing slash"
        )
    return origin
