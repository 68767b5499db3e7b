"""The relay behind aiohttp's server: as the embedded engine, or behind nginx on a Unix socket."""

import asyncio
import ipaddress
import logging
import resource
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import http_parser, web
from aiohttp.abc import AbstractAccessLogger, AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import StreamReader

from gateway.edge.engine import Answers
from gateway.edge.notices import HEAD_TOO_LARGE, INTERNAL, MALFORMED
from gateway.edge.proxied import ProxiedConnections
from gateway.edge.sockets import protect_socket
from gateway.edge.tls import OneCertificate, PortalCertificates
from gateway.errors import ConfigurationError
from gateway.settings import LimitsSettings, ListenSettings

MAX_CONNECTIONS = 16_384
"""Browsers' connections at a time; a further one takes the place of the one that waits longest."""
MAX_CONNECTIONS_OF_NGINX = 20_000
"""Connections of nginx at a time, one for each WebSocket or stream that is open."""
MAX_FIELDS = 100
"""Header fields of one request."""
IDLE_SECONDS = 75
"""Time for which a browser may take to send a request's head, or wait with the next one."""
HANDSHAKE_SECONDS = 10
"""Time for a TLS handshake."""
FAREWELL_SECONDS = 1
"""Time for a browser to answer the end of TLS; one that hung up never does."""
RETIRE_SECONDS = 25
"""Time for connections to end when another process takes over."""
STOP_SECONDS = 3
"""Time for answers under way when the gateway stops."""

_BACKLOG = 512
_CUT_SECONDS = 1
_RETIRE_PAUSE_SECONDS = 0.05
_LINGER_SECONDS = 2
_SPARE_DESCRIPTORS = 256
_log = logging.getLogger("gateway.edge")


class _RelayServer:
    """The relay with the connections on which it is asked."""

    def __init__(self, relay: Answers, limits: LimitsSettings, *, max_connections: int) -> None:
        require_safe_parser()
        self._relay = relay
        self._protocols = _Protocols(relay, limits, max_connections)
        self._servers: list[asyncio.Server | ProxiedConnections] = []

    async def run(self) -> None:
        await self._relay.watch()

    async def retire(self) -> None:
        """Take no new connection, and wait until those there are have ended, for some time."""
        for server in self._servers:
            server.close()
        self._protocols.retire()
        with suppress(TimeoutError):
            async with asyncio.timeout(RETIRE_SECONDS):
                while self._protocols.connections or any(each.are_begun for each in self._proxied):
                    await asyncio.sleep(_RETIRE_PAUSE_SECONDS)

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        self._protocols.pre_shutdown()
        cut = asyncio.get_running_loop().call_later(STOP_SECONDS, self._protocols.cut_all)
        await self._protocols.shutdown(STOP_SECONDS + _CUT_SECONDS)
        cut.cancel()
        # A connection whose TLS handshake ended meanwhile was not there to be shut down.
        self._protocols.refuse_all()
        for proxied in self._proxied:
            await proxied.cut()
        await self._relay.close()

    async def _listen_on_socket(self, socket: Path, group: str | None) -> None:
        server = await asyncio.get_running_loop().create_unix_server(
            self._protocols, socket, backlog=_BACKLOG
        )
        self._servers.append(server)
        protect_socket(socket, group)

    @property
    def _proxied(self) -> list[ProxiedConnections]:
        return [each for each in self._servers if isinstance(each, ProxiedConnections)]

    @property
    def _port_address(self) -> str:
        """Where the first server listens that has a port."""
        if not self._servers:
            raise RuntimeError("not started")
        host, port = self._servers[0].sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class EmbeddedEngine(_RelayServer):
    """An :class:`gateway.edge.engine.Engine` that needs no second program: for small sites."""

    def __init__(
        self,
        relay: Answers,
        *,
        listen: ListenSettings,
        limits: LimitsSettings,
        listening: socket.socket | None = None,
        certificates: PortalCertificates | None = None,
    ) -> None:
        """Take a relay of the running event loop.

        :param listening: a socket on which it is to wait; default: one of its own.
        :param certificates: of several portals; default: the one that *listen* names.
        :raises ConfigurationError: for TLS files that cannot be used, or a parser that must not.
        """
        super().__init__(relay, limits, max_connections=MAX_CONNECTIONS)
        self._listen = listen
        self._listening = listening
        self._certificates = certificates or OneCertificate(listen)

    @property
    def address(self) -> str:
        return self._port_address

    async def start(self) -> None:
        if self._listen.proxy_protocol:
            self._start_proxied()
            return
        server = await asyncio.get_running_loop().create_server(
            self._protocols, **self._place(), **self._tls(), backlog=_BACKLOG
        )
        self._servers.append(server)

    def _start_proxied(self) -> None:
        """Listen for proxies that say whose connection it is, before TLS where it is spoken."""

        async def serve(connection: socket.socket, peer: str) -> None:
            await asyncio.get_running_loop().connect_accepted_socket(
                partial(self._protocols, peer), connection, **self._tls()
            )

        networks = [ipaddress.ip_network(each) for each in self._listen.trusted_proxies]
        proxied = ProxiedConnections(self._listening or self._open(), networks, serve)
        proxied.start()
        self._servers.append(proxied)

    def _open(self) -> socket.socket:
        address = (self._listen.address, self._listen.port)
        family = socket.AF_INET6 if ":" in self._listen.address else socket.AF_INET
        return socket.create_server(address, family=family, backlog=_BACKLOG)

    def _tls(self) -> dict[str, Any]:
        """Return how TLS is spoken, as the event loop takes it."""
        if self._certificates.context is None:
            return {}
        return {
            "ssl": self._certificates.context,
            "ssl_handshake_timeout": HANDSHAKE_SECONDS,
            "ssl_shutdown_timeout": FAREWELL_SECONDS,
        }

    def _place(self) -> dict[str, Any]:
        """Return where to listen, as the event loop takes it."""
        if self._listening is not None:
            return {"sock": self._listening}
        return {"host": self._listen.address, "port": self._listen.port}

    async def reload(self) -> None:
        self._certificates.reload()


