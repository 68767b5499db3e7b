"""The person's desktop on Linux, as logind tells of it on the system's bus.

Source: org.freedesktop.login1(5); D-Bus Specification, "Match Rules" and "Message Bus Messages".
"""

import logging
import socket
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto, unique
from typing import Any

from jeepney import (
    DBusAddress,
    DBusErrorResponse,
    HeaderFields,
    MatchRule,
    Message,
    Properties,
    message_bus,
    new_method_call,
)
from jeepney.bus import get_bus
from jeepney.io.blocking import DBusConnection, prep_socket
from jeepney.wrappers import unwrap_msg

from cps.agent.platform import DesktopListener

_LOG = logging.getLogger(__name__)

SYSTEM_BUS = "SYSTEM"
_NAME = "org.freedesktop.login1"
_MANAGER_PATH = "/org/freedesktop/login1"
_MANAGER = "org.freedesktop.login1.Manager"
_SESSION = "org.freedesktop.login1.Session"
_BUS = "org.freedesktop.DBus"
_OWN_SESSION = "auto"
"""The caller's session, or for a program that systemd started, the one its user sits at."""
_CALL_SECONDS = 5.0
_MAX_WAITING = 256
"""Signals kept while an answer is waited for; one desktop sends a handful."""


class LogindError(Exception):
    """There is no bus, no logind on it, or no session that logind knows."""


