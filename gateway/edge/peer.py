"""Whose request it is: the address of the browser or agent, never as it claims itself."""

import ipaddress
from collections.abc import Callable

from aiohttp import web

from gateway.edge.headers import CLIENT_HEADER, values_of

PeerOf = Callable[[web.BaseRequest], str]
"""Returns the IP address of a request's browser, empty where nobody knows it."""


def peer_of_connection(request: web.BaseRequest) -> str:
    """Return who is at the other end of the connection."""
    return request.remote or ""


def peer_named_by_front(request: web.BaseRequest) -> str:
    """Return whom our own nginx names, on a socket that nobody else can reach."""
    values = values_of(CLIENT_HEADER.lower().encode(), request.raw_headers)
    try:
        (value,) = values
        return str(ipaddress.ip_address(value))
    except ValueError:
        return ""
