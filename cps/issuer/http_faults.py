"""The ways in which a web server lets its clients down, on demand."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto, unique
from http import HTTPStatus
from types import MappingProxyType
from typing import Protocol

ELSEWHERE = "http://127.0.0.1:1/elsewhere"
"""Where a redirection leads: nobody may ask there, and nobody would answer."""
PAUSE_SECONDS = 0.1
"""Between two bytes of a slow body."""
SILENT_SECONDS = 60.0
"""How long the connection stays open without an answer."""
OVERSIZE_BYTES = 256 * 1024 * 1024
"""Where an endless body ends after all."""
LONG_HEADER_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_GZIP = 31
"""What zlib calls the format: the largest window, with gzip's head and tail."""
_PORTAL = b"<!doctype html><title>Wi-Fi</title><p>Welcome!</p>"


@unique
class HTTPFault(Enum):
    """What goes wrong with a reply."""

    NOT_FOUND = auto()
    SERVER_ERROR = auto()
    UNAVAILABLE = auto()
    REDIRECT = auto()
    """To an address that nobody configured."""
    REDIRECT_LOOP = auto()
    NOT_MODIFIED = auto()
    """Nothing new, says the server, whatever the client has."""
    NO_REPLY = auto()
    """The connection is closed."""
    SILENT = auto()
    """The connection stays open and nothing comes."""
    GARBAGE = auto()
    """The reply is not HTTP."""
    LONG_HEADER = auto()
    """One header has a megabyte."""
    SLOW_BODY = auto()
    """Ten bytes a second."""
    TRUNCATED = auto()
    """The second half of the body is missing."""
    OVERSIZE = auto()
    """The body never ends; no length is said."""
    OVERSIZE_LENGTH = auto()
    """A length of 256 MiB is said, of which the beginning comes."""
    COMPRESSED = auto()
    """A small body that becomes 256 MiB where it is decompressed."""
    WRONG_TYPE = auto()
    """The right body as text/html."""
    CAPTIVE_PORTAL = auto()
    """A web page with status 200."""
    EMPTY = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server sends."""

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Wire(Protocol):
    """How a reply reaches the client; every method raises OSError when the client is gone."""

    def send(self, reply: Reply) -> None:
        """Send a whole reply, as it should be."""
        ...

    def send_head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        """Send status line and headers, and nothing else."""
        ...

    def send_bytes(self, data: bytes) -> None:
        """Send *data* as it is."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether the server is being stopped."""
        ...


def send_wrongly(reply: Reply, fault: HTTPFault, path: str, wire: Wire) -> None:
    """Send what becomes of *reply* with *fault*.

    :param reply: the right one.
    :param path: what was asked for.
    """
    change = _REPLIES.get(fault)
    if change is not None:
        wire.send(change(reply, path))
    else:
        _MANNERS[fault](reply, wire)


def _no_reply(_reply: Reply, _wire: Wire) -> None:
    """Send nothing: the caller closes the connection."""


def _silent(_reply: Reply, wire: Wire) -> None:
    wire.wait(SILENT_SECONDS)


def _garbage(_reply: Reply, wire: Wire) -> None:
    wire.send_bytes(b"220 mail.invalid ESMTP\r\n")


def _long_header(reply: Reply, wire: Wire) -> None:
    headers = {**_head_of(reply), "X-Long": "x" * LONG_HEADER_BYTES}
    wire.send_head(reply.status, headers)
    wire.send_bytes(reply.body)


def _slow_body(reply: Reply, wire: Wire) -> None:
    wire.send_head(reply.status, _head_of(reply))
    for at in range(len(reply.body)):
        wire.send_bytes(reply.body[at : at + 1])
        if wire.wait(PAUSE_SECONDS):
            return


def _truncated(reply: Reply, wire: Wire) -> None:
    wire.send_head(reply.status, _head_of(reply))
    wire.send_bytes(reply.body[: len(reply.body) // 2])


def _oversize(reply: Reply, wire: Wire) -> None:
    wire.send_head(reply.status, reply.headers)
    wire.send_bytes(reply.body)
    for _ in range(OVERSIZE_BYTES // _CHUNK_BYTES):
        wire.send_bytes(bytes(_CHUNK_BYTES))


def _oversize_length(reply: Reply, wire: Wire) -> None:
    wire.send_head(reply.status, {**reply.headers, "Content-Length": str(OVERSIZE_BYTES)})
    wire.send_bytes(reply.body)
    wire.wait(SILENT_SECONDS)


def _compressed(reply: Reply, wire: Wire) -> None:
    wire.send_head(reply.status, {**reply.headers, "Content-Encoding": "gzip"})
    packer = zlib.compressobj(wbits=_GZIP)
    for _ in range(OVERSIZE_BYTES // _CHUNK_BYTES):
        wire.send_bytes(packer.compress(bytes(_CHUNK_BYTES)))
    wire.send_bytes(packer.flush())


def _head_of(reply: Reply) -> dict[str, str]:
    return {**reply.headers, "Content-Length": str(len(reply.body))}


def _typed(reply: Reply, media_type: str) -> Reply:
    return replace(reply, headers={**reply.headers, "Content-Type": media_type})


_REPLIES: Mapping[HTTPFault, Callable[[Reply, str], Reply]] = MappingProxyType(
    {
        HTTPFault.NOT_FOUND: lambda *_: Reply(status=HTTPStatus.NOT_FOUND),
        HTTPFault.SERVER_ERROR: lambda *_: Reply(status=HTTPStatus.INTERNAL_SERVER_ERROR),
        HTTPFault.UNAVAILABLE: lambda *_: Reply(
            status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "3600"}
        ),
        HTTPFault.REDIRECT: lambda *_: Reply(
            status=HTTPStatus.FOUND, headers={"Location": ELSEWHERE}
        ),
        HTTPFault.REDIRECT_LOOP: lambda _, path: Reply(
            status=HTTPStatus.FOUND, headers={"Location": path}
        ),
        HTTPFault.NOT_MODIFIED: lambda reply, _: Reply(
            status=HTTPStatus.NOT_MODIFIED, headers=reply.headers
        ),
        HTTPFault.WRONG_TYPE: lambda reply, _: _typed(reply, "text/html"),
        HTTPFault.CAPTIVE_PORTAL: lambda *_: Reply(
            status=HTTPStatus.OK, headers={"Content-Type": "text/html"}, body=_PORTAL
        ),
        HTTPFault.EMPTY: lambda reply, _: replace(reply, body=b""),
    }
)
"""Faults that are another reply."""

_MANNERS: Mapping[HTTPFault, Callable[[Reply, Wire], None]] = MappingProxyType(
    {
        HTTPFault.NO_REPLY: _no_reply,
        HTTPFault.SILENT: _silent,
        HTTPFault.GARBAGE: _garbage,
        HTTPFault.LONG_HEADER: _long_header,
        HTTPFault.SLOW_BODY: _slow_body,
        HTTPFault.TRUNCATED: _truncated,
        HTTPFault.OVERSIZE: _oversize,
        HTTPFault.OVERSIZE_LENGTH: _oversize_length,
        HTTPFault.COMPRESSED: _compressed,
    }
)
"""Faults that are in how the reply is sent."""
