"""Which header fields pass between browser and portal, and which ones the gateway adds.

Inbound names are let through only if they are made of letters, digits and ``-``: CGI, WSGI and PHP
fold other characters to one, so that ``X_CPS_Subject`` or ``X.CPS.Subject`` would arrive as ours.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from cps.authtoken.codes import ErrorCode
from gateway.errors import UpstreamError
from gateway.session.cookie import strip_cookies
from gateway.session.model import Session

Fields = list[tuple[str, str]]
RawFields = Iterable[tuple[bytes, bytes]]

CLIENT_HEADER = "X-CPS-Client"
"""Tells the control plane the address of the browser or agent."""
OWN_COOKIE_PREFIX = "__host-cps-"
"""How the names of the gateway's cookies begin, in lower case."""

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields for one connection. Source: RFC 9110 §7.6.1, and `Keep-Alive` of RFC 2068."""
_SET_BY_RELAY = frozenset({"host", "content-length", "expect", "cookie"})
"""Fields that the relay writes anew from what it understood."""
CLAIMS = frozenset(
    {
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "front-end-https",
        "proxy",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-host",
        "x-http-host-override",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-method",
        "x-original-path",
        "x-original-uri",
        "x-original-url",
        "x-originating-ip",
        "x-real-ip",
        "x-replaced-path",
        "x-rewrite-url",
    }
)
"""Fields that claim what only a gateway knows, or that turn one request into another."""
CLAIM_PREFIXES = (
    "client-cert",
    "remote-",
    "ssl-",
    "x-client-cert",
    "x-cps-",
    "x-envoy-",
    "x-forwarded",
    "x-remote-",
    "x-ssl-",
)
# Also after what portals trim, and in a second value that a proxy joined to the first.
_CONNECTION_BOUND = re.compile(rb"(?i)(?:^|,)[ \t]*(?:negotiate|ntlm)(?![0-9A-Za-z-])")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WEBSOCKET_HANDSHAKE = "sec-websocket-"


def values_of(name: bytes, fields: RawFields) -> tuple[str, ...]:
    """Return the values of every field called *name*, in order.

    :param name: in lower case.
    """
    return tuple(text_of(value) for key, value in fields if key.lower() == name)


def text_of(value: bytes) -> str:
    """Return a field's value as text; bytes that are not UTF-8 are read as Latin-1.

    Old portals put Latin-1 into file names; it leaves as UTF-8, which browsers prefer.
    """
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def passed_request_fields(fields: RawFields) -> Fields:
    """Return the fields of a browser's request that may go on, without cookies.

    :param fields: as they came, with every spelling and repetition.
    """
    kept = [(key.decode("latin-1"), value) for key, value in fields]
    named = _named_by_connection(kept)
    return [
        (key, text_of(value))
        for key, value in kept
        if _NAME.fullmatch(key)
        and key.lower() not in named
        and not is_withheld(key.lower())
        and not logs_connection_in(key.lower(), value)
    ]


def is_withheld(name: str) -> bool:
    """Return whether a request's field never passes as it came.

    :param name: in lower case.
    """
    return (
        name in _HOP_BY_HOP
        or name in _SET_BY_RELAY
        or name in CLAIMS
        or name.startswith(CLAIM_PREFIXES)
    )


def withheld_pattern() -> str:
    """Return a regular expression that matches the names of :func:`is_withheld` and odd spellings.

    For proxies that remove fields by a pattern: it stands in RE2, PCRE and Go alike, matches whole
    names in lower case, and leaves out what every proxy writes anew (lengths, Host, Cookie).
    """
    names = sorted(CLAIMS | {"proxy-authorization", "proxy-connection"})
    prefixes = "|".join(f"{prefix}.*" for prefix in CLAIM_PREFIXES)
    return f"^(?:.*[^a-z0-9-].*|{'|'.join(names)}|{prefixes})$"


def control_plane_fields(fields: Sequence[tuple[bytes, bytes]], *, host: str, peer: str) -> Fields:
    """Return the fields with which a request goes to the control plane.

    :param host: the portal's host and port.
    :param peer: address of the browser or agent.
    """
    cookies = [("Cookie", value) for value in values_of(b"cookie", fields)]
    return [
        ("Host", host),
        *passed_request_fields(fields),
        *cookies,
        (CLIENT_HEADER, peer),
    ]


def portal_fields(
    fields: Sequence[tuple[bytes, bytes]],
    session: Session,
    *,
    assertion: str,
    host: str,
    scheme: str,
    peer: str,
) -> Fields:
    """Return the fields with which a request goes to the portal.

    :param assertion: the signed statement of who *session* belongs to.
    :param host: the portal's host and port, as browsers know it.
    :param scheme: ``https`` or ``http``, as browsers know it.
    :param peer: address of the browser.
    """
    return [
        ("Host", host),
        *passed_request_fields(fields),
        *passed_cookies(fields),
        *route_fields(host=host, scheme=scheme, peer=peer),
        *identity_fields(session, assertion),
    ]


def passed_cookies(fields: RawFields) -> Fields:
    """Return the one Cookie field that the portal may see: none of the gateway's, or no field."""
    cookies = [kept for v in values_of(b"cookie", fields) if (kept := strip_cookies(v)) is not None]
    return [("Cookie", "; ".join(cookies))] if cookies else []


