"""WebSockets: two connections with messages passed between them, ended together."""

import asyncio
import re
from http import HTTPStatus

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from gateway.edge.forward import Backend, BeforeAnswer
from gateway.edge.headers import Fields, without_handshake
from gateway.edge.notices import FORBIDDEN, MALFORMED, RefusedRequestError

MAX_MESSAGE_BYTES = 4 * 1024**2
"""Largest message passed on; a larger one ends both connections."""

_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_SENDABLE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
"""Codes that may stand in a close frame. Source: RFC 6455 §7.4."""

_Side = web.WebSocketResponse[bool] | aiohttp.ClientWebSocketResponse[bool]


def require_handshake(request: web.BaseRequest, *, origin: str) -> None:
    """Refuse an upgrade that is not a WebSocket opened by a page of the portal.

    Scripts of other sites may open WebSockets anywhere and read what comes, so the origin counts
    here as it does for no other request.

    :param origin: the portal's own.
    :raises RefusedRequestError: 400 for another protocol, 403 for another origin.

    Source: RFC 6455 §4.2.1, §10.2.
    """
    headers = request.headers
    connection = ",".join(headers.getall(hdrs.CONNECTION, [])).lower()
    if (
        request.method != hdrs.METH_GET
        or headers.getall(hdrs.UPGRADE) != ["websocket"]
        or "upgrade" not in (token.strip() for token in connection.split(","))
        or headers.getall(hdrs.SEC_WEBSOCKET_VERSION, []) != ["13"]
        or not _KEY.fullmatch(headers.get(hdrs.SEC_WEBSOCKET_KEY, ""))
        or request.can_read_body
    ):
        raise RefusedRequestError(MALFORMED, "upgrade that is no WebSocket")
    if headers.getall(hdrs.ORIGIN, []) != [origin]:
        raise RefusedRequestError(FORBIDDEN, "WebSocket opened by another origin")


async def pass_websocket(
    request: web.BaseRequest,
    backend: Backend,
    target: str,
    fields: Fields,
    *,
    before: BeforeAnswer | None = None,
) -> web.StreamResponse:
    """Open the same WebSocket on *backend* and pass messages both ways until one side ends.

    Compression is agreed with neither side, so that no message grows in our memory.

    :param target: a canonical request target.
    :param fields: what may pass of the request's header, with what the gateway adds.
    :param before: what is done before the browser hears that it is open.
    :raises UpstreamError: where the backend does not open it.
    """
    offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
    upstream = await backend.open_websocket(
        target,
        without_handshake(fields),
        protocols=tuple(name.strip() for name in offered if name.strip()),
        max_message=MAX_MESSAGE_BYTES,
    )
    browser: web.WebSocketResponse[bool] = web.WebSocketResponse(
        protocols=(upstream.protocol,) if upstream.protocol else (),
        autoping=False,
        autoclose=False,
        compress=False,
        max_msg_size=MAX_MESSAGE_BYTES,
    )
    try:
        if before is not None:
            await before(HTTPStatus.SWITCHING_PROTOCOLS)
        await browser.prepare(request)
        code, reason = await _first_end(browser, upstream)
        # The portal first: with the browser's connection this task ends too.
        await upstream.close(code=code, message=reason)
        await browser.close(code=code, message=reason)
    finally:
        await upstream.close(code=WSCloseCode.GOING_AWAY)
    return browser


async def _first_end(one: _Side, other: _Side) -> tuple[int, bytes]:
    """Pass messages both ways until one side ends; return the code and reason it gave."""
    tasks = (
        asyncio.create_task(_pass_messages(one, other)),
        asyncio.create_task(_pass_messages(other, one)),
    )
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _pass_messages(source: _Side, sink: _Side) -> tuple[int, bytes]:
    """Pass messages from *source* until it ends, and return the code and reason it gave."""
    try:
        while True:
            message = await source.receive()
            match message.type:
                case WSMsgType.TEXT:
                    await sink.send_str(message.data)
                case WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
                case WSMsgType.PING:
                    await sink.ping(message.data)
                case WSMsgType.PONG:
                    await sink.pong(message.data)
                case WSMsgType.CLOSE:
                    return _sendable(message.data), (message.extra or "").encode()
                case _:
                    # A message too large or broken, or a lost connection; the code says which.
                    return _sendable(source.close_code), b""
    except ConnectionError:
        return WSCloseCode.GOING_AWAY, b""


def _sendable(code: int | None) -> int:
    """Return *code* where it may be sent; some only say that none was received."""
    return code if code is not None and code in _SENDABLE_CODES else WSCloseCode.GOING_AWAY
