"""Passing a request on and its answer back: streamed both ways, never held, decoded or followed."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from cps.authtoken.codes import ErrorCode
from gateway.client_tls import client_context
from gateway.edge.body import RequestBody
from gateway.edge.headers import Fields, content_length, passed_response_fields
from gateway.edge.pages import SERVER_NAME
from gateway.errors import UpstreamError
from gateway.settings import LimitsSettings, PortalSettings

MAX_PORTAL_CONNECTIONS = 20_000
"""Connections to the portal at a time: one for each open WebSocket or stream of a browser."""
MAX_CONTROL_CONNECTIONS = 1000
"""Connections to the control plane at a time; further requests wait for one."""
IDLE_CONNECTION_SECONDS = 10
"""Time for which a connection to the portal is kept for the next request."""
STALL_SECONDS = 60
"""Longest time for which a browser may take nothing of an answer."""

BeforeAnswer = Callable[[int], Awaitable[None]]
"""Called with an answer's status before its first byte goes to the browser; may refuse it."""

_PIECE_BYTES = 65536
_EVENT_STREAM = "text/event-stream"


class Backend:
    """A server behind the relay: the portal or the control plane."""

    def __init__(self, session: aiohttp.ClientSession, base: str, *, own_cookies: bool) -> None:
        """Take an open client session.

        :param base: scheme, host and port of the server.
        :param own_cookies: whether the server may set the gateway's cookies.
        """
        self._session = session
        self._base = base
        self._own_cookies = own_cookies

    @classmethod
    def portal(cls, portal: PortalSettings, limits: LimitsSettings) -> Self:
        """Return the portal; needs a running event loop.

        :raises ConfigurationError: for files of its TLS that cannot be used.
        """
        connector = aiohttp.TCPConnector(
            limit=MAX_PORTAL_CONNECTIONS,
            keepalive_timeout=IDLE_CONNECTION_SECONDS,
            ssl=_portal_tls(portal) if portal.upstream.startswith("https:") else True,
        )
        return cls(_client(connector, limits), portal.upstream, own_cookies=False)

    @classmethod
    def control_plane(cls, socket: Path, limits: LimitsSettings) -> Self:
        """Return the control plane; needs a running event loop.

        :param socket: the Unix socket on which it listens.
        """
        connector = aiohttp.UnixConnector(
            str(socket), limit=MAX_CONTROL_CONNECTIONS, keepalive_timeout=IDLE_CONNECTION_SECONDS
        )
        return cls(_client(connector, limits), "http://control-plane", own_cookies=True)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    def url(self, target: str) -> URL:
        """Return the address of *target*, which is used as it is."""
        return URL(self._base + target, encoded=True)

    async def ask(
        self, method: str, target: str, fields: Fields, body: RequestBody | bytes | None
    ) -> aiohttp.ClientResponse:
        """Send a request and return the answer, of which only the head was read.

        :param target: a canonical request target.
        :param body: ``None`` where the request has none; a stream's length is among the *fields*.
        :raises RefusedRequestError: for a body that broke off.
        :raises UpstreamError: where no answer comes.
        """
        try:
            return await self._session.request(
                method,
                self.url(target),
                headers=CIMultiDict(fields),
                data=body,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            if isinstance(body, RequestBody) and body.refusal is not None:
                raise body.refusal from exc
            raise upstream_error(exc) from exc

    async def open_websocket(
        self, target: str, fields: Fields, *, protocols: tuple[str, ...], max_message: int
    ) -> "aiohttp.ClientWebSocketResponse[bool]":
        """Open a WebSocket to the server.

        :param protocols: the subprotocols that the browser offers.
        :param max_message: bytes of the largest message taken.
        :raises UpstreamError: where the server does not open one.
        """
        try:
            return await self._session.ws_connect(
                self.url(target),
                headers=CIMultiDict(fields),
                protocols=protocols,
                autoping=False,
                autoclose=False,
                max_msg_size=max_message,
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise upstream_error(exc) from exc

    async def forward(
        self,
        request: web.BaseRequest,
        target: str,
        fields: Fields,
        body: RequestBody | bytes | None,
        *,
        before: BeforeAnswer | None = None,
    ) -> web.StreamResponse:
        """Pass *request* on and its answer back, and return the answer.

        :param target: a canonical request target.
        :param fields: what may pass of the request's header, with what the gateway adds.
        :param before: what is done before the answer begins.
        :raises RefusedRequestError: for a body that broke off before the answer began.
        :raises UpstreamError: where the server fails before the answer began.
        :raises ConnectionError: where it fails later; the browser's connection is cut, so that
            half an answer never looks whole.
        """
        upstream = await self.ask(request.method, target, fields, body)
        try:
            response = self._head(upstream)
            if before is not None:
                await before(upstream.status)
            _lift_read_limit(upstream)
            await self._pass_back(request, response, upstream)
        finally:
            # Ends a transfer that is still under way; a connection at rest is kept already.
            upstream.close()
        return response

    def _head(self, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        if not HTTPStatus.OK <= upstream.status <= 599:
            raise UpstreamError(ErrorCode.UPSTREAM_UNAVAILABLE, "answer with an unknown status")
        fields = passed_response_fields(upstream.raw_headers, own_cookies=self._own_cookies)
        response = web.StreamResponse(
            status=upstream.status, reason=_reason(upstream.reason), headers=CIMultiDict(fields)
        )
        response.headers.setdefault(hdrs.SERVER, SERVER_NAME)
        if hdrs.TRANSFER_ENCODING not in upstream.headers:
            length = content_length(upstream.raw_headers)
            if length is not None:
                response.headers[hdrs.CONTENT_LENGTH] = length
        return response

    async def _pass_back(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        upstream: aiohttp.ClientResponse,
    ) -> None:
        await response.prepare(request)
        try:
            while piece := await upstream.content.readany():
                async with asyncio.timeout(STALL_SECONDS):
                    await response.write(piece)
            await response.write_eof()
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionError("answer broken off") from exc


def upstream_error(exc: Exception) -> UpstreamError:
    """Return what *exc*, from aiohttp's client, means: the one place that maps its errors."""
    if isinstance(exc, TimeoutError):
        return UpstreamError(ErrorCode.UPSTREAM_TIMEOUT, type(exc).__name__)
    return UpstreamError(ErrorCode.UPSTREAM_UNAVAILABLE, type(exc).__name__)


def _portal_tls(portal: PortalSettings) -> ssl.SSLContext:
    files = portal.upstream_ca, portal.upstream_certificate, portal.upstream_key
    return client_context(*files, keys="portal.upstream_")


def _client(connector: aiohttp.BaseConnector, limits: LimitsSettings) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=(hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT),
        timeout=aiohttp.ClientTimeout(
            total=None,
            connect=limits.upstream_connect_seconds,
            sock_read=limits.upstream_read_seconds,
        ),
        read_bufsize=_PIECE_BYTES,
        max_line_size=limits.header_bytes,
        max_field_size=limits.header_bytes,
    )


def _lift_read_limit(upstream: aiohttp.ClientResponse) -> None:
    """Let an event stream be silent: it has nothing to say until something happens."""
    if upstream.content_type == _EVENT_STREAM and upstream.connection is not None:
        protocol = upstream.connection.protocol
        if protocol is not None:
            protocol.read_timeout = None
            protocol.start_timeout()


def _reason(reason: str | None) -> str | None:
    """Return the server's reason phrase where it is plain text, else ``None`` for the usual one."""
    if reason and reason.isascii() and reason.isprintable():
        return reason
    return None
