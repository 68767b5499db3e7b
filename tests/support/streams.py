"""Answers that never end by themselves: a portal that gives them, and a browser that holds them."""

import base64
import hashlib
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from tests.support.browser import Browser
from tests.support.relay import Message, Wire

PAUSE_SECONDS = 0.02
CUT_SECONDS = 10.0
"""Longer than any cut may take: then the test fails."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
TARGETS = ("/events", "/socket", "/download")
"""An event stream, a WebSocket and a download."""


@dataclass(slots=True)
class EndlessPortal:
    """Answers each of :data:`TARGETS` without end, and notes when it learns that nobody reads."""

    ended_at: list[float] = field(default_factory=list)

    def __call__(self, wire: Wire) -> None:
        request = wire.request()
        head, piece = {
            "/events": _event_stream,
            "/socket": _websocket,
            "/download": _download,
        }[request.target](request)
        wire.send(head)
        ended = threading.Event()
        if request.target == "/socket":
            threading.Thread(target=_await_farewell, args=(wire, ended)).start()
        with suppress(OSError):
            while not ended.wait(PAUSE_SECONDS):
                wire.send(piece)
        self.ended_at.append(time.monotonic())


class Place(Protocol):
    """Where a gateway is."""

    @property
    def origin(self) -> str:
        """Its origin."""

    @property
    def tls(self) -> ssl.SSLContext:
        """How an origin of https proves itself."""


class OpenStream:
    """One such answer, read by a browser until it is cut."""

    def __init__(self, line: Place, browser: Browser, target: str) -> None:
        scheme, host = urlsplit(line.origin)[:2]
        lines = [f"GET {target} HTTP/1.1", f"Host: {host}"]
        if target == "/socket":
            lines += [*_HANDSHAKE, f"Origin: {line.origin}"]
        pairs = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        lines.append(f"Cookie: {pairs}")
        address = host.rsplit(":", 1)
        plain = socket.create_connection((address[0], int(address[1])), CUT_SECONDS)
        self._socket = plain
        if scheme == "https":
            self._socket = line.tls.wrap_socket(plain, server_hostname=address[0])
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = self._socket.recv(1)
        while b"\r\n\r\n" not in head:
            head += self._socket.recv(1)
        wanted = b"101" if target == "/socket" else b"200"
        assert head.split(b" ")[1] == wanted, head
        assert self._socket.recv(1), "the answer has begun"
        self._ended_at: float | None = None
        self._thread = threading.Thread(target=self._read, name=f"reads {target}")
        self._thread.start()

    def require_open(self) -> None:
        """Check that the answer still comes."""
        assert self._ended_at is None

    def cut_at(self) -> float:
        """Wait for the cut and return when it was, by the clock of :func:`time.monotonic`."""
        self._thread.join(CUT_SECONDS)
        assert self._ended_at is not None, "not cut"
        return self._ended_at

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(CUT_SECONDS)
        self._socket.close()

    def _read(self) -> None:
        with suppress(OSError):
            while self._socket.recv(65536):
                pass
        self._ended_at = time.monotonic()


def open_all(line: Place, browser: Browser) -> list[OpenStream]:
    """Open one answer of each kind."""
    return [OpenStream(line, browser, target) for target in TARGETS]


def _await_farewell(wire: Wire, ended: threading.Event) -> None:
    """Wait for what the relay sends of its own accord: a close frame, or the end."""
    with suppress(OSError, EOFError):
        wire.exactly(1)
    ended.set()


def _event_stream(request: Message) -> tuple[bytes, bytes]:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"b\r\ndata: tick\n\r\n",
    )


def _download(request: Message) -> tuple[bytes, bytes]:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", bytes(65536)


def _websocket(request: Message) -> tuple[bytes, bytes]:
    key = (request.one("Sec-WebSocket-Key") or "").encode()
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n", b"\x81\x04tick"
