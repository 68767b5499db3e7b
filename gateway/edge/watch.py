"""Sensitive requests on their way: judged by the guard, written to the journal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType

from aiohttp import hdrs, web

from cps.authtoken.codes import ErrorCode
from gateway.edge.body import RequestBody
from gateway.edge.notices import (
    GUARD_BLOCKED,
    GUARD_ENDED,
    GUARD_TOO_MANY,
    MALFORMED,
    NOT_RECORDED,
    STEP_UP,
    RefusedRequestError,
)
from gateway.edge.target import Target
from gateway.errors import HTTP_STATUS, StoreUnavailableError, UpstreamError
from gateway.guard.alarm import AlarmSender
from gateway.guard.guard import Guard, GuardRefusedError, Refusal
from gateway.guard.record import MAX_BODY_BYTES, AmbiguousRecordError, kind_of_body
from gateway.guard.routes import Match, SensitiveRoutes
from gateway.journal.access import Access, AccessJournal
from gateway.metrics.model import Metrics
from gateway.session.model import Session
from gateway.session.recorder import session_name

_NOTICES = MappingProxyType(
    {
        Refusal.STEP_UP: STEP_UP,
        Refusal.TOO_MANY: GUARD_TOO_MANY,
        Refusal.ENDED: GUARD_ENDED,
        Refusal.BLOCKED: GUARD_BLOCKED,
    }
)


class Watched:
    """One sensitive request."""

    def __init__(self, watch: "Watch", match: Match, access: Access, body: bytes | None) -> None:
        self._watch = watch
        self._match = match
        self._access = access
        self._effect: str | None = None
        self.body = body
        """The request's body where it had to be read; ``None`` where it was not."""
        self.is_recorded = False

    async def admit(self, session: Session) -> None:
        """Return when the request may reach the portal.

        :raises RefusedRequestError: where it may not.
        """
        try:
            self._effect = await self._watch.guard.admit(self._match, self._access, session)
        except GuardRefusedError as exc:
            self._effect = exc.refusal
            raise RefusedRequestError(_NOTICES[exc.refusal], f"guard: {exc.refusal}") from exc

    async def answer(self, status: int) -> None:
        """Return when the access is in the journal, so that an answer may begin.

        :param status: of that answer.
        :raises RefusedRequestError: where it cannot be recorded, and so not be given.
        """
        self.is_recorded = True
        self._watch.count(self._effect)
        try:
            await self._watch.journal.record(self._access, status=status, effect=self._effect)
        except StoreUnavailableError as exc:
            raise RefusedRequestError(NOT_RECORDED, str(exc)) from exc

    def give_up(self) -> None:
        """Record that no answer began."""
        self._watch.count(self._effect)
        self._watch.journal.note(self._access)


class Watch:
    """Knows the sensitive routes of a portal, and what is done about them."""

    def __init__(
        self,
        routes: SensitiveRoutes,
        guard: Guard,
        journal: AccessJournal,
        alarms: AlarmSender,
        counts: Metrics | None = None,
    ) -> None:
        self._routes = routes
        self.guard = guard
        self.journal = journal
        self._alarms = alarms
        self._counts = counts

    async def run(self) -> None:
        """Send alarms, until cancelled."""
        await self._alarms.run()

    def close(self) -> None:
        """Write what waits to be written, and end."""
        self.guard.close()
        self.journal.close()

    def count(self, effect: str | None) -> None:
        """Count a request on a sensitive route.

        :param effect: what the guard did, ``None`` for nothing.
        """
        if self._counts is not None:
            self._counts.sensitive_request(effect)

    def match(self, request: web.BaseRequest, target: Target) -> Match | None:
        """Return what is sensitive about a request, ``None`` for nothing.

        :raises RefusedRequestError: 400 where it names its record in two ways.
        """
        try:
            return self._routes.match(request.method, target.raw, _content_types(request))
        except AmbiguousRecordError as exc:
            raise RefusedRequestError(MALFORMED, str(exc)) from exc

    @asynccontextmanager
    async def watched(
        self, request: web.BaseRequest, match: Match, session: Session, *, client: str
    ) -> AsyncIterator[Watched]:
        """Give a request that may reach the portal; however the block ends, it is recorded.

        :param client: IP address of the browser.
        :raises RefusedRequestError: where it may not reach the portal.
        """
        body, record = await _look_into_body(request, match)
        access = Access(
            who=session.identity.national_id,
            card=session.identity.card_number,
            session=session_name(session.key),
            client=client,
            route=match.route.name,
            method=request.method,
            record=record,
        )
        watched = Watched(self, match, access, body)
        try:
            await self._require_ready()
            await watched.admit(session)
            yield watched
        except RefusedRequestError as exc:
            if not watched.is_recorded:
                await watched.answer(exc.notice.status)
            raise
        except UpstreamError as exc:
            if not watched.is_recorded:
                await watched.answer(HTTP_STATUS[exc.reason])
            raise
        except StoreUnavailableError:
            if not watched.is_recorded:
                await watched.answer(HTTP_STATUS[ErrorCode.STORE_UNAVAILABLE])
            raise
        except (Exception, asyncio.CancelledError):
            if not watched.is_recorded:
                watched.give_up()
            raise

    async def _require_ready(self) -> None:
        try:
            await self.journal.require_ready()
        except StoreUnavailableError as exc:
            raise RefusedRequestError(NOT_RECORDED, str(exc)) from exc


async def _look_into_body(
    request: web.BaseRequest, match: Match
) -> tuple[bytes | None, str | None]:
    """Return the body, where it had to be read, and the record that the request names.

    :raises RefusedRequestError: where the portal might find another record than the gateway.
    """
    if not (match.concerns_body and request.can_read_body):
        return None, match.record
    try:
        kind = kind_of_body(_content_types(request))
        if not match.wants(kind, is_packed=hdrs.CONTENT_ENCODING in request.headers):
            return None, match.record
        body = await RequestBody(request, limit=MAX_BODY_BYTES).read()
        return body, match.record_with(body, kind)
    except AmbiguousRecordError as exc:
        raise RefusedRequestError(MALFORMED, str(exc)) from exc


def _content_types(request: web.BaseRequest) -> tuple[str, ...]:
    return tuple(request.headers.getall(hdrs.CONTENT_TYPE, ()))
