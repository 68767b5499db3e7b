"""The verdict process: tells nginx, for every request, whether a session opens the portal.

It answers a small question on a Unix socket that nginx alone can reach. Only 200 lets a request in;
whatever goes wrong, here or on the way, is another status or none, and nginx lets nobody in.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import cast

import httptools

from cps.authtoken.encoding import b64url_decode
from gateway.clock import Clock
from gateway.edge.book import MAX_KNOWN, MAX_SILENCE_SECONDS, SessionBook
from gateway.edge.headers import identity_fields
from gateway.edge.relay import Signer
from gateway.edge.sockets import protect_socket
from gateway.edge.verdict_cache import VerdictCache
from gateway.errors import SessionRequiredError, StoreUnavailableError
from gateway.metrics.model import Metrics
from gateway.session.cookie import COOKIE_BYTES, cookie_hash
from gateway.session.model import Session

IDENTITY_FIELDS = (
    "X-CPS-Subject",
    "X-CPS-Name",
    "X-CPS-Card-Type",
    "X-CPS-Profession",
    "X-CPS-Assertion",
)
"""What may stand in a permission, to be passed on to the portal."""
SESSION_FIELD = b"x-cps-session"
"""Carries the value of the session cookie from nginx, in lower case."""
LET_IN_FIELD = "X-CPS-Verdict"
LET_IN = "let-in"
"""Without these words nginx takes no answer for a permission."""
POLICY = "portal"
"""The one rule so far: whoever has a session gets in."""
TARGET = f"/{POLICY}".encode()
"""What nginx asks for: the rule of the location."""
DOOR_FIELD = b"x-cps-door"
"""Says what somebody without a session would get, in lower case."""
TO_A_PERSON, TO_A_PROGRAM = b"page", b"program"
"""The login page, or a refusal that a program understands."""
MAX_QUESTION_BYTES = 4096
"""Largest question; nginx writes them itself, of a few hundred bytes."""
ANSWER_TIME = timedelta(seconds=1)
"""How long an answer is given again, before the signer is asked for a fresher assertion."""
COUNT_SECONDS = 1.0
"""How often the answers given are added to the numbers that the monitor tells."""

_DOORS = ([TO_A_PERSON], [TO_A_PROGRAM])
_BACKLOG = 1024
_log = logging.getLogger("gateway.edge")


def _empty_answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


NO_SESSION = _empty_answer("401 Unauthorized")
LOGIN_PAGE = _empty_answer("403 Forbidden")
"""No session either, but a person who can be led to the login page."""
STORE_AWAY = _empty_answer("503 Service Unavailable")
MALFORMED = _empty_answer("400 Bad Request")
INTERNAL = _empty_answer("500 Internal Server Error")
_RESULTS = MappingProxyType(
    {
        NO_SESSION: "no_session",
        LOGIN_PAGE: "no_session",
        STORE_AWAY: "store_away",
        MALFORMED: "malformed",
        INTERNAL: "internal",
    }
)


class Verdicts:
    """Knows the answer to each question, from the book of sessions or the store behind it.

    It is a :class:`gateway.edge.feed.Listener` behind that book.
    """

    def __init__(
        self,
        book: SessionBook,
        signer: Signer,
        clock: Clock,
        cache: VerdictCache | None,
        counts: Metrics | None = None,
    ) -> None:
        """Take where answers come from.

        :param cache: what nginx keeps of them; ``None`` where it asks each time.
        :param counts: where answers are counted; default: nowhere.
        """
        self._counts = counts
        self._given: Counter[str] = Counter()
        self._book = book
        self._signer = signer
        self._clock = clock
        self._cache = cache
        self._answers: dict[bytes, tuple[datetime, bytes]] = {}
        book.follow(self)

    def at_once(self, cookie: str) -> bytes | None:
        """Return the answer to who carries *cookie*, or ``None`` where the store must be asked."""
        key = _session_key(cookie)
        if key is None:
            return NO_SESSION
        now = self._clock()
        session = self._book.known(key, now)
        return None if session is None else self._let_in(session, cookie, now)

    async def after_asking(self, cookie: str) -> bytes:
        """Return the answer that the store leads to."""
        key = _session_key(cookie)
        if key is None:
            return NO_SESSION
        try:
            return self._let_in(await self._book.find(key), cookie, self._clock())
        except SessionRequiredError:
            return NO_SESSION
        except StoreUnavailableError:
            return STORE_AWAY

    def ended(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            self._answers.pop(key, None)
            if self._cache is not None:
                self._cache.remove(key)

    def all_ended(self) -> None:
        self._answers.clear()
        if self._cache is not None:
            self._cache.remove_all()

    def silent(self, seconds: float) -> None:
        if seconds > MAX_SILENCE_SECONDS and self._cache is not None:
            self._cache.remove_all()

    def count(self, answer: bytes) -> None:
        """Note that *answer* was given: so cheap that it shows in no measurement."""
        self._given[_RESULTS.get(answer, "let_in")] += 1

    async def tell_counts(self) -> None:
        """Pass on what was noted, until cancelled."""
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            given, self._given = self._given, Counter()
            if self._counts is not None:
                for result, count in given.items():
                    self._counts.verdicts(result, count)

    async def sweep(self) -> None:
        """Remove what nginx kept of verdicts that are over, until cancelled."""
        if self._cache is not None:
            await self._cache.sweep()

    def _let_in(self, session: Session, cookie: str, now: datetime) -> bytes:
        if self._cache is not None:
            self._cache.remember(session.key, POLICY, cookie)
        made_at, answer = self._answers.get(session.key, (now, b""))
        if not answer or not timedelta(0) <= now - made_at < ANSWER_TIME:
            if not answer and len(self._answers) >= MAX_KNOWN:
                del self._answers[next(iter(self._answers))]
            answer = _permission(session, self._signer.assertion(session, now))
            self._answers[session.key] = (now, answer)
        return answer


class VerdictServer:
    """Answers nginx on a Unix socket, on the running event loop."""

    def __init__(
        self, book: SessionBook, verdicts: Verdicts, socket: Path, group: str | None = None
    ) -> None:
        """Take what is known.

        :param group: who may open the socket besides the gateway's own user.
        """
        self._group = group
        self._book = book
        self._verdicts = verdicts
        self._socket = socket
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return str(self._socket)

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Questions(self._verdicts), self._socket, backlog=_BACKLOG
        )
        protect_socket(self._socket, self._group)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._book.feed.run())
            group.create_task(self._verdicts.sweep())
            group.create_task(self._verdicts.tell_counts())

    async def reload(self) -> None:
        """Do nothing: there are no certificates here."""

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._book.close()


class _Questions(asyncio.Protocol):
    """One connection of nginx: questions that come one after another."""

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._size = 0
        self._target = b""
        self._cookies: list[bytes] = []
        self._doors: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        # A question that comes before the last was answered is not from nginx.
        if self._size > MAX_QUESTION_BYTES or self._task is not None:
            self._end(MALFORMED)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as exc:
            _log.error("verdict: a defect: %r", exc.__context__)
            self._end(INTERNAL)
        except httptools.HttpParserError:
            self._end(MALFORMED)

    def on_message_begin(self) -> None:
        self._target = b""
        self._cookies.clear()
        self._doors.clear()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == SESSION_FIELD:
            self._cookies.append(value)
        elif name == DOOR_FIELD:
            self._doors.append(value)

    def on_message_complete(self) -> None:
        self._size = 0
        if (
            self._parser.get_method() != b"GET"
            or self._target != TARGET
            or self._doors not in _DOORS
            or len(self._cookies) != 1
            or not self._cookies[0].isascii()
        ):
            self._end(MALFORMED)
            return
        cookie = self._cookies[0].decode()
        answer = self._verdicts.at_once(cookie)
        if answer is not None:
            self._write(answer)
        elif self._task is None:
            self._task = asyncio.create_task(self._ask(cookie))
        else:
            self._end(MALFORMED)

    async def _ask(self, cookie: str) -> None:
        answer = INTERNAL
        try:
            answer = await self._verdicts.after_asking(cookie)
        finally:
            self._task = None
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if answer is NO_SESSION and self._doors == [TO_A_PERSON]:
            answer = LOGIN_PAGE
        if self._transport is not None:
            self._verdicts.count(answer)
            self._transport.write(answer)

    def _end(self, answer: bytes) -> None:
        self._write(answer)
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _session_key(cookie: str) -> bytes | None:
    """Return the name of the session that a cookie's value stands for, ``None`` for no cookie."""
    try:
        return cookie_hash(b64url_decode(cookie, length=COOKIE_BYTES))
    except ValueError:
        return None


def _permission(session: Session, assertion: str) -> bytes:
    fields = [(LET_IN_FIELD, LET_IN), *identity_fields(session, assertion)]
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n".encode("ascii")