@unique
class DesktopEvent(Enum):
    """What happened."""

    LOCK_WANTED = auto()
    """The desktop is asked to lock its screen. Some screen lockers tell nothing more."""
    LOCKED = auto()
    """The desktop says that its screen is locked."""
    UNLOCKED = auto()
    """The desktop says that it is not."""
    SLEEP = auto()
    """The computer goes to sleep in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogindLimits:
    """Times of the watch, in seconds."""

    look: float = 1.0
    """So often the watch looks whether it is to end."""
    retry: float = 5.0
    """Pause before logind is looked for anew."""


class _BoundedConnection(DBusConnection):  # type: ignore[misc] # jeepney has no types
    """A connection that waits for no answer without end.

    The library's own waits for ever for the answer to its greeting, and leaves the socket open.
    """

    def __init__(self, bus: socket.socket) -> None:
        try:
            super().__init__(bus)
        except BaseException:
            self.close()
            raise

    def send_and_get_reply(self, message: Message, *, timeout: float | None = None) -> Message:
        """Send *message* and return its answer.

        :raises TimeoutError: where there is none in time.
        """
        seconds = _CALL_SECONDS if timeout is None else timeout
        answer: Message = super().send_and_get_reply(message, timeout=seconds)
        return answer


class Logind:
    """A connection to logind, which tells what happens to the session of this process.

    :param bus: address of the bus, such as ``unix:path=/run/dbus/system_bus_socket``.
    :raises LogindError: where logind cannot be asked about that session.
    """

    def __init__(self, bus: str = SYSTEM_BUS) -> None:
        self._signals: deque[Message] = deque(maxlen=_MAX_WAITING)
        try:
            self._connection = _BoundedConnection(prep_socket(get_bus(bus)))
        except (OSError, ValueError, RuntimeError, DBusErrorResponse) as exc:
            raise LogindError(f"no bus: {exc}") from exc
        try:
            self._subscribe()
            self.locked = self._locked_hint()
            """Whether the screen was locked at first."""
        except LogindError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def wait(self, seconds: float) -> DesktopEvent | None:
        """Return what happens next, or ``None`` where that is nothing of interest.

        :param seconds: to wait at most.
        :raises LogindError: where logind is gone.
        """
        try:
            signal = self._connection.recv_until_filtered(self._signals, timeout=seconds)
        except TimeoutError:
            return None
        except (OSError, ValueError) as exc:
            raise LogindError(f"the bus is gone: {exc}") from exc
        return self._meaning(signal)

    def _subscribe(self) -> None:
        # The first call also starts a logind that is started on demand.
        self._own_session()
        change = MatchRule(type="signal", sender=_BUS, member="NameOwnerChanged")
        change.add_arg_condition(0, _NAME)
        self._listen_for(change, change)
        # Only now, so that no other owner can follow this one unseen.
        (owner,) = self._call(message_bus.GetNameOwner(_NAME))
        # Any program may send us a signal of any name: only who sent it tells it from logind's.
        self._listen_for(
            MatchRule(type="signal", sender=_NAME, path_namespace=_MANAGER_PATH),
            MatchRule(type="signal", sender=owner),
        )

    def _listen_for(self, asked_for: MatchRule, taken: MatchRule) -> None:
        """Have the bus send signals, and keep those of them that are to be taken."""
        self._connection.filter(taken, queue=self._signals)
        self._call(message_bus.AddMatch(asked_for))

    def _meaning(self, signal: Message) -> DesktopEvent | None:
        fields = signal.header.fields
        member, path = fields[HeaderFields.member], fields[HeaderFields.path]
        if member == "NameOwnerChanged":
            raise LogindError("logind ended")
        if (member, path) == ("PrepareForSleep", _MANAGER_PATH):
            return DesktopEvent.SLEEP if signal.body[0] else None
        if member == "PropertiesChanged":
            changed, unsaid = signal.body[1:3]
            if "LockedHint" not in (*changed, *unsaid) or path != self._own_session():
                return None
            return DesktopEvent.LOCKED if self._locked_hint() else DesktopEvent.UNLOCKED
        if member == "Lock" and path == self._own_session():
            return DesktopEvent.LOCK_WANTED
        return None

    def _own_session(self) -> str:
        """Return the path of the session; asked each time, since the person may sit down anew."""
        manager = DBusAddress(_MANAGER_PATH, bus_name=_NAME, interface=_MANAGER)
        (path,) = self._call(new_method_call(manager, "GetSession", "s", (_OWN_SESSION,)))
        return str(path)

    def _locked_hint(self) -> bool:
        session = DBusAddress(self._own_session(), bus_name=_NAME, interface=_SESSION)
        ((_, locked),) = self._call(Properties(session).get("LockedHint"))
        return bool(locked)

    def _call(self, call: Message) -> Iterable[Any]:
        try:
            answer = self._connection.send_and_get_reply(call)
            body: tuple[Any, ...] = unwrap_msg(answer)
        except DBusErrorResponse as exc:
            raise LogindError(f"{exc.name}: {exc.data}") from exc
        except (OSError, ValueError) as exc:
            raise LogindError(f"the bus does not answer: {exc}") from exc
        return body


class LogindWatch:
    """Tells a listener what happens, in a thread of its own, for as long as the agent runs.

    A bus or logind that is not there is looked for again and again; nothing else waits for it.

    :param bus: see :class:`Logind`.
    """

    def __init__(
        self,
        listener: DesktopListener,
        *,
        bus: str = SYSTEM_BUS,
        limits: LogindLimits | None = None,
    ) -> None:
        self._listener = listener
        self._bus = bus
        self._limits = limits or LogindLimits()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logind", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._over.set()
        self._thread.join(2 * self._limits.look)

    def _run(self) -> None:
        said = ""
        while not self._over.is_set():
            try:
                self._watch()
            except LogindError as exc:
                if str(exc) != said:
                    said = str(exc)
                    _LOG.warning("a locked screen is not seen: %s", said)
                self._over.wait(self._limits.retry)

    def _watch(self) -> None:
        logind = Logind(self._bus)
        try:
            self._listener.screen_is(locked=logind.locked)
            while not self._over.is_set():
                self._tell(logind.wait(self._limits.look))
        finally:
            logind.close()

    def _tell(self, event: DesktopEvent | None) -> None:
        match event:
            case DesktopEvent.LOCK_WANTED:
                self._listener.screen_locks()
            case DesktopEvent.LOCKED | DesktopEvent.UNLOCKED:
                self._listener.screen_is(locked=event is DesktopEvent.LOCKED)
            case DesktopEvent.SLEEP:
                self._listener.falls_asleep()
