"""The header that a proxy sends before anything of the browser's: whose connection it is.

Source: HAProxy, "The PROXY protocol, versions 1 and 2" (2020-03-05), §2.
"""

import ipaddress
import re
import struct

from gateway.edge.peer import Address, read_address

MAX_TEXT_BYTES = 107
"""Longest header of version 1, with its end."""
MAX_BINARY_BYTES = 4096
"""Longest header of version 2 that is read; addresses alone take 52, the rest is additions."""

_TEXT_START = b"PROXY "
_TEXT = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n"
)
_TEXT_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_MAX_PORT = 65_535

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED = struct.Struct(f"!{len(_SIGNATURE)}sBBH")
_ADDITION = struct.Struct("!BH")
_VERSION = 2
_LOCAL, _PROXY = 0, 1
_MAX_FAMILY, _MAX_TRANSPORT = 3, 2
_TCP_OVER_IPV4, _TCP_OVER_IPV6 = 0x11, 0x21
# How many bytes the addresses have, by what they are of.
_ADDRESS_BYTES = {0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}


def header_size(begun: bytes) -> int | None:
    """Return how long a header is that begins so, ``None`` where that is not known yet.

    :param begun: what has come so far, be it with bytes behind the header.
    :raises ValueError: as soon as it cannot become a header, or becomes too long a one.
    """
    if begun.startswith(_SIGNATURE[: len(begun)]):
        return _binary_size(begun) if len(begun) >= _FIXED.size else None
    if not begun.startswith(_TEXT_START[: len(begun)]):
        raise ValueError("no PROXY header")
    end = begun.find(b"\n", 0, MAX_TEXT_BYTES)
    if end < 0 and len(begun) >= MAX_TEXT_BYTES:
        raise ValueError(f"a PROXY line longer than {MAX_TEXT_BYTES} bytes")
    return end + 1 if end >= 0 else None


def read_header(header: bytes) -> Address | None:
    """Return whose connection a header says it is.

    :param header: all of it and nothing else, see :func:`header_size`.
    :returns: ``None`` where it names no address over TCP: a check by the proxy itself (LOCAL), and
        what came to the proxy in another way.
    :raises ValueError: for what is no such header.
    """
    try:
        return _read_binary(header) if header.startswith(_SIGNATURE) else _read_text(header)
    except ValueError as exc:
        raise ValueError(f"no PROXY header: {exc}") from exc


def _binary_size(begun: bytes) -> int:
    _, _, _, following = _FIXED.unpack_from(begun)
    size = _FIXED.size + int(following)
    if size > MAX_BINARY_BYTES:
        raise ValueError(f"a PROXY header longer than {MAX_BINARY_BYTES} bytes")
    return size


def _read_text(header: bytes) -> Address | None:
    if len(header) > MAX_TEXT_BYTES:
        raise ValueError(f"a PROXY line longer than {MAX_TEXT_BYTES} bytes")
    if _TEXT_UNKNOWN.fullmatch(header):
        return None
    found = _TEXT.fullmatch(header)
    if found is None:
        raise ValueError("not well formed")
    version, *rest = (part.decode("ascii") for part in found.groups())
    source, destination = (read_address(each) for each in rest[:2])
    if {source.version, destination.version} != {int(version)}:
        raise ValueError("addresses of another family than announced")
    if any(int(port) > _MAX_PORT for port in rest[2:]):
        raise ValueError("a port above 65535")
    return source


def _read_binary(header: bytes) -> Address | None:
    if len(header) < _FIXED.size or len(header) != _binary_size(header):
        raise ValueError("not as long as it says")
    _, version_and_command, kind, _ = _FIXED.unpack_from(header)
    version, command = divmod(version_and_command, 16)
    if version != _VERSION:
        raise ValueError("another version than 2")
    if command == _LOCAL:
        return None  # Whatever follows means nothing.
    if command != _PROXY:
        raise ValueError("an unknown command")
    family, transport = divmod(kind, 16)
    if family > _MAX_FAMILY or transport > _MAX_TRANSPORT:
        raise ValueError("an unknown kind of address")
    if kind not in _ADDRESS_BYTES:
        return None  # Unspecified: what follows may be anything.
    addresses = header[_FIXED.size : _FIXED.size + _ADDRESS_BYTES[kind]]
    if len(addresses) < _ADDRESS_BYTES[kind]:
        raise ValueError("addresses shorter than their kind")
    _require_additions(header[_FIXED.size + len(addresses) :])
    if kind == _TCP_OVER_IPV4:
        return ipaddress.IPv4Address(addresses[:4])
    if kind == _TCP_OVER_IPV6:
        return ipaddress.IPv6Address(addresses[:16])
    return None


def _require_additions(rest: bytes) -> None:
    """Refuse additions that do not end where the header does; what they say is not read.

    :raises ValueError: where the last is cut off.
    """
    while rest:
        if len(rest) < _ADDITION.size:
            raise ValueError("an addition cut off")
        _, size = _ADDITION.unpack_from(rest)
        if len(rest) < _ADDITION.size + size:
            raise ValueError("an addition longer than the header")
        rest = rest[_ADDITION.size + size :]