class RelayBehindNginx(_RelayServer):
    """The relay for what nginx passes on: what lives long, and who has no session."""

    def __init__(self, relay: Answers, *, socket: Path, limits: LimitsSettings) -> None:
        """Take a relay of the running event loop.

        :param socket: the Unix socket on which nginx asks.
        :raises ConfigurationError: for a parser that must not be used.
        """
        super().__init__(relay, limits, max_connections=MAX_CONNECTIONS_OF_NGINX)
        self._socket = socket

    async def start(self) -> None:
        """Listen.

        :raises OSError: where the socket cannot be made.
        """
        await self._listen_on_socket(self._socket, None)


class RelayBehindProxy(_RelayServer):
    """An :class:`gateway.edge.engine.Engine` behind a proxy that is not ours.

    It answers on a Unix socket, and on a port of this machine for proxies that know no such socket.
    """

    def __init__(
        self,
        relay: Answers,
        *,
        socket: Path,
        group: str | None,
        listen: ListenSettings,
        limits: LimitsSettings,
    ) -> None:
        """Take a relay of the running event loop.

        :param group: who may open the socket besides the gateway's own user.
        :raises ConfigurationError: for a parser that must not be used.
        """
        super().__init__(relay, limits, max_connections=MAX_CONNECTIONS_OF_NGINX)
        self._socket = socket
        self._group = group
        self._listen = listen

    @property
    def address(self) -> str:
        return f"{self._socket} and {self._port_address}"

    async def start(self) -> None:
        """Listen.

        :raises ConfigurationError: for a group that the gateway's user is not in.
        :raises OSError: where the socket cannot be made, or the port is taken.
        """
        server = await asyncio.get_running_loop().create_server(
            self._protocols, self._listen.address, self._listen.port, backlog=_BACKLOG
        )
        self._servers.append(server)
        await self._listen_on_socket(self._socket, self._group)

    async def reload(self) -> None:
        """Do nothing: the proxy has the certificates."""


