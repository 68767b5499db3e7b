"""The loopback HTTP server: two kinds of request, answered by a page or by the way back."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from cps.agent.checks import (
    PeerCheck,
    Refusal,
    RefusedRequestError,
    came_by_a_click,
    is_start,
    read_request,
    read_start_request,
)
from cps.agent.handover import Handover
from cps.agent.pages import Failure, Pages
from cps.agent.peer import peer_user
from cps.agent.portals import Portals
from cps.agent.progress import Stage
from cps.agent.signin import LoginRequest
from cps.agent.workflow import Workflow
from cps.authtoken.catalogue import DEFAULT_LANGUAGE, best_language

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What the server takes from whoever connects."""

    header_seconds: float = 5.0
    """A connection that has not sent a whole request by then is closed."""
    connections: int = 256
    """Open at the same time; a further one takes the place of the oldest that has not asked for
    anything, and where each one has, is closed at once. A hundred may be accepted at a time, and
    there is room for more than twice that: a flood must not push out a browser that just came."""
    line_bytes: int = 2048
    """Method, target and version together."""
    field_bytes: int = 8190
    """One header field: a browser sends what cookies other programs of this machine have set."""
    fields: int = 64
    linger_seconds: float = 1.0
    """How long what is left of a refused request is read and thrown away."""


class AgentServer:
    """Answers the browser.

    :param portals: which portals there are.
    :param workflow: where sign-ins run.
    :param handover: logins that began here, and wait for their browser.
    :param pages: what is shown.
    :param belongs_to_user: whose connection it is; see :data:`cps.agent.checks.PeerCheck`.
    """

    def __init__(
        self,
        *,
        portals: Portals,
        workflow: Workflow,
        handover: Handover,
        pages: Pages,
        belongs_to_user: PeerCheck,
        limits: ServerLimits,
    ) -> None:
        self._portals = portals
        self._workflow = workflow
        self._handover = handover
        self._pages = pages
        self._belongs_to_user = belongs_to_user
        self._limits = limits
        self._http: _HTTPServer | None = None
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer on a socket that already listens."""
        self._http = _HTTPServer(self._answer, pages=self._pages, limits=self._limits)
        self._server = await asyncio.get_running_loop().create_server(self._accept, sock=listener)

    async def close(self) -> None:
        """Stop answering, and end the sign-in under way."""
        if self._server is not None:
            self._server.close()
        await self._workflow.close()
        if self._http is not None:
            await self._http.shutdown(timeout=0.5)

    def _accept(self) -> asyncio.Protocol:
        assert self._http is not None  # noqa: S101 - set before the server exists
        if len(self._http.open) >= self._limits.connections and not self._http.drop_oldest_idle():
            return _Closing()
        return self._http()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request.protocol, _Connection):
            request.protocol.asked = True
        language = best_language(request.headers.get("Accept-Language"))
        try:
            if is_start(request):
                key = read_start_request(request, self._belongs_to_user)
                return self._pages.redirect(self._handover.take(key))
            return await self._sign_in(request, language)
        except RefusedRequestError as exc:
            _LOG.warning("a request was refused: %s", exc.refusal.value)
            return self._pages.refused(exc, language)

    async def _sign_in(self, request: web.BaseRequest, language: str) -> web.StreamResponse:
        rid, host = read_request(request, self._belongs_to_user)
        self._workflow.require_room(rid)
        origin = self._portals.origin_of(host)
        if origin is None:
            self._workflow.count_refusal()
            raise RefusedRequestError(Refusal.PORTAL)
        login = LoginRequest(
            rid=rid, origin=origin, language=language, clicked=came_by_a_click(request)
        )
        news = await self._workflow.news(login)
        match news:
            case Stage():
                return self._pages.waiting(news, language)
            case Failure():
                return self._pages.failed(news, origin, language)
            case _:
                return self._pages.redirect(news.redirect)


def belongs_to_this_user(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Return whether the client's end of a loopback connection belongs to the agent's own user.

    Only Linux says; elsewhere every user of the machine is taken for ours.
    """
    return not tells_users_apart() or peer_user(client, server) == os.getuid()


def tells_users_apart() -> bool:
    """Return whether this system says to which user a connection belongs."""
    return sys.platform == "linux"


class _HTTPServer(web.Server):
    """aiohttp's server, with our bounds and our own pages for what never reaches the handler."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        pages: Pages,
        limits: ServerLimits,
    ) -> None:
        # A browser that goes away ends its wait at once.
        super().__init__(handler, handler_cancellation=True)
        self._pages = pages
        self.open: dict[_Connection, None] = {}
        """In the order in which they came. Counted from the acceptance on: aiohttp itself counts
        only once a connection is set up, which a burst of connections would outrun."""
        self._settings: dict[str, Any] = {
            "access_log": None,  # Its lines would hold the request id.
            "keepalive_timeout": limits.header_seconds,
            "lingering_time": limits.linger_seconds,
            "max_line_size": limits.line_bytes,
            "max_field_size": limits.field_bytes,
            "max_headers": limits.fields,
        }

    def __call__(self) -> web.RequestHandler:
        connection = _Connection(
            self, pages=self._pages, loop=asyncio.get_running_loop(), **self._settings
        )
        self.open[connection] = None
        return connection

    def drop_oldest_idle(self) -> bool:
        """Close the connection that has kept its place for the longest without asking anything.

        :returns: whether there was one.
        """
        idle = next((each for each in self.open if not each.asked), None)
        if idle is None:
            return False
        del self.open[idle]
        idle.drop()
        return True


class _Connection(web.RequestHandler):
    def __init__(self, server: _HTTPServer, *, pages: Pages, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(server, **settings)
        self._open = server.open
        self._pages = pages
        self.asked = False
        """Whether a whole request has come."""
        self._dropped = False

    def drop(self) -> None:
        """Close at once, or as soon as the connection is set up."""
        self._dropped = True
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._dropped:
            self.drop()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._open.pop(self, None)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status < 500:
            # Without the exception, whose text repeats what was sent.
            _LOG.warning("a request was refused: %s", Refusal.NOT_HTTP.value)
            return self._pages.refused(RefusedRequestError(Refusal.NOT_HTTP), DEFAULT_LANGUAGE)
        _LOG.error("a request could not be answered", exc_info=exc)
        return self._pages.broken(DEFAULT_LANGUAGE)


class _Closing(asyncio.Protocol):
    """What a connection too many gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
