"""The request headers that nginx passes to the portal.

nginx can remove a header only by its full name, so a name that nobody thought of would get through.
Here it is the other way round: what is not on the list stays behind.
"""

from collections.abc import Iterable

from gateway.edge.headers import is_withheld
from gateway.errors import ConfigurationError

USUAL_FIELDS = (
    # What browsers send.
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Access-Control-Request-Private-Network",
    "Cache-Control",
    "Content-Type",
    "DNT",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Last-Event-ID",
    "Origin",
    "Ping-From",
    "Ping-To",
    "Pragma",
    "Priority",
    "Range",
    "Referer",
    "Save-Data",
    "Sec-CH-UA",
    "Sec-CH-UA-Mobile",
    "Sec-CH-UA-Platform",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "Sec-GPC",
    "Sec-Purpose",
    "Service-Worker",
    "Service-Worker-Navigation-Preload",
    "Upgrade-Insecure-Requests",
    "User-Agent",
    # What programs and scripts of a portal send.
    "Content-Digest",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-MD5",
    "Content-Range",
    "Digest",
    "Idempotency-Key",
    "Prefer",
    "SOAPAction",
    "Want-Digest",
    "X-Api-Key",
    "X-Correlation-ID",
    "X-CSRF-Token",
    "X-CSRFToken",
    "X-Request-ID",
    "X-Requested-With",
    "X-XSRF-TOKEN",
    # What libraries send that portals are built with.
    "Apollo-Require-Preflight",
    "Faces-Request",
    "HX-Boosted",
    "HX-Current-URL",
    "HX-History-Restore-Request",
    "HX-Prompt",
    "HX-Request",
    "HX-Target",
    "HX-Trigger",
    "HX-Trigger-Name",
    "Turbo-Frame",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-Inertia",
    "X-Inertia-Version",
    "X-Livewire",
    # Tracing through several programs.
    "baggage",
    "traceparent",
    "tracestate",
)
"""Passed as they come; of a name that stands twice, nginx may pass the first alone."""


def passed_fields(further: Iterable[str]) -> tuple[str, ...]:
    """Return the names of what passes as it comes.

    :param further: the setting ``edge.passed_fields``.
    :raises ConfigurationError: for a name that only the gateway may write.
    """
    known = {name.lower(): name for name in USUAL_FIELDS}
    for name in further:
        if is_withheld(name.lower()):
            reason = f"{name} is never passed on, or only as the gateway writes it"
            raise ConfigurationError("settings", "edge.passed_fields", reason)
        known.setdefault(name.lower(), name)
    return tuple(known.values())


def variable_of(name: str) -> str:
    """Return nginx's variable for a request header."""
    return "$http_" + name.lower().replace("-", "_")
