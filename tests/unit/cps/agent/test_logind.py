"""What logind tells of the desktop, on a bus of our own: heeded, and from nobody else."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from jeepney import HeaderFields, Message, Parser, new_error, new_signal

from cps.agent import logind as agent_logind
from cps.agent.logind import DesktopEvent, Logind, LogindError, LogindLimits, LogindWatch
from tests.support.logind import (
    MANAGER,
    OTHER_SESSION,
    OWN_SESSION,
    LogindDouble,
    private_bus,
    properties_changed,
    running_logind,
    send_to_everybody_by_name,
    session_signal,
)

SOON = 10.0
LIMITS = LogindLimits(look=0.05, retry=0.05)


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    with private_bus() as address:
        yield address


@pytest.fixture
def double(bus: str) -> Iterator[LogindDouble]:
    with running_logind(bus) as running:
        yield running


@pytest.fixture
def logind(bus: str, double: LogindDouble) -> Iterator[Logind]:
    with closing(Logind(bus)) as connected:
        yield connected


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def screen_locks(self) -> None:
        self.events.append("locks")

    def screen_is(self, *, locked: bool) -> None:
        self.events.append("locked" if locked else "unlocked")

    def falls_asleep(self) -> None:
        self.events.append("sleep")


def await_(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON
    while not met():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.005)


def test_a_lock_that_is_asked_for_is_told(logind: Logind, double: LogindDouble) -> None:
    double.want_lock()
    assert logind.wait(SOON) is DesktopEvent.LOCK_WANTED


def test_a_hint_that_changes_is_told(logind: Logind, double: LogindDouble) -> None:
    assert logind.locked is False
    double.set_locked(True)
    assert logind.wait(SOON) is DesktopEvent.LOCKED
    double.set_locked(False)
    assert logind.wait(SOON) is DesktopEvent.UNLOCKED


def test_a_hint_that_changed_without_its_value_is_asked_for(
    logind: Logind, double: LogindDouble
) -> None:
    double.locked[OWN_SESSION] = True
    double.signal(properties_changed(OWN_SESSION, {}, unsaid=("LockedHint",)))
    assert logind.wait(SOON) is DesktopEvent.LOCKED


def test_a_screen_that_is_locked_already_is_known(bus: str, double: LogindDouble) -> None:
    double.locked[OWN_SESSION] = True
    with closing(Logind(bus)) as logind:
        assert logind.locked is True


def test_sleep_is_told_when_it_begins(logind: Logind, double: LogindDouble) -> None:
    double.sleep(False)
    assert logind.wait(SOON) is None
    double.sleep(True)
    assert logind.wait(SOON) is DesktopEvent.SLEEP


def test_what_concerns_other_sessions_or_properties_is_nothing(
    logind: Logind, double: LogindDouble
) -> None:
    double.want_lock(OTHER_SESSION)
    double.set_locked(True, OTHER_SESSION)
    double.signal(properties_changed(OWN_SESSION, {"IdleHint": ("b", True)}))
    double.signal(session_signal("Unlock"))
    for _ in range(4):
        assert logind.wait(SOON) is None
    double.want_lock()
    assert logind.wait(SOON) is DesktopEvent.LOCK_WANTED


def test_a_person_who_sits_down_anew_is_followed(logind: Logind, double: LogindDouble) -> None:
    double.session = OTHER_SESSION
    double.want_lock()
    assert logind.wait(SOON) is None
    double.want_lock(OTHER_SESSION)
    assert logind.wait(SOON) is DesktopEvent.LOCK_WANTED


def test_signals_of_another_program_are_nothing(
    bus: str, logind: Logind, double: LogindDouble
) -> None:
    send_to_everybody_by_name(
        bus,
        session_signal("Lock"),
        properties_changed(OWN_SESSION, {"LockedHint": ("b", True)}),
        new_signal(MANAGER, "PrepareForSleep", "b", (True,)),
    )
    double.want_lock()
    assert logind.wait(SOON) is DesktopEvent.LOCK_WANTED, "the first thing that is heeded"


def test_a_flood_of_another_program_hides_no_lock(
    bus: str, logind: Logind, double: LogindDouble
) -> None:
    double.want_lock()
    send_to_everybody_by_name(bus, *(session_signal("Unlock") for _ in range(1000)))
    assert logind.wait(SOON) is DesktopEvent.LOCK_WANTED


def test_a_wait_is_bounded(logind: Logind) -> None:
    began = time.monotonic()
    assert logind.wait(0.05) is None
    assert time.monotonic() - began < SOON / 2


def test_without_a_bus_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogindError, match="no bus"):
        Logind(f"unix:path={tmp_path}/none")


def test_a_bus_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    path = f"{tmp_path}/bus"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        with pytest.raises(LogindError, match="no bus"):
            Logind(f"unix:path={path}")


@contextmanager
def bus_that_answers(
    folder: Path, answer: Callable[[Message], Message | None]
) -> Iterator[tuple[str, list[bytes]]]:
    """Run a bus that lets everybody in; yield its address, and what came after its answers."""
    rest: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as received:
            assert b"AUTH EXTERNAL" in received.readline()
            connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
            assert received.readline() == b"BEGIN\r\n"
            parser = Parser()
            while (greeting := parser.get_next_message()) is None:
                parser.add_data(received.read1())
            if (said := answer(greeting)) is not None:
                connection.sendall(said.serialise(serial=1))
            rest.append(received.read())

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/bus")
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix:path={folder}/bus", rest
        thread.join(SOON)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(lambda greeting: None, "no bus: ", id="nothing"),
        pytest.param(
            lambda greeting: new_error(greeting, "org.freedesktop.DBus.Error.LimitsExceeded"),
            "LimitsExceeded",
            id="no",
        ),
    ],
)
def test_a_bus_that_lets_in_and_does_not_greet_is_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Message], Message | None],
    why: str,
) -> None:
    monkeypatch.setattr(agent_logind, "_CALL_SECONDS", 0.1)
    with (
        bus_that_answers(tmp_path, answer) as (address, rest),
        pytest.raises(LogindError, match=why),
    ):
        Logind(address)
    assert rest == [b""], "the connection is closed"


def test_without_logind_there_is_an_error(bus: str) -> None:
    with pytest.raises(LogindError, match="ServiceUnknown"):
        Logind(bus)


def test_without_a_session_there_is_an_error(bus: str) -> None:
    with running_logind(bus, session=None), pytest.raises(LogindError, match="NoSessionForPID"):
        Logind(bus)


def test_an_end_of_logind_is_an_error(bus: str) -> None:
    with running_logind(bus):
        logind = Logind(bus)
    with closing(logind), pytest.raises(LogindError, match="ended"):
        logind.wait(SOON)


def test_an_end_of_the_bus_is_an_error() -> None:
    with private_bus() as own, running_logind(own):
        logind = Logind(own)
    with closing(logind), pytest.raises(LogindError):
        logind.wait(SOON)


def test_the_watch_tells_all(bus: str, double: LogindDouble) -> None:
    heard = Heard()
    double.locked[OWN_SESSION] = True
    with closing(LogindWatch(heard, bus=bus, limits=LIMITS)):
        await_(lambda: heard.events == ["locked"])
        double.set_locked(False)
        double.want_lock()
        double.sleep(True)
        await_(lambda: heard.events == ["locked", "unlocked", "locks", "sleep"])
    double.want_lock()
    time.sleep(0.1)
    assert len(heard.events) == 4, "a watch that was closed tells nothing"


def test_a_lock_while_logind_was_away_is_learnt_of(
    bus: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    heard = Heard()
    with closing(LogindWatch(heard, bus=bus, limits=LIMITS)):
        await_(lambda: "ServiceUnknown" in caplog.text)
        with running_logind(bus):
            await_(lambda: heard.events == ["unlocked"])
        await_(lambda: "logind ended" in caplog.text)
        with running_logind(bus) as again:
            again.locked[OWN_SESSION] = True
            await_(lambda: heard.events[-1] == "locked")
    assert caplog.text.count("logind ended") == 1


def test_what_stays_away_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with closing(
        LogindWatch(
            Heard(),
            bus=f"unix:path={tmp_path}/none",
            limits=LogindLimits(look=0.05, retry=0.01),
        )
    ):
        await_(lambda: "no bus" in caplog.text)
        time.sleep(0.1)
    assert caplog.text.count("no bus") == 1
    assert "logind" not in [thread.name for thread in threading.enumerate()]


def test_a_logind_that_starts_anew_while_it_is_looked_for_is_heard(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus is asked who logind is, and at this moment logind is updated."""
    doubles = [LogindDouble(bus)]
    call = Logind._call

    def call_and_update(logind: Logind, message: Message) -> Iterable[object]:
        answer = call(logind, message)
        if message.header.fields[HeaderFields.member] == "GetNameOwner" and len(doubles) == 1:
            doubles[0].close()
            doubles.append(LogindDouble(bus))
        return answer

    monkeypatch.setattr(Logind, "_call", call_and_update)
    heard = Heard()
    with closing(LogindWatch(heard, bus=bus, limits=LIMITS)):
        await_(lambda: len(doubles) == 2)

        def is_heard() -> bool:
            doubles[1].want_lock()
            return "locks" in heard.events

        await_(is_heard)
    doubles[1].close()
