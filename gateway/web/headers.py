"""The headers that every answer of the control plane carries."""

from collections.abc import Mapping
from types import MappingProxyType

from flask import Response

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
STRICT_TRANSPORT_SECURITY = "max-age=31536000"

_ALWAYS: Mapping[str, str] = MappingProxyType(
    {
        # As the edge calls itself; else the WSGI server would name its own make.
        "Server": "cps-gateway",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)


def protect(response: Response, *, https: bool) -> Response:
    """Return *response* with the security headers; it is not stored unless its view says so.

    :param https: whether browsers reach the gateway over TLS.
    """
    response.headers.update(_ALWAYS)
    response.headers.setdefault("Cache-Control", "no-store")
    if https:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
    return response
