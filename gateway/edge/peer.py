"""Whose request it is: the address of the browser or agent, never as it claims itself."""

import ipaddress
from collections.abc import Callable

from aiohttp import web

from gateway.edge.headers import values_of

FORWARDED_FOR = b"x-forwarded-for"
"""Holds that address where a proxy stands in front, in lower case."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
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
        return address_text(read_address(value))
    except ValueError:
        return ""


def read_address(text: str) -> Address:
    """Return the address that *text* is.

    :raises ValueError: for anything else, and for an address with a zone: behind its ``%`` Python
        lets anything stand, so that one browser would have as many addresses as it likes, and
        quotes and semicolons would go on to where the address is written.
    """
    if "%" in text:
        raise ValueError("an address with a zone")
    return ipaddress.ip_address(text)


def address_text(address: Address) -> str:
    """Return an address as it is counted and recorded.

    A proxy that listens on IPv6 for both names an IPv4 browser in the form of IPv6: else all of
    them would be of one network, and stand in the log as nobody knows them.
    """
    return str(getattr(address, "ipv4_mapped", None) or address)
