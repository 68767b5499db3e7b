"""The two cookies of the gateway, written and read with a grammar that has one reading."""

import hashlib
import re
from collections.abc import Sequence

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode, b64url_encode
from gateway.errors import LoginRejectedError

SESSION_COOKIE = "__Host-cps-session"
"""Opens the portal, from the end of a login to its logout."""
LOGIN_COOKIE = "__Host-cps-login"
"""Binds a login attempt to the browser that began it."""
COOKIE_BYTES = 32
"""Random bytes in each cookie; 43 characters of base64url."""
MAX_COOKIE_BYTES = 8192
"""Largest sum of a request's Cookie headers, where the settings say nothing else."""

_OURS = frozenset({SESSION_COOKIE, LOGIN_COOKIE})
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
_WHITE_SPACE = " \t"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def cookie_hash(value: bytes) -> bytes:
    """Return the SHA-256 of a cookie's bytes, the only form in which a store knows it.

    :param value: 32 bytes.
    """
    return hashlib.sha256(value).digest()


def read_cookie(
    header_values: Sequence[str], name: str, *, max_bytes: int = MAX_COOKIE_BYTES
) -> bytes | None:
    """Return the 32 bytes of our cookie *name*, or ``None`` where the request has none.

    Only the bare form that :func:`set_cookie` makes browsers send is ours: a quoted value, another
    length, a second spelling of the same bytes or a name after some exotic space is not.

    :param header_values: every Cookie header of the request as received, in any number.
    :param max_bytes: the size allowed for all of them together.
    :raises LoginRejectedError: REQUEST_TOO_LARGE, or REQUEST_MALFORMED where two cookies have the
        name, because two programs might then each believe in another one.

    Source: RFC 6265 §4.2.1; RFC 4648 §3.5.
    """
    if sum(len(value.encode("utf-8", "surrogatepass")) for value in header_values) > max_bytes:
        raise LoginRejectedError(
            ErrorCode.REQUEST_TOO_LARGE, f"more than {max_bytes} bytes of cookies"
        )
    found = [
        value
        for header in header_values
        for pair in header.split(";")
        if (value := _value_of(pair, name)) is not None
    ]
    if len(found) > 1:
        raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, f"{len(found)} cookies {name}")
    if not found or not _VALUE.match(found[0]):
        return None
    try:
        return b64url_decode(found[0], length=COOKIE_BYTES)
    except ValueError:
        return None


def set_cookie(name: str, value: bytes, max_age: int | None = None) -> str:
    """Return the Set-Cookie header that gives the browser our cookie *name*.

    :param value: 32 random bytes.
    :param max_age: life in seconds; ``None`` until the browser is closed.
    :raises ValueError: for another name or length.

    Source: RFC 6265 §4.1.
    """
    if name not in _OURS or len(value) != COOKIE_BYTES:
        raise ValueError(f"cookie {name}: one of ours, of {COOKIE_BYTES} bytes, is wanted")
    life = "" if max_age is None else f"; Max-Age={max_age}"
    return f"{name}={b64url_encode(value)}; {_ATTRIBUTES}{life}"


def clear_cookie(name: str) -> str:
    """Return the Set-Cookie header that makes the browser forget our cookie *name*.

    :raises ValueError: for another name.
    """
    if name not in _OURS:
        raise ValueError(f"cookie {name}: not one of ours")
    return f"{name}=; {_ATTRIBUTES}; Max-Age=0"


def strip_cookies(header: str) -> str | None:
    """Return a Cookie header without our cookies and otherwise unchanged, for the portal.

    :returns: ``None`` where nothing is left.
    """
    pairs = header.split(";")
    kept = [pair for pair in pairs if all(_value_of(pair, name) is None for name in _OURS)]
    if len(kept) == len(pairs):
        return header
    return ";".join(kept).strip(_WHITE_SPACE) or None


def _value_of(pair: str, name: str) -> str | None:
    """Return what stands behind ``name=`` in *pair*, or ``None`` for any other cookie."""
    found, equals, value = pair.strip(_WHITE_SPACE).partition("=")
    return value if equals and found == name else None
