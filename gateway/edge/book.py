"""The sessions that a process knows to live, so that most requests cost no question to the store.

What keeps it honest is the feed of ended sessions. While that is heard, a session in the book lives
until the feed or its own limits say otherwise; while it is silent, the store is asked each time.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

from gateway.clock import Clock
from gateway.edge.feed import EndFeed, Listener
from gateway.errors import SessionRequiredError
from gateway.session.limits import SessionLimits
from gateway.session.model import Session, SessionStore

MAX_SILENCE_SECONDS = 2.0
"""A feed that is silent for longer has every request ask the store."""
MAX_KNOWN = 10_000
"""Most sessions in the book; a further one takes the place of the one that came first."""
THREADS = 4
"""Questions to the store at a time; each thread has its connection."""


class SessionBook:
    """Finds sessions, in memory where that is as good as the store.

    It is a :class:`gateway.edge.feed.Listener`, and everything happens in one event loop.
    """

    def __init__(self, sessions: SessionStore, clock: Clock, limits: SessionLimits) -> None:
        self._sessions = sessions
        self._clock = clock
        self._limits = limits
        self._feed = EndFeed(sessions, clock, self)
        self._known: dict[bytes, Session] = {}
        self._questions: dict[bytes, asyncio.Task[Session]] = {}
        self._ended_while_asked: set[bytes] = set()
        self._followers: list[Listener] = []
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="sessions")

    def __len__(self) -> int:
        return len(self._known)

    @property
    def feed(self) -> EndFeed:
        """The feed that must run while sessions are asked for."""
        return self._feed

    def close(self) -> None:
        """Let the threads end."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def known(self, key: bytes, now: datetime) -> Session | None:
        """Return the session where the book alone can say that it lives, else ``None``.

        Its use is noted in the store where that is due, meanwhile.
        """
        session = self._known.get(key)
        if session is None or self._feed.silence() > MAX_SILENCE_SECONDS:
            return None
        if self._limits.end_reason(
            created_at=session.created_at,
            seen_at=session.seen_at,
            present_until=session.present_until,
            now=now,
        ):
            # The store may know of a later use, or that the card is still there.
            return None
        if self._limits.is_touch_due(seen_at=session.seen_at, now=now):
            self._question(key)
        return session

    async def find(self, key: bytes) -> Session:
        """Return the session as the store knows it now, and remember it.

        :raises SessionRequiredError: where there is none that is valid now.
        :raises StoreUnavailableError: where the store does not say.
        """
        return await asyncio.shield(self._question(key))

    def follow(self, listener: Listener) -> None:
        """Have *listener* told what the book is told, after the book took note."""
        self._followers.append(listener)

    def ended(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            self._known.pop(key, None)
        self._ended_while_asked.update(self._questions.keys() & keys)
        for follower in self._followers:
            follower.ended(keys)

    def all_ended(self) -> None:
        self._known.clear()
        self._ended_while_asked.update(self._questions)
        for follower in self._followers:
            follower.all_ended()

    def silent(self, seconds: float) -> None:
        for follower in self._followers:
            follower.silent(seconds)

    def _question(self, key: bytes) -> asyncio.Task[Session]:
        """Return the question about a session that is put to the store; one at a time for each."""
        question = self._questions.get(key)
        if question is None:
            question = asyncio.create_task(self._ask(key))
            # Nobody may wait for it any more; then its failure is nobody's either.
            question.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._questions[key] = question
        return question

    async def _ask(self, key: bytes) -> Session:
        try:
            session = await asyncio.get_running_loop().run_in_executor(
                self._executor, partial(self._sessions.get, key, now=self._clock())
            )
        except SessionRequiredError:
            self._known.pop(key, None)
            raise
        finally:
            has_ended = key in self._ended_while_asked
            self._ended_while_asked.discard(key)
            del self._questions[key]
        if has_ended:
            raise SessionRequiredError("ended at this moment")
        self._remember(session)
        return session

    def _remember(self, session: Session) -> None:
        if session.key not in self._known and len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[session.key] = session
