"""The one sign-in that runs at a time, and the browser requests that wait for its outcome."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from cps.agent.checks import Refusal, RefusedRequestError
from cps.agent.errors import SignInError
from cps.agent.pages import Failure
from cps.agent.progress import Progress, Stage
from cps.agent.signin import CompletedSignIn, LoginRequest
from cps.agent.texts import code_for
from cps.authtoken.codes import ErrorCode
from cps.errors import CardError

Outcome = CompletedSignIn | Failure
_LOG = logging.getLogger(__name__)
_REFUSALS = frozenset(
    {
        ErrorCode.ORIGIN_DENIED,
        ErrorCode.RID_UNKNOWN,
        ErrorCode.RID_EXPIRED,
        ErrorCode.RID_USED,
    }
)
"""Outcomes that a hostile page can bring about by opening the agent's address again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowLimits:
    """Times and counts of the workflow, in seconds where nothing else is said."""

    hold: float = 25.0
    """A request is held for so long, then answered with a page that asks again."""
    abandon: float = 10.0
    """A sign-in or an outcome that no request waited for during so long is given up."""
    whole: float = 420.0
    """No sign-in takes longer, whatever card, service or network do."""
    refusals: int = 3
    """So many refusals within *pause* make the agent refuse everything for a while."""
    pause: float = 60.0
    second_tab: float = 1.0
    """So long after the first tab a second one that waited for the same login is sent on."""
    stop: float = 2.0
    """What a sign-in under way gets to end, when the agent ends."""


@dataclass(slots=True, kw_only=True)
class _Running:
    """One sign-in: written by its thread only through the event loop."""

    request: LoginRequest
    stopped: threading.Event = field(default_factory=threading.Event)
    stage: Stage = Stage.WORKING
    shown: Stage = Stage.WORKING
    """What the browser's page says already."""
    outcome: Outcome | None = None
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    thread: threading.Thread | None = None
    limit: asyncio.TimerHandle | None = None
    """Ends the sign-in that takes too long."""
    abandon: asyncio.TimerHandle | None = None
    """Ends the sign-in, or drops its outcome, when nobody waited for a while."""

    def asks_something_new(self) -> bool:
        """Return whether the person must do something that the page does not say yet."""
        return self.stage not in (Stage.WORKING, self.shown)

    def announce(self) -> None:
        """Wake every request that waits."""
        self.changed.set()
        self.changed = asyncio.Event()


