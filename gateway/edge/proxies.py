"""The browser's address behind proxies that the operator trusts: read strictly, or not at all.

Each proxy adds whom it was asked by at the end of a list. So the list is read from its end, and
only as far as trusted proxies wrote it: what stands before is whatever a browser liked to send.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from aiohttp import web

from gateway.edge.headers import values_of
from gateway.edge.peer import Address, address_text, read_address

MAX_HOPS = 20
"""Longest list that is read; no site has so many proxies."""

ProxyField = Literal["X-Forwarded-For", "Forwarded"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of HTTP
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"'
_PAIR = rf"{_TOKEN}=(?:{_TOKEN}|{_QUOTED})"
_ELEMENT = re.compile(rf"[ \t]*({_PAIR}(?:;{_PAIR})*)[ \t]*(?:,|$)")
_ONE_PAIR = re.compile(rf"({_TOKEN})=({_TOKEN}|{_QUOTED})(?:;|$)")
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


def peer_behind(trusted: Sequence[Network], field: ProxyField) -> Callable[[web.BaseRequest], str]:
    """Return what tells whose request it is where these proxies may stand in front.

    :param trusted: networks of the proxies.
    :param field: the one field that they write; any other is the browser's own.
    """
    name = field.lower().encode()

    def peer_of(request: web.BaseRequest) -> str:
        values = values_of(name, request.raw_headers)
        return client_of(request.remote or "", values, trusted=trusted, field=field)

    return peer_of


def client_of(
    remote: str, values: Sequence[str], *, trusted: Sequence[Network], field: ProxyField
) -> str:
    """Return the address of the browser, empty where the list cannot be read that far.

    :param remote: who is at the other end of the connection.
    :param values: of the field, in the order in which they came.

    Source: RFC 7239 §4, §5.2 and §7.4.
    """
    try:
        address = ipaddress.ip_address(remote)
        if not is_trusted(address, trusted) or not values:
            return address_text(address)
        nodes = [*_nodes(", ".join(values), field)]
        if len(nodes) > MAX_HOPS:
            return ""
        for node in reversed(nodes):
            address = _address_of(node, field)
            if not is_trusted(address, trusted):
                break
        return address_text(address)
    except ValueError:
        return ""


def is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    """Return whether *address* is in one of these networks."""
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in trusted)


def _nodes(value: str, field: ProxyField) -> Iterator[str]:
    """Return who asked each proxy, in the order in which they were written.

    :raises ValueError: for what is no such list.
    """
    if field == "X-Forwarded-For":
        yield from (part.strip(" \t") for part in value.split(","))
        return
    place = 0
    while place < len(value):
        element = _ELEMENT.match(value, place)
        if element is None:
            raise ValueError("not a list of forwarded elements")
        pairs = _ONE_PAIR.findall(element[1])
        named = [node for name, node in pairs if name.lower() == "for"]
        if len(named) != 1:
            raise ValueError("an element without one for=")
        yield named[0]
        place = element.end()


def _address_of(node: str, field: ProxyField) -> Address:
    """Return the address that *node* is.

    :raises ValueError: for a name, or anything else.
    """
    if field == "X-Forwarded-For":
        return read_address(node)
    match = _NODE.fullmatch(node[1:-1] if node.startswith('"') else node)
    if match is None:
        raise ValueError("no address")
    return read_address(match[1] or match[2])
