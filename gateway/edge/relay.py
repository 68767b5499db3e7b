"""The relay: every request to the portal, in the one order of checks that ends in refusal.

Request → canonical target → session → the fields that may pass → portal, and its answer back.
"""

import asyncio
import json
import logging
import traceback
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
from aiohttp import HttpVersion11, hdrs, web

from cps.authtoken.codes import ErrorCode
from gateway.clock import Clock
from gateway.edge.body import RequestBody
from gateway.edge.feed import EndFeed
from gateway.edge.forward import Backend, BeforeAnswer
from gateway.edge.headers import Fields, control_plane_fields, portal_fields, values_of
from gateway.edge.notices import (
    BODY_TOO_SLOW,
    FORM_NOT_SENT,
    HEAD_TOO_LARGE,
    INTERNAL,
    LOGIN_UNAVAILABLE,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OLD_VERSION,
    PORTAL_TIMEOUT,
    PORTAL_UNAVAILABLE,
    SESSION_REQUIRED,
    STEP_UP,
    Notice,
    RefusedRequestError,
)
from gateway.edge.pages import LOGIN_PATH, OwnPages, is_navigation
from gateway.edge.peer import PeerOf, peer_of_connection
from gateway.edge.streams import OpenStreams
from gateway.edge.target import CONTROL_PATH, INTERNAL_PATH, Target, read_target, require_host
from gateway.edge.watch import Watch, Watched
from gateway.edge.websocket import pass_websocket, require_handshake
from gateway.errors import (
    LoginRejectedError,
    SessionRequiredError,
    StoreUnavailableError,
    UpstreamError,
)
from gateway.guard.routes import Match
from gateway.incident import new_incident
from gateway.metrics.model import Metrics
from gateway.session.cookie import SESSION_COOKIE, cookie_hash, read_cookie
from gateway.session.model import Session, SessionStore
from gateway.settings import Settings
from gateway.tracing import TRACE_FIELDS, Tracing

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What may be asked of the portal; no TRACE, which would show a page our header fields."""
MAX_CONTROL_BODY = 65536
"""Largest body passed to the control plane, bytes."""
COUNTED_OUT_SECONDS = 1.0
"""How long a connection on which too much was asked for is not listened to."""
CONTROL_BODY_SECONDS = 20
"""Time in which the whole of such a body must come."""

_MAX_LOCATION_BYTES = 4096
_log = logging.getLogger("gateway.edge")


class Signer(Protocol):
    """Signs who a session belongs to, for the portal."""

    def assertion(self, session: Session, now: datetime) -> str:
        """Return the signed statement, good for about a minute."""


def create_relay(
    *,
    settings: Settings,
    clock: Clock,
    sessions: SessionStore,
    signer: Signer,
    control_socket: Path,
    peer_of: PeerOf = peer_of_connection,
    watch: Watch | None = None,
    kind: type["Relay"] | None = None,
    counts: Metrics | None = None,
    tracing: Tracing | None = None,
) -> "Relay":
    """Return the relay of a portal; needs a running event loop, on which it then works.

    Sessions are looked up in the event loop itself: a look-up takes some 25 µs, and what may wait
    for another process is bounded by the store's own patience, which should be short here.

    :param control_socket: the Unix socket on which the control plane listens.
    :param peer_of: tells the address of a request's browser.
    :param watch: what watches the sensitive routes, ``None`` where there are none.
    :param kind: a relay that does more; default: the plain one.
    :param counts: where requests to the portal are counted; default: nowhere.
    :param tracing: what traces them, closed with the relay; default: nothing does.
    """
    return (kind or Relay)(
        settings=settings,
        clock=clock,
        sessions=sessions,
        signer=signer,
        portal=Backend.portal(settings.portal, settings.limits),
        control_plane=Backend.control_plane(control_socket, settings.limits),
        peer_of=peer_of,
        watch=watch,
        counts=counts,
        tracing=tracing,
    )


class Relay:
    """What stands in front of a portal: :meth:`handle` answers every request."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        sessions: SessionStore,
        signer: Signer,
        portal: Backend,
        control_plane: Backend,
        peer_of: PeerOf,
        watch: Watch | None = None,
        counts: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._counts = counts
        self._tracing = tracing
        self._peer_of = peer_of
        self._watch = watch
        self._limits = settings.limits
        self._relayed_paths = settings.edge.relayed_paths
        self._clock = clock
        self._sessions = sessions
        self._signer = signer
        self._portal = portal
        self._control_plane = control_plane
        self._origin = settings.portal.origin
        origin = urlsplit(self._origin)
        self._scheme, self._host = origin.scheme, origin.netloc
        self._streams = OpenStreams()
        self._feed = EndFeed(sessions, clock, self._streams)
        self.pages = OwnPages(
            label=settings.portal.label,
            origin=self._origin,
            is_test=settings.environment == "test",
        )

    async def watch(self) -> None:
        """Cut the answers to sessions that end, until cancelled; must run while requests come."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed.run())
            if self._watch is not None:
                group.create_task(self._watch.run())

    async def close(self) -> None:
        """Close the connections to portal and control plane."""
        await self._portal.close()
        await self._control_plane.close()
        if self._watch is not None:
            await asyncio.to_thread(self._watch.close)
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer *request*, whatever it is.

        :raises ConnectionError: where an answer breaks off after its head; the connection is cut.
        """
        try:
            return await self._answer(request)
        except RefusedRequestError as exc:
            notice, detail = exc.notice, exc.detail
        except LoginRejectedError as exc:
            too_large = exc.reason == ErrorCode.REQUEST_TOO_LARGE
            notice, detail = HEAD_TOO_LARGE if too_large else MALFORMED, exc.detail
        except StoreUnavailableError as exc:
            notice, detail = LOGIN_UNAVAILABLE, str(exc)
        except UpstreamError as exc:
            timed_out = exc.reason == ErrorCode.UPSTREAM_TIMEOUT
            notice, detail = PORTAL_TIMEOUT if timed_out else PORTAL_UNAVAILABLE, exc.detail
        except ConnectionError:
            raise
        except Exception as exc:  # noqa: BLE001 - a defect must be an answer, not a stack trace
            notice, detail = INTERNAL, _place_of(exc)
        if request.writer.output_size:
            # The answer has begun: it must end here, and must not look whole.
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionError(detail)
        return self.refuse(request, notice, detail)

    def refuse(self, request: web.BaseRequest, notice: Notice, detail: str) -> web.Response:
        """Return the answer that says *notice*, and log *detail* under the incident it shows."""
        incident = new_incident()
        _log.log(
            _level(notice),
            "%s %s to %s: %s [%s]",
            notice.status.value,
            notice.code,
            self._peer_of(request),
            detail,
            incident,
        )
        response = self.pages.answer(request, notice, incident=incident)
        if notice is METHOD_NOT_ALLOWED:
            response.headers[hdrs.ALLOW] = ", ".join(METHODS)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._require_sane_head(request, request.method)
        target = read_target(request.raw_path)
        require_host(values_of(b"host", request.raw_headers), self._host)
        if hdrs.UPGRADE in request.headers:
            require_handshake(request, origin=self._origin)
        if target.is_internal:
            raise RefusedRequestError(NOT_FOUND, "internal path asked for from outside")
        if target.is_control_plane:
            return await self._ask_control_plane(request, target)
        try:
            session = self._session_of(request)
        except SessionRequiredError:
            return await self._show_the_door(request, target, request.method)
        connection = request.transport
        if connection is None:
            raise ConnectionError("browser is gone")
        match = None if self._watch is None else self._watch.match(request, target)
        # Nothing is awaited between the look-up and here, so an end cannot slip through.
        with self._streams.held(session.key, connection):
            if self._watch is None or match is None:
                return await self._ask_counted(request, target, session)
            return await self._ask_watched(self._watch, match, request, target, session)

    def _require_sane_head(self, request: web.BaseRequest, method: str) -> None:
        if request.version != HttpVersion11:
            raise RefusedRequestError(OLD_VERSION, "not HTTP/1.1")
        if method not in METHODS:
            raise RefusedRequestError(METHOD_NOT_ALLOWED, "method not allowed")
        size = len(request.raw_path) + sum(
            len(name) + len(value) for name, value in request.raw_headers
        )
        if size > self._limits.header_bytes:
            raise RefusedRequestError(HEAD_TOO_LARGE, "header larger than allowed")
        if not self._peer_of(request):
            raise RefusedRequestError(INTERNAL, "nobody knows the browser's address")

    def _session_of(self, request: web.BaseRequest) -> Session:
        """Return the session whose cookie the request carries.

        :raises SessionRequiredError: where it carries none that is valid now.
        """
        cookie = read_cookie(
            values_of(b"cookie", request.raw_headers),
            SESSION_COOKIE,
            max_bytes=self._limits.cookie_bytes,
        )
        if cookie is None:
            raise SessionRequiredError("no session cookie")
        return self._sessions.get(cookie_hash(cookie), now=self._clock())

    async def _ask_control_plane(
        self, request: web.BaseRequest, target: Target
    ) -> web.StreamResponse:
        if hdrs.UPGRADE in request.headers:
            raise RefusedRequestError(MALFORMED, "WebSocket to the control plane")
        fields = control_plane_fields(
            request.raw_headers, host=self._host, peer=self._peer_of(request)
        )
        content = await self._read_control_body(request)
        try:
            response = await self._control_plane.forward(request, target.raw, fields, content)
        except UpstreamError as exc:
            raise RefusedRequestError(LOGIN_UNAVAILABLE, f"control plane: {exc.detail}") from exc
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            # The next request of this connection is read when this one ends: a flood waits here,
            # where it costs nothing, and not before those who are in.
            await asyncio.sleep(COUNTED_OUT_SECONDS)
        return response

    async def _read_control_body(self, request: web.BaseRequest) -> bytes | None:
        """Return a body that anybody may send, without a session: small, and soon complete."""
        body = RequestBody(request, limit=MAX_CONTROL_BODY)
        if not body.exists:
            return None
        try:
            async with asyncio.timeout(CONTROL_BODY_SECONDS):
                return await body.read()
        except TimeoutError as exc:
            raise RefusedRequestError(BODY_TOO_SLOW, "body to the control plane too slow") from exc

    async def _ask_watched(
        self,
        watch: Watch,
        match: Match,
        request: web.BaseRequest,
        target: Target,
        session: Session,
    ) -> web.StreamResponse:
        """Pass a sensitive request on, where the guard lets it; a person may be led to the card."""
        client = self._peer_of(request)
        try:
            async with watch.watched(request, match, session, client=client) as watched:
                return await self._ask_counted(request, target, session, watched)
        except RefusedRequestError as exc:
            may_be_led = request.method in (hdrs.METH_GET, hdrs.METH_HEAD)
            if exc.notice is STEP_UP and may_be_led and is_navigation(request):
                return self.pages.to_login(await self._enter(request, target))
            raise

    async def _ask_counted(
        self,
        request: web.BaseRequest,
        target: Target,
        session: Session,
        watched: Watched | None = None,
    ) -> web.StreamResponse:
        if self._counts is None:
            return await self._ask_traced(request, target, session, watched)
        with self._counts.portal_request() as counted:
            try:
                response = await self._ask_traced(request, target, session, watched)
            except UpstreamError as exc:
                timed_out = exc.reason == ErrorCode.UPSTREAM_TIMEOUT
                counted.result = "timeout" if timed_out else "unavailable"
                raise
            counted.result = f"{response.status // 100}xx"
            return response

    async def _ask_traced(
        self,
        request: web.BaseRequest,
        target: Target,
        session: Session,
        watched: Watched | None,
    ) -> web.StreamResponse:
        if self._tracing is None:
            return await self._ask_portal(request, target, session, watched)
        traced = self._tracing.portal_request(request.method)
        try:
            response = await self._ask_portal(
                request, target, session, watched, traceparent=traced.traceparent
            )
        except BaseException as exc:
            traced.failed(exc)
            raise
        traced.passed_back(response.status)
        return response

    async def _ask_portal(
        self,
        request: web.BaseRequest,
        target: Target,
        session: Session,
        watched: Watched | None,
        *,
        traceparent: str | None = None,
    ) -> web.StreamResponse:
        fields = portal_fields(
            request.raw_headers,
            session,
            assertion=self._signer.assertion(session, self._clock()),
            host=self._host,
            scheme=self._scheme,
            peer=self._peer_of(request),
        )
        if traceparent is not None:
            # Only where we trace, and then a browser's own trace is not believed.
            fields = [each for each in fields if each[0].lower() not in TRACE_FIELDS]
            fields.append(("traceparent", traceparent))
        if hdrs.UPGRADE in request.headers:
            return await pass_websocket(
                request, self._portal, target.raw, fields, before=_before(watched)
            )
        if watched is not None and watched.body is not None:
            return await self._portal.forward(
                request, target.raw, fields, watched.body, before=_before(watched)
            )
        body = RequestBody(request, limit=self._limits.body_bytes)
        if body.exists and request.content_length is not None:
            fields.append((hdrs.CONTENT_LENGTH, str(request.content_length)))
        return await self._portal.forward(
            request,
            target.raw,
            fields,
            body if body.exists else None,
            before=_before(watched),
        )

    async def _show_the_door(
        self, request: web.BaseRequest, target: Target, method: str
    ) -> web.StreamResponse:
        """Lead a person without a session to the login page, tell a program that it needs one."""
        if not is_navigation(request):
            raise RefusedRequestError(SESSION_REQUIRED, "no session")
        if method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            raise RefusedRequestError(FORM_NOT_SENT, "no session for a form")
        return self.pages.to_login(await self._enter(request, target))

    async def _enter(self, request: web.BaseRequest, target: Target) -> str:
        """Have the control plane keep where to return to, and return where to log in."""
        question = json.dumps({"target": target.raw, "client": self._peer_of(request)}).encode()
        fields: Fields = [("Host", self._host), ("Content-Type", "application/json")]
        try:
            answer = await self._control_plane.ask(
                hdrs.METH_POST, f"{INTERNAL_PATH}/enter", fields, question
            )
            async with answer:
                content = await _read_small(answer)
            if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                # The login page is counted too, and says so; where to return to is not kept.
                await asyncio.sleep(COUNTED_OUT_SECONDS)
                return LOGIN_PATH
            location = json.loads(content)["location"]
        except (
            UpstreamError,
            aiohttp.ClientError,
            OSError,
            KeyError,
            TypeError,
            ValueError,
        ) as exc:
            raise RefusedRequestError(LOGIN_UNAVAILABLE, "control plane cannot be asked") from exc
        if answer.status != 200 or not str(location).startswith(f"{CONTROL_PATH}/"):
            raise RefusedRequestError(LOGIN_UNAVAILABLE, "control plane gave no login page")
        return str(location)


def _level(notice: Notice) -> int:
    """Return how much a refusal matters to whoever reads the log."""
    if notice is SESSION_REQUIRED:
        # Pages left open ask on for hours after their session ended.
        return logging.DEBUG
    # What the portal or a part of the gateway cannot do is the operator's to mend.
    return logging.WARNING if notice.status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO


def _before(watched: Watched | None) -> BeforeAnswer | None:
    """Return what is done before an answer's first byte."""
    return None if watched is None else watched.answer


async def _read_small(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer that states a small length.

    :raises ValueError: for any other.
    """
    if not 0 < (answer.content_length or 0) <= _MAX_LOCATION_BYTES:
        raise ValueError("answer without a small length")
    return await answer.read()


def _place_of(exc: Exception) -> str:
    """Return where a defect showed; its message is left out, it could quote the request."""
    *_, frame = traceback.extract_tb(exc.__traceback__)
    return f"defect: {type(exc).__name__} in {frame.filename}:{frame.lineno}"