def identity_fields(session: Session, assertion: str) -> Fields:
    """Return the fields that tell the portal who is there.

    :param assertion: the signed statement of the same.
    """
    identity = session.identity
    fields = [
        ("X-CPS-Subject", quote(identity.national_id, safe="")),
        ("X-CPS-Name", quote(f"{identity.given_name} {identity.family_name}", safe="")),
        ("X-CPS-Card-Type", identity.card_type.name),
        ("X-CPS-Assertion", assertion),
    ]
    if identity.profession is not None:
        fields.append(("X-CPS-Profession", str(identity.profession)))
    return fields


def without_handshake(fields: Fields) -> Fields:
    """Return *fields* without those of a WebSocket handshake, which each side makes for itself."""
    return [(k, v) for k, v in fields if not k.lower().startswith(_WEBSOCKET_HANDSHAKE)]


def passed_response_fields(fields: RawFields, *, own_cookies: bool) -> Fields:
    """Return the fields of an answer that may go on to the browser, without its length.

    :param fields: as they came.
    :param own_cookies: whether it may set the gateway's cookies: the control plane's alone.
    :raises UpstreamError: for a control character, which could begin a second answer.
    """
    kept = [(key.decode("latin-1"), value) for key, value in fields]
    named = _named_by_connection(kept)
    passed: Fields = []
    for key, raw in kept:
        name, value = key.lower(), text_of(raw)
        if name in _HOP_BY_HOP or name in named or name == "content-length":
            continue
        if not _TOKEN.fullmatch(key) or _CONTROL.search(value):
            raise UpstreamError(ErrorCode.UPSTREAM_UNAVAILABLE, "answer with a malformed field")
        if name == "set-cookie" and not own_cookies and _sets_own_cookie(value):
            continue
        passed.append((key, value))
    return passed


def content_length(fields: RawFields) -> str | None:
    """Return the one length that an answer states, ``None`` where it states none.

    :raises UpstreamError: for two lengths or no number: the answer's end would be a guess.

    Source: RFC 9112 §6.3.
    """
    lengths = set(values_of(b"content-length", fields))
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()):
        raise UpstreamError(ErrorCode.UPSTREAM_UNAVAILABLE, "answer without a certain length")
    return length


def _named_by_connection(fields: Iterable[tuple[str, bytes]]) -> frozenset[str]:
    """Return the names that a Connection field declares to be for this connection only."""
    return frozenset(
        name.strip().lower()
        for key, value in fields
        if key.lower() == "connection"
        for name in value.decode("latin-1").split(",")
    )


def logs_connection_in(name: str, value: bytes) -> bool:
    """Return whether a field logs its connection in at the portal, and not its request alone.

    Connections to the portal are shared: the next person's request would be taken for this one's.

    Source: RFC 4559 §6 (Negotiate and NTLM).
    """
    return name == "authorization" and _CONNECTION_BOUND.search(value) is not None


def route_fields(*, host: str, scheme: str, peer: str) -> Fields:
    """Say how the request came, in the standard's form and in the customary one.

    Source: RFC 7239 §4 and §6 (an IPv6 address stands in brackets and quotes).
    """
    node = f'"[{peer}]"' if ":" in peer else peer
    return [
        ("Forwarded", f'for={node};host="{host}";proto={scheme}'),
        ("X-Forwarded-For", peer),
        ("X-Forwarded-Host", host),
        ("X-Forwarded-Proto", scheme),
    ]


def _sets_own_cookie(value: str) -> bool:
    """Return whether a browser could store *value* of Set-Cookie under one of the gateway's names.

    Some read a cookie without a name from its value, and some trim more than ASCII white space.
    """
    return value.lstrip().lstrip("=").lstrip().casefold().startswith(OWN_COOKIE_PREFIX)
