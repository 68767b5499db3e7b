"""Headers of the PROXY protocol, as proxies write them."""

import ipaddress
import struct

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
"""How version 2 begins."""
TCP4, TCP6, UDP4, UDP6, UNIX, UNSPECIFIED = 0x11, 0x21, 0x12, 0x22, 0x31, 0x00
LOCAL, PROXY = 0x20, 0x21


def text_header(source: str, port: int = 4711) -> bytes:
    """Return a header of version 1 for a browser at *source*."""
    version = ipaddress.ip_address(source).version
    destination = "192.0.2.1" if version == 4 else "2001:db8::1"
    return f"PROXY TCP{version} {source} {destination} {port} 443\r\n".encode()


def binary_header(source: str, additions: bytes = b"", port: int = 4711) -> bytes:
    """Return a header of version 2 for a browser at *source*.

    :param additions: type, length and value of each.
    """
    address = ipaddress.ip_address(source)
    kind, destination = (
        (TCP4, bytes([192, 0, 2, 1])) if address.version == 4 else (TCP6, bytes(15) + b"\x01")
    )
    ports = struct.pack("!HH", port, 443)
    return raw_header(PROXY, kind, address.packed + destination + ports + additions)


def raw_header(command: int, kind: int, block: bytes = b"", size: int | None = None) -> bytes:
    """Return a header of version 2, right or wrong.

    :param command: with the version.
    :param size: what it says of the block's length; default: the truth.
    """
    following = len(block) if size is None else size
    return SIGNATURE + struct.pack("!BBH", command, kind, following) + block


def addition(kind: int, value: bytes) -> bytes:
    """Return one addition to a header of version 2."""
    return struct.pack("!BH", kind, len(value)) + value
