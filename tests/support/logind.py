"""A bus of our own, and on it a program that speaks as logind does.

Names, paths, signatures and the order of signals are those of org.freedesktop.login1(5).
"""

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection

NAME = "org.freedesktop.login1"
MANAGER = DBusAddress("/org/freedesktop/login1", NAME, "org.freedesktop.login1.Manager")
SESSION = "org.freedesktop.login1.Session"
OWN_SESSION = "/org/freedesktop/login1/session/_32"
OTHER_SESSION = "/org/freedesktop/login1/session/_33"
_START_SECONDS = 10.0
_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow send_type="signal"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"""


@contextmanager
def private_bus() -> Iterator[str]:
    """Run a message bus, and yield its address."""
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("dbus-daemon is not installed")
    # Not pytest's folder: a socket's path has room for some hundred characters.
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder, "bus")
        file = Path(folder, "bus.conf")
        file.write_text(_CONFIGURATION.format(path=socket), encoding="utf-8")
        bus = subprocess.Popen([program, "--nofork", "--nopidfile", f"--config-file={file}"])
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not socket.exists():
                assert bus.poll() is None, "the bus ended"
                assert time.monotonic() < deadline, "the bus does not start"
                time.sleep(0.005)
            yield f"unix:path={socket}"
        finally:
            bus.terminate()
            bus.wait()


class LogindDouble:
    """Answers what the agent asks, and tells what a test has happen.

    :param session: path of the session that the agent belongs to, ``None`` for none.
    """

    def __init__(self, bus: str, *, session: str | None = OWN_SESSION) -> None:
        self.session = session
        self.locked = {OWN_SESSION: False, OTHER_SESSION: False}
        self.asked: list[str] = []
        self._connection = open_dbus_connection(bus)
        self._sending = threading.Lock()
        self._over = threading.Event()
        self._connection.send_and_get_reply(message_bus.RequestName(NAME), timeout=5)
        self._thread = threading.Thread(target=self._serve, name="logind double", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, as logind does when it is updated."""
        self._over.set()
        self._thread.join()
        self._connection.close()

    def want_lock(self, session: str = OWN_SESSION) -> None:
        """Ask the desktop to lock, as ``loginctl lock-session`` does."""
        self.signal(session_signal("Lock", session))

    def set_locked(self, locked: bool, session: str = OWN_SESSION) -> None:
        """Say that the desktop set the hint."""
        self.locked[session] = locked
        self.signal(properties_changed(session, {"LockedHint": ("b", locked)}))

    def sleep(self, begins: bool) -> None:
        """Say that the computer goes to sleep, or woke."""
        self.signal(new_signal(MANAGER, "PrepareForSleep", "b", (begins,)))

    def signal(self, signal: Message) -> None:
        """Send any signal."""
        with self._sending:
            self._connection.send(signal)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                call = self._connection.receive(timeout=0.02)
            except TimeoutError:
                continue
            if call.header.message_type is MessageType.method_call:
                with self._sending:
                    self._connection.send(self._answer(call))

    def _answer(self, call: Message) -> Message:
        fields = call.header.fields
        member = fields[HeaderFields.member]
        self.asked.append(member)
        if member == "GetSession" and call.body == ("auto",):
            if self.session is None:
                return new_error(call, f"{NAME}.NoSessionForPID", "s", ("no session",))
            return new_method_return(call, "o", (self.session,))
        if member == "Get" and call.body == (SESSION, "LockedHint"):
            locked = self.locked[fields[HeaderFields.path]]
            return new_method_return(call, "v", (("b", locked),))
        return new_error(call, "org.freedesktop.DBus.Error.UnknownMethod")


@contextmanager
def running_logind(bus: str, *, session: str | None = OWN_SESSION) -> Iterator[LogindDouble]:
    """Yield the double, which ends with the context."""
    with closing(LogindDouble(bus, session=session)) as logind:
        yield logind


def session_signal(member: str, session: str = OWN_SESSION) -> Message:
    """Return a signal of a session's."""
    return new_signal(DBusAddress(session, NAME, SESSION), member)


def properties_changed(
    session: str, changed: dict[str, tuple[str, object]], *, unsaid: tuple[str, ...] = ()
) -> Message:
    """Return the signal that a session's properties changed."""
    emitter = DBusAddress(session, NAME, "org.freedesktop.DBus.Properties")
    return new_signal(emitter, "PropertiesChanged", "sa{sv}as", (SESSION, changed, list(unsaid)))


def send_to_everybody_by_name(bus: str, *signals: Message) -> None:
    """Send signals to each program on the bus by its own name, past all match rules."""
    with open_dbus_connection(bus) as attacker:
        (names,) = attacker.send_and_get_reply(message_bus.ListNames(), timeout=5).body
        for name in names:
            if name.startswith(":") and name != attacker.unique_name:
                for signal in signals:
                    _send_to(attacker, signal, name)
        # An answer to a later call says that the bus has passed all of them on.
        attacker.send_and_get_reply(message_bus.GetId(), timeout=5)


def _send_to(attacker: DBusConnection, signal: Message, name: str) -> None:
    signal.header.fields[HeaderFields.destination] = name
    attacker.send(signal)
