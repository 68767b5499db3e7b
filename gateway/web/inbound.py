"""What a request must be before a view looks at what it says."""

import ipaddress
from functools import lru_cache
from urllib.parse import parse_qsl

from flask import abort, request
from werkzeug.exceptions import RequestEntityTooLarge

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import parse_object
from gateway.errors import LoginRejectedError, SessionRequiredError
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE, cookie_hash, read_cookie
from gateway.session.model import Session
from gateway.web.parts import Parts

CLIENT_HEADER = "X-CPS-Client"
KNOWN_ADDRESSES = 1024
"""Addresses whose one spelling is remembered: a login asks for its own eight times."""
_MAX_ADDRESS = 45
"""Length of the longest text form of an IPv6 address."""


def require_navigation() -> None:
    """Refuse what is not a person opening a page: HEAD, prefetch, frames and subresources.

    A page that begins or ends a login changes state by GET, and must do so only when it is shown.

    :raises LoginRejectedError: REQUEST_FORBIDDEN.

    Source: W3C Fetch Metadata §2.1 (Sec-Fetch-Dest); Fetch, "Sec-Purpose".
    """
    if request.method == "HEAD":
        abort(405, valid_methods=["GET"])
    headers = request.headers
    if any("prefetch" in headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz")):
        raise LoginRejectedError(ErrorCode.REQUEST_FORBIDDEN, "a prefetch")
    destination = headers.get("Sec-Fetch-Dest", "document")
    if destination != "document":
        raise LoginRejectedError(
            ErrorCode.REQUEST_FORBIDDEN, f"Sec-Fetch-Dest is {destination[:40]}"
        )


def require_program() -> None:
    """Refuse a browser: no page may have the person's browser speak for the agent.

    :raises LoginRejectedError: REQUEST_FORBIDDEN.
    """
    for name, _ in request.headers:
        if name.lower() == "origin" or name.lower().startswith("sec-fetch-"):
            raise LoginRejectedError(
                ErrorCode.REQUEST_FORBIDDEN, f"sent by a browser: {name[:40]} is present"
            )


def require_relay() -> None:
    """Refuse what came from outside: the relay marks that with the client's address.

    :raises LoginRejectedError: REQUEST_FORBIDDEN.
    """
    require_program()
    if CLIENT_HEADER in request.headers:
        raise LoginRejectedError(ErrorCode.REQUEST_FORBIDDEN, "passed on by the relay")


def require_own_page(origin: str) -> None:
    """Refuse a form that a page of another site sent.

    Our pages ask for no referrer, so browsers write ``Origin: null`` even on our own forms; then
    Sec-Fetch-Site decides, which no page can set.

    :param origin: the gateway's own.
    :raises LoginRejectedError: REQUEST_FORBIDDEN.

    Source: Fetch, "append a request Origin header"; W3C Fetch Metadata §2.3.
    """
    sent_origin = request.headers.get("Origin", "null")
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:
        own = sent_origin == origin
    else:
        own = site == "same-origin" and sent_origin in (origin, "null")
    if not own:
        raise LoginRejectedError(
            ErrorCode.REQUEST_FORBIDDEN, "the form was not sent by a page of this site"
        )


def read_body(*, max_bytes: int) -> bytes:
    """Return the body of a request that says it is JSON.

    A body without a length that the server did not frame counts as empty.

    :param max_bytes: the size allowed; nothing beyond it is read.
    :raises LoginRejectedError: REQUEST_MALFORMED for another content type.
    :raises RequestEntityTooLarge: for a larger body.
    """
    if request.headers.get("Content-Type") != "application/json":
        raise LoginRejectedError(
            ErrorCode.REQUEST_MALFORMED, "Content-Type is not exactly application/json"
        )
    return _bounded_body(max_bytes)


def read_members(names: frozenset[str], *, max_bytes: int) -> dict[str, object]:
    """Return the members of a JSON body that holds exactly *names*.

    :param max_bytes: the size allowed.
    :raises LoginRejectedError: REQUEST_MALFORMED for anything else.
    :raises RequestEntityTooLarge: for a larger body.
    """
    raw = read_body(max_bytes=max_bytes)
    try:
        members = parse_object(raw, max_bytes=max_bytes)
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, str(exc)) from exc
    if set(members) != names:
        unexpected = ", ".join(sorted(names ^ set(members)))
        raise LoginRejectedError(
            ErrorCode.REQUEST_MALFORMED, f"members missing or unknown: {unexpected[:200]}"
        )
    return members


def read_form(names: frozenset[str], *, max_bytes: int) -> dict[str, str]:
    """Return the fields of a form that holds exactly *names*, once each.

    :param max_bytes: the size allowed; nothing beyond it is read.
    :raises LoginRejectedError: REQUEST_MALFORMED for anything else.
    :raises RequestEntityTooLarge: for a larger body.

    Source: WHATWG URL §5.1.
    """
    if request.mimetype != "application/x-www-form-urlencoded":
        raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, "Content-Type is that of no form")
    body = _bounded_body(max_bytes)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            strict_parsing=True,
            keep_blank_values=True,
            max_num_fields=len(names),
        )
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, "no form") from exc
    fields = dict(pairs)
    if set(fields) != names or len(pairs) != len(names):
        raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, "not the fields of the form")
    return fields


def client_address() -> str | None:
    """Return the browser's or agent's IP address, as the relay in front of us wrote it."""
    return read_address(request.headers.get(CLIENT_HEADER, ""))


@lru_cache(maxsize=KNOWN_ADDRESSES)
def read_address(value: str) -> str | None:
    """Return the one spelling of the IP address in *value*, ``None`` for anything else."""
    if len(value) > _MAX_ADDRESS:
        return None
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    # nginx passes on what a PROXY header says, which may name an IPv4 browser in the form of IPv6.
    return str(getattr(address, "ipv4_mapped", None) or address)


def login_cookie(parts: Parts) -> bytes | None:
    """Return the pre-session cookie: which browser began a login.

    :raises LoginRejectedError: REQUEST_MALFORMED where it comes twice, REQUEST_TOO_LARGE.
    """
    return _cookie(parts, LOGIN_COOKIE)


def session_key(parts: Parts) -> bytes | None:
    """Return the key under which the store would hold this browser's session.

    :raises LoginRejectedError: REQUEST_MALFORMED where the cookie comes twice, REQUEST_TOO_LARGE.
    """
    cookie = _cookie(parts, SESSION_COOKIE)
    return None if cookie is None else cookie_hash(cookie)


def require_session(parts: Parts) -> Session:
    """Return this browser's session.

    :raises SessionRequiredError: where it has none that is valid now.
    """
    key = session_key(parts)
    if key is None:
        raise SessionRequiredError("no session cookie")
    return parts.sessions.get(key, now=parts.clock())


def _bounded_body(max_bytes: int) -> bytes:
    # A body without a length is cut at the limit in silence: a byte more shows that it was longer.
    request.max_content_length = max_bytes + 1
    body = request.get_data(cache=False)
    if len(body) > max_bytes:
        raise RequestEntityTooLarge
    return body


def _cookie(parts: Parts, name: str) -> bytes | None:
    sent = request.headers.getlist("Cookie")
    return read_cookie(sent, name, max_bytes=parts.settings.limits.cookie_bytes)