def require_safe_parser() -> None:
    """Refuse aiohttp without its compiled parser: the other one let smuggled requests through.

    :raises ConfigurationError: where the installed aiohttp has no compiled parser.

    Source: CVE-2025-69224.
    """
    if http_parser.HttpRequestParser.__module__ != "aiohttp._http_parser":
        reason = "its compiled HTTP parser is missing; install a wheel, unset AIOHTTP_NO_EXTENSIONS"
        raise ConfigurationError("aiohttp", "(package)", reason)


class _Protocols(web.Server):
    """Makes a protocol for each connection, up to the limit.

    A connection beyond it takes the place of the one that has waited longest without a request, so
    that whoever only holds connections keeps nobody out; where all are in use it is closed.
    """

    def __init__(self, relay: Answers, limits: LimitsSettings, max_connections: int) -> None:
        super().__init__(
            self._answer,
            request_factory=self._request,
            # A browser that goes away frees its connection to the portal at once.
            handler_cancellation=True,
        )
        self._relay = relay
        self._limits = limits
        self._max_connections = min(max_connections, _connections_allowed())
        self._open: set[web.RequestHandler] = set()
        # The connections on which no request is answered, longest first.
        self._waiting: dict[web.RequestHandler, None] = {}
        self._retires = False
        self._refuses = False

    def __call__(self, peer: str | None = None) -> "_Protocol":
        """Return what answers on a new connection.

        :param peer: whom a proxy names as its browser; default: who is at its other end.
        """
        return _Protocol(self, self._relay, self._limits, peer)

    def retire(self) -> None:
        """Have each connection end with the next answer on it."""
        self._retires = True

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        """Return a request that came; one to a process that retires is the connection's last."""
        if self._retires:
            message = message._replace(should_close=True)
        loop = asyncio.get_running_loop()
        peer = protocol.peer if isinstance(protocol, _Protocol) else ""
        return web.BaseRequest(message, payload, protocol, writer, task, loop, remote=peer)

    def cut_all(self) -> None:
        """Cut every connection, and with it what is being answered on it."""
        for protocol in self.connections:
            if protocol.transport is not None:
                protocol.transport.abort()

    def refuse_all(self) -> None:
        """Cut every connection, and each that comes from now on."""
        self._refuses = True
        self.cut_all()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if self._refuses:
            transport.abort()
        self._open.add(handler)
        self._waiting[handler] = None
        if len(self._open) > self._max_connections:
            # Where nobody else waits it is the new one.
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            if longest.transport is not None:
                longest.transport.abort()

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        super().connection_lost(handler, exc)
        self._open.discard(handler)
        self._waiting.pop(handler, None)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = request.protocol
        self._waiting.pop(handler, None)
        try:
            return await self._relay.handle(request)
        finally:
            if handler in self._open:
                self._waiting[handler] = None


def _connections_allowed() -> int:
    """Return for how many connections this process has files, with one to the portal for each."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS_OF_NGINX
    return max(1, (soft - _SPARE_DESCRIPTORS) // 2)


class _NoAccessLog(AbstractAccessLogger):
    """Logs nothing: lines of requests hold queries, and queries hold one-time codes."""

    @property
    def enabled(self) -> bool:
        return False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Do nothing; never called, because it is not enabled."""


class _Protocol(web.RequestHandler):
    """One connection; what cannot be parsed gets the relay's own answer, not aiohttp's."""

    __slots__ = ("_relay", "peer")

    def __init__(
        self, manager: _Protocols, relay: Answers, limits: LimitsSettings, peer: str | None
    ) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            access_log_class=_NoAccessLog,
            auto_decompress=False,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=MAX_FIELDS,
        )
        self._relay = relay
        self.peer = peer

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP request; *message* is not shown, it quotes the request.

        :raises ConnectionError: where an answer has begun, or nobody waits for one any more.
        """
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("answer broken off")
        if isinstance(exc, LineTooLong):
            notice = HEAD_TOO_LARGE
        else:
            notice = MALFORMED if status == MALFORMED.status else INTERNAL
        return self._relay.refuse(request, notice, f"not HTTP: {type(exc).__name__}")

    def log_exception(self, *args: object, **facts: object) -> None:
        """Log that a connection failed; aiohttp's own line could quote what a browser sent."""
        _log.error("a connection failed: %s", type(facts.get("exc_info")).__name__)
