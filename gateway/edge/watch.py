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
from gateway.guard.routes import (
    MAX_JSON_BYTES,
    AmbiguousRecordError,
    Match,
    SensitiveRoutes,
    record_in_body,
)
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
_JSON = ("application/json", "+json")


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

    def match(self, method: str, target: Target) -> Match | None:
        """Return what is sensitive about a request, ``None`` for nothing.

        :raises RefusedRequestError: 400 where it names its record in two ways.
        """
        try:
            return self._routes.match(method, target.raw)
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
        body, record = None, match.record
        if match.is_in_body:
            body = await _read_body(request)
            if body is not None:
                record = _record_in(body, match)
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


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """Return a body that is small and JSON, ``None`` where the request has none.

    :raises RefusedRequestError: for any other, in which the portal might find a record.
    """
    body = RequestBody(request, limit=MAX_JSON_BYTES)
    if not body.exists:
        return None
    if hdrs.CONTENT_ENCODING in request.headers or not request.content_type.endswith(_JSON):
        raise RefusedRequestError(MALFORMED, "body of a sensitive request is not plain JSON")
    return await body.read()


def _record_in(body: bytes, match: Match) -> str | None:
    try:
        return record_in_body(body, match.route.json)
    except AmbiguousRecordError as exc:
        raise RefusedRequestError(MALFORMED, str(exc)) from exc
