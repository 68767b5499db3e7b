"""Connections that only trusted proxies make: each says first whose it is, or ends.

The header is taken off the socket byte by byte as it is understood, and not one byte more: what
follows, be it TLS or HTTP, finds the connection as if the browser had made it.
"""

import asyncio
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress

from gateway.edge.peer import address_text
from gateway.edge.proxies import Network, is_trusted
from gateway.edge.proxy_protocol import MAX_BINARY_BYTES, header_size, read_header

HEADER_SECONDS = 5
"""Time for the whole header, which proxies send at once."""
MAX_AWAITED = 1024
"""Connections at a time whose header is awaited; a further one takes the longest's place."""

_ACCEPTED_AT_ONCE = 128
_PAUSE_SECONDS = 1
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
Serve = Callable[[socket.socket, str], Awaitable[object]]
"""Serves a connection from where its header ends; told the browser's address, empty where the
header names nobody."""
_log = logging.getLogger("gateway.edge")


class ProxiedConnections:
    """What takes connections from a listening socket, and serves those of trusted proxies."""

    def __init__(self, listening: socket.socket, trusted: Sequence[Network], serve: Serve) -> None:
        """Take a socket that listens; it is closed with this.

        :param trusted: networks of the proxies.
        """
        listening.setblocking(False)
        self._listening = listening
        self._trusted = tuple(trusted)
        self._serve = serve
        self._loop = asyncio.get_running_loop()
        # Whose header is awaited, longest first.
        self._awaited: dict[socket.socket, None] = {}
        self._begun: set[asyncio.Task[None]] = set()
        self._paused: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The socket that listens."""
        return (self._listening,)

    @property
    def are_begun(self) -> bool:
        """Whether there are connections that are not yet served."""
        return bool(self._begun)

    def start(self) -> None:
        """Take connections from now on."""
        self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Take no more connections; those that have begun go on."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    async def cut(self) -> None:
        """End the connections that are not yet served."""
        begun = tuple(self._begun)
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, address = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                if exc.errno in _EXHAUSTED:
                    self._pause(exc)
                    return
                continue  # It ended before it was taken.
            connection.setblocking(False)
            self._begin(connection, str(address[0]))

    def _pause(self, reason: OSError) -> None:
        """Wait, where the system has no room: the socket would be found ready again and again."""
        _log.error("no connection can be taken: %s", os.strerror(reason.errno or 0))
        self._loop.remove_reader(self._listening)
        self._paused = self._loop.call_later(_PAUSE_SECONDS, self.start)

    def _begin(self, connection: socket.socket, host: str) -> None:
        # The system tells a zone with an address of one link.
        proxy = ipaddress.ip_address(host.partition("%")[0])
        if not is_trusted(proxy, self._trusted):
            _refuse(connection, f"{proxy} is no trusted proxy")
            return
        if len(self._awaited) >= MAX_AWAITED:
            self._give_up_the_longest()
        self._awaited[connection] = None
        task = self._loop.create_task(self._take(connection, str(proxy)))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

    def _give_up_the_longest(self) -> None:
        longest = next(iter(self._awaited))
        del self._awaited[longest]
        _log.warning("a connection is closed: %d other PROXY headers are awaited", MAX_AWAITED)
        with suppress(OSError):
            longest.shutdown(socket.SHUT_RDWR)  # Its task finds that it has ended.

    async def _take(self, connection: socket.socket, proxy: str) -> None:
        with ExitStack() as held:
            held.enter_context(connection)
            try:
                async with asyncio.timeout(HEADER_SECONDS):
                    address = read_header(await _receive_header(connection))
            except TimeoutError:
                _refuse(connection, f"proxy {proxy}: no PROXY header within {HEADER_SECONDS} s")
                return
            except ValueError as exc:
                _refuse(connection, f"proxy {proxy}: {exc}")
                return
            except OSError:
                return  # It hung up: a look at whether we listen.
            finally:
                self._awaited.pop(connection, None)
            held.pop_all()
        # A handshake that fails is the browser's affair, as everywhere.
        with suppress(OSError):
            await self._serve(connection, "" if address is None else address_text(address))


def _refuse(connection: socket.socket, reason: str) -> None:
    _log.warning("a connection is closed: %s", reason)
    connection.close()


async def _receive_header(connection: socket.socket) -> bytes:
    """Return the header with which *connection* begins, and leave there what follows it.

    :raises ValueError: as soon as it is none.
    :raises OSError: where the connection ends before.
    """
    header = b""
    while True:
        await _readable(connection)
        seen = connection.recv(MAX_BINARY_BYTES, socket.MSG_PEEK)
        if not seen:
            raise ConnectionAbortedError("ended before its header")
        size = header_size(header + seen)
        # Where the end is not in sight all that was seen is of the header.
        header += connection.recv(len(seen) if size is None else size - len(header))
        if len(header) == size:
            return header


async def _readable(connection: socket.socket) -> None:
    """Wait until *connection* has something to read, or has ended."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(connection, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(connection)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