class Workflow:
    """Runs sign-ins one at a time, each in a thread, and tells the waiting requests.

    All methods are for the event loop in which the object was made.

    :param sign_in: does one sign-in; blocks.
    """

    def __init__(
        self,
        sign_in: Callable[[LoginRequest, Progress], CompletedSignIn],
        limits: WorkflowLimits,
    ) -> None:
        self._sign_in = sign_in
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._running: _Running | None = None
        self._handed_over: LoginRequest | None = None
        """The last login of which a tab was given the way back, which holds the code."""
        self._refused_at: deque[float] = deque(maxlen=limits.refusals)

    def require_room(self, rid: str) -> None:
        """Check that *rid* is the sign-in under way, or that a new one may begin.

        :raises RefusedRequestError: BUSY or PAUSED.
        """
        if self._running is not None:
            if self._running.request.rid != rid:
                raise RefusedRequestError(Refusal.BUSY)
        elif (
            len(self._refused_at) == self._limits.refusals
            and self._loop.time() - self._refused_at[0] < self._limits.pause
        ):
            raise RefusedRequestError(Refusal.PAUSED)

    def require_idle(self) -> None:
        """Check that no sign-in is under way.

        :raises RefusedRequestError: BUSY.
        """
        if self._running is not None:
            raise RefusedRequestError(Refusal.BUSY)

    def count_refusal(self) -> None:
        """Remember one refusal, for the pause."""
        self._refused_at.append(self._loop.time())

    async def news(self, request: LoginRequest) -> Outcome | Stage:
        """Return the outcome of *request*, or what its page should say meanwhile.

        The first call starts the sign-in; a later one with the same rid and origin joins it.

        :raises RefusedRequestError: BUSY for another sign-in than the one under way.
        """
        running = self._running
        if running is None:
            if request == self._handed_over:
                return await self._after_the_first(request)
            running = self._start(request)
        elif running.request != request:
            raise RefusedRequestError(Refusal.BUSY)
        running.watchers += 1
        if running.abandon is not None:
            running.abandon.cancel()
        try:
            return await self._wait(running)
        finally:
            running.watchers -= 1
            if running.watchers == 0:
                running.abandon = self._loop.call_later(
                    self._limits.abandon, self._abandon, running
                )

    async def close(self) -> None:
        """Stop the sign-in under way, giving its thread a moment to put things back in order."""
        if self._running is not None and self._running.thread is not None:
            self._running.stopped.set()
            await asyncio.to_thread(self._running.thread.join, self._limits.stop)

    async def _wait(self, running: _Running) -> Outcome | Stage:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.hold):
                while running.outcome is None and not running.asks_something_new():
                    await running.changed.wait()
        running.shown = running.stage
        if running.outcome is None:
            return running.stage
        self._forget(running)
        # What began here has no tabs that could come for it twice.
        if isinstance(running.outcome, CompletedSignIn) and running.request.rid is not None:
            if self._handed_over == running.request:
                return await self._after_the_first(running.request)
            self._handed_over = running.request
        return running.outcome

    async def _after_the_first(self, request: LoginRequest) -> CompletedSignIn:
        """Return the way on for the second tab of a double click: to the portal, without a code.

        The code is good once, and on its way in the first tab; the portal is open soon after.
        """
        await asyncio.sleep(self._limits.second_tab)
        return CompletedSignIn(redirect=f"{request.origin}/")

    def _start(self, request: LoginRequest) -> _Running:
        running = _Running(request=request)
        # A daemon: a card service that never answers must not keep the agent from ending.
        running.thread = threading.Thread(
            target=self._work, args=(running,), name="sign-in", daemon=True
        )
        self._running = running
        running.limit = self._loop.call_later(self._limits.whole, self._give_up, running)
        running.thread.start()
        return running

    def _work(self, running: _Running) -> None:
        """Sign in; runs in the thread of the sign-in."""
        outcome: Outcome
        try:
            outcome = self._sign_in(running.request, _ThreadProgress(running, self._loop))
        except (CardError, SignInError) as exc:
            _LOG.warning("sign-in to %s failed: %s", running.request.origin, exc)
            incident = exc.incident if isinstance(exc, SignInError) else None
            outcome = Failure(code=code_for(exc), incident=incident)
        except Exception:  # noqa: BLE001 - a thread has no caller to pass it to
            _LOG.exception("sign-in to %s failed", running.request.origin)
            outcome = Failure(code=ErrorCode.INTERNAL, incident=None)
        _tell(self._loop, self._finish, running, outcome)

    def _finish(self, running: _Running, outcome: Outcome) -> None:
        if running.outcome is not None:
            return  # Given up before.
        running.outcome = outcome
        if running.limit is not None:
            running.limit.cancel()
        if isinstance(outcome, Failure) and _is_refusal(outcome, running):
            self.count_refusal()
        if running.stopped.is_set():
            self._forget(running)
        running.announce()

    def _abandon(self, running: _Running) -> None:
        running.stopped.set()
        if running.outcome is not None:
            self._forget(running)

    def _give_up(self, running: _Running) -> None:
        _LOG.error("a sign-in did not end in %.0f s and is left alone", self._limits.whole)
        running.stopped.set()
        self._finish(running, Failure(code=ErrorCode.INTERNAL, incident=None))

    def _forget(self, running: _Running) -> None:
        if self._running is running:
            self._running = None


def _is_refusal(failure: Failure, running: _Running) -> bool:
    """Return whether *failure* may be the work of a hostile page, and counts for the pause.

    Whoever clicked may change their mind as often as they like; nobody can click for them. A PIN
    entry that opened without a click, or that nobody waited for to the end, is another matter.
    """
    if failure.code is ErrorCode.PIN_CANCELLED:
        return running.stopped.is_set() or not running.request.clicked
    return failure.code in _REFUSALS


class _ThreadProgress:
    """What the sign-in's thread may touch of the event loop's world."""

    def __init__(self, running: _Running, loop: asyncio.AbstractEventLoop) -> None:
        self._running = running
        self._loop = loop
        self._stage = Stage.WORKING

    def show(self, stage: Stage) -> None:
        if stage is not self._stage:
            self._stage = stage
            _tell(self._loop, self._set, stage)

    def wanted(self) -> bool:
        return not self._running.stopped.is_set()

    def _set(self, stage: Stage) -> None:
        self._running.stage = stage
        self._running.announce()


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: object) -> None:
    """Have the event loop make a call, unless the agent ended meanwhile and the loop with it."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)
