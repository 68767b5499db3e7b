"""The presence lease: tells gateways that the card is there, and at once when it is not."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from cps.agent.errors import SignInError
from cps.agent.gateway_client import LeaseTerms
from cps.authtoken.codes import ErrorCode
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from cps.errors import CardError
from cps.transport.connection import CardTerminal, ReaderState

_LOG = logging.getLogger(__name__)
_REFUSALS = frozenset(
    {ErrorCode.SIG_INVALID, ErrorCode.REQUEST_FORBIDDEN, ErrorCode.REQUEST_MALFORMED}
)
"""What a gateway says to a message that it will not take, however often it is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLease:
    """A session that lasts as long as a card stays where it is."""

    origin: str
    """The portal's."""
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    """The agent's key of the login, for which the card vouched."""
    terms: LeaseTerms
    card: ReaderState
    """The card's reader as it was before the card signed: any change since is a removal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceLimits:
    """Times of the watch, in seconds."""

    look: float = 1.0
    """So often the readers are looked at; a change is told by them at once."""
    blind: float = 10.0
    """Readers that did not answer for so long are taken for gone."""
    sleep: float = 2.0
    """A computer that slept for so long may have been without its card meanwhile."""
    retry: float = 1.0
    """Pause before a message is sent anew, where none arrives."""
    farewell: float = 3.0
    """What all gateways together get to hear that the agent ends."""


class LeaseGateway(Protocol):
    """Where messages go; see :class:`cps.agent.gateway_client.GatewayClient`."""

    def tell(self, message: LeaseMessage) -> bool:
        """Send one message and return whether the session still lives.

        :raises SignInError: where it did not arrive, or was refused.
        """


def suspended_seconds() -> float:
    """Return how long this computer has slept since it was started, as far as it tells.

    Only Linux does; elsewhere the missing heartbeats end what outlasts the grace.
    """
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class Presence:
    """All leases of this agent, each with a watch of its own.

    No connection to a card is held: other programs use it as if nobody watched.

    :param terminal: the readers.
    :param gateway_at: returns the gateway of an origin.
    :param clock: seconds that never go back.
    :param suspended: seconds that the computer has slept.
    :param lock_ends: whether sessions end with a locked screen whatever their portals say; else
        each portal is told and decides.
    """

    def __init__(
        self,
        *,
        terminal: CardTerminal,
        gateway_at: Callable[[str], LeaseGateway],
        limits: PresenceLimits | None = None,
        clock: Callable[[], float] = monotonic,
        suspended: Callable[[], float] = suspended_seconds,
        lock_ends: bool = False,
    ) -> None:
        self._terminal = terminal
        self._gateway_at = gateway_at
        self._limits = limits or PresenceLimits()
        self._clock = clock
        self._suspended = suspended
        self._lock_ends = lock_ends
        self._lock = threading.Lock()
        self._watches: set[_Watch] = set()
        self._screen_is_locked = False
        self._closed = False

    def __len__(self) -> int:
        """Return how many leases there are, with those whose end is still being told."""
        with self._lock:
            return len(self._watches)

    def watch(self, lease: CardLease) -> None:
        """Watch the card of *lease* from now on; an agent that ends meanwhile says so."""
        watch = _Watch(
            lease,
            terminal=self._terminal,
            gateway=self._gateway_at(lease.origin),
            limits=self._limits,
            clock=self._clock,
            suspended=self._suspended,
            forget=self._forget,
        )
        with self._lock:
            self._watches.add(watch)
            closed = self._closed
            locked = self._screen_is_locked
        if closed:
            watch.say_farewell()
            return
        watch.start()
        if locked:
            # The screen was locked between the PIN and now.
            watch.screen_locks(ends=self._lock_ends)

    def screen_locks(self) -> None:
        """Have every portal told that the screen is being locked, or its session ended."""
        for watch in self._all():
            watch.screen_locks(ends=self._lock_ends)

    def screen_is(self, *, locked: bool) -> None:
        """Take note of whether the screen is locked; logins that end meanwhile heed it too."""
        with self._lock:
            self._screen_is_locked = locked
        if locked:
            self.screen_locks()

    def falls_asleep(self) -> None:
        """Have every session ended: the card may leave while the computer sleeps."""
        for watch in self._all():
            watch.falls_asleep()

    def close(self) -> None:
        """Tell every gateway that the agent ends; blocks for some seconds at most."""
        with self._lock:
            self._closed = True
            watches = tuple(self._watches)
        threads = [threading.Thread(target=watch.say_farewell, daemon=True) for watch in watches]
        for thread in threads:
            thread.start()
        ends_at = monotonic() + self._limits.farewell
        for thread in threads:
            thread.join(max(0.0, ends_at - monotonic()))

    def _all(self) -> tuple["_Watch", ...]:
        with self._lock:
            return tuple(self._watches)

    def _forget(self, watch: "_Watch") -> None:
        with self._lock:
            self._watches.discard(watch)


class _Watch:
    """One lease: a thread that looks at the card, and one that tells that it is there.

    Two, because a gateway that answers slowly must not keep a removal from being seen and sent.
    """

    def __init__(
        self,
        lease: CardLease,
        *,
        terminal: CardTerminal,
        gateway: LeaseGateway,
        limits: PresenceLimits,
        clock: Callable[[], float],
        suspended: Callable[[], float],
        forget: Callable[["_Watch"], None],
    ) -> None:
        self._lease = lease
        self._terminal = terminal
        self._gateway = gateway
        self._limits = limits
        self._clock = clock
        self._suspended = suspended
        self._forget = forget
        self._lock = threading.Lock()
        self._counter = 0
        self._over = threading.Event()
        self._told = threading.Event()
        self._lock_to_tell = threading.Event()
        self._woken = threading.Event()
        """Set where the heartbeats' thread has something to do before its pause is over."""
        self._looked_at = clock()
        self._heard_at = clock()
        self._slept_before = suspended()

    def start(self) -> None:
        """Start both threads; as daemons they do not keep the agent from ending."""
        for work, name in ((self._look, "card watch"), (self._beat, "heartbeat")):
            threading.Thread(target=self._run, args=(work,), name=name, daemon=True).start()

    def say_farewell(self) -> None:
        """Tell the gateway once that the agent ends; silence would say it later.

        A removal that is being told just now is as good, and is waited for.
        """
        if not self._end("the agent ends"):
            self._told.wait(self._limits.farewell)
            return
        try:
            self._tell(LeaseEvent.BYE)
        except SignInError as exc:
            _LOG.warning("%s was not told that the agent ends: %s", self._lease.origin, exc)
        self._finish()

    def screen_locks(self, *, ends: bool) -> None:
        """Tell the gateway of it, before the next heartbeat is due; does not wait for that."""
        if ends:
            self._leave("the screen is being locked", LeaseEvent.LOCKED_END)
        else:
            self._lock_to_tell.set()
            self._woken.set()

    def falls_asleep(self) -> None:
        """End the session; does not wait until that is told."""
        self._leave("the computer goes to sleep", LeaseEvent.REMOVED)

    def _leave(self, why: str, event: LeaseEvent) -> None:
        threading.Thread(
            target=self._run, args=(partial(self._ended, why, event),), name="leave", daemon=True
        ).start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - a watch that fails must not leave the session open
            _LOG.exception("the card of %s cannot be watched", self._lease.origin)
            self._ended("the watch failed")

    def _look(self) -> None:
        """Look at the readers until the card is gone or the lease is over."""
        states = [self._lease.card]
        while not self._over.is_set():
            try:
                states = list(self._terminal.wait(states, self._limits.look))
            except CardError as exc:
                self._ended(f"the readers cannot be looked at: {exc}")
                return
            self._looked_at = self._clock()
            if not any(_is_same_card(state, self._lease.card) for state in states):
                self._ended("the card is not where it was")
            elif self._suspended() - self._slept_before >= self._limits.sleep:
                self._ended("the computer slept")

    def _beat(self) -> None:
        """Tell the gateway that the card is there until the lease is over."""
        pause = self._lease.terms.heartbeat
        while self._rest(pause):
            if self._clock() - self._looked_at > self._limits.blind:
                self._ended("the readers do not answer")
                return
            event = LeaseEvent.LOCKED if self._lock_to_tell.is_set() else LeaseEvent.PRESENT
            try:
                alive = self._tell(event)
            except SignInError as exc:
                if self._is_hopeless(exc):
                    self._give_up(f"no heartbeat arrives: {exc}")
                    return
                _LOG.info("%s did not hear %s: %s", self._lease.origin, event, exc)
                pause = min(self._limits.retry, self._lease.terms.heartbeat)
                continue
            if not alive:
                self._give_up("the gateway ended it")
                return
            if event is LeaseEvent.LOCKED:
                self._lock_to_tell.clear()
            pause = self._lease.terms.heartbeat

    def _rest(self, pause: float) -> bool:
        """Wait for *pause* seconds, or for news; return whether the lease goes on."""
        self._woken.wait(pause)
        self._woken.clear()
        return not self._over.is_set()

    def _ended(self, why: str, event: LeaseEvent = LeaseEvent.REMOVED) -> None:
        """Have the session ended, trying until the gateway would have ended it by itself."""
        if not self._end(why):
            return
        while True:
            try:
                self._tell(event)
            except SignInError as exc:
                if event is LeaseEvent.LOCKED_END and exc.code is ErrorCode.REQUEST_MALFORMED:
                    # A gateway older than this message knows another one that ends the session.
                    event = LeaseEvent.REMOVED
                elif self._is_hopeless(exc):
                    _LOG.warning("%s was not told of it: %s", self._lease.origin, exc)
                    break
                else:
                    time.sleep(self._limits.retry)
            else:
                break
        self._finish()

    def _give_up(self, why: str) -> None:
        """End a lease of which the gateway wants to hear nothing more."""
        if self._end(why):
            self._finish()

    def _is_hopeless(self, exc: SignInError) -> bool:
        """Return whether another try can change nothing any more."""
        return exc.code in _REFUSALS or self._clock() - self._heard_at >= self._lease.terms.grace

    def _end(self, why: str) -> bool:
        """Stop both threads; return whether this was the first call."""
        with self._lock:
            if self._over.is_set():
                return False
            self._over.set()
        self._woken.set()
        _LOG.info("the session at %s is over: %s", self._lease.origin, why)
        return True

    def _finish(self) -> None:
        """Forget the lease, and its key with it."""
        self._told.set()
        self._forget(self)

    def _tell(self, event: LeaseEvent) -> bool:
        # A new number for each try: one that was not answered may have arrived all the same.
        with self._lock:
            self._counter += 1
            counter = self._counter
        message = LeaseMessage.signed(
            self._lease.key,
            origin=self._lease.origin,
            lease=self._lease.terms.id,
            counter=counter,
            event=event,
        )
        alive = self._gateway.tell(message)
        self._heard_at = self._clock()
        return alive


def _is_same_card(state: ReaderState, card: ReaderState) -> bool:
    """Return whether the card was there all the time; the count betrays the fastest swap."""
    return state.name == card.name and state.present and state.events == card.events
