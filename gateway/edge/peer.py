"""Whose request it is: the address of the browser or agent, never as it claims itself."""

import ipaddress
from collections.abc import Callable

from aiohttp import web

from gateway.edge.headers import values_of

FORWARDED_FOR = b"x-forwarded-for"
"""Holds that address where a proxy stands in front, in lower case."""
PeerOf = Callable[[web.BaseRequest], str]
"""Returns the IP address of a request's browser, empty where nobody knows it."""


def peer_of_connection(request: web.BaseRequest) -> str:
    """Return who is at the other end of the connection."""
    return request.remote or ""


def peer_named_by_front(request: web.BaseRequest) -> str:
    """Return whom the proxy in front names, on a listener that only such a proxy asks.

    It writes the field anew; a second address would be one that somebody else put there.
    """
    values = values_of(FORWARDED_FOR, request.raw_headers)
    try:
        (value,) = values
        return address_text(ipaddress.ip_address(value))
    except ValueError:
        return ""


def address_text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an address as it is counted and recorded.

    A proxy that listens on IPv6 for both names an IPv4 browser in the form of IPv6: else all of
    them would be of one network, and stand in the log as nobody knows them.
    """
    return str(getattr(address, "ipv4_mapped", None) or address)
