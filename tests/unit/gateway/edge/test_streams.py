import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import pytest

from gateway.clock import system_clock
from gateway.edge import streams
from gateway.edge.streams import EndWatcher, OpenStreams
from gateway.errors import StoreUnavailableError
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from gateway.settings import SessionSettings
from tests.support.relay import PERSON, new_agent_key, session_key


class Connection:
    """A connection that remembers whether it was cut."""

    def __init__(self) -> None:
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True


class AbsentStore(MemorySessionStore):
    """A store that is away."""

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        raise StoreUnavailableError("away")


def test_the_end_of_a_session_cuts_its_connections_and_no_others() -> None:
    open_streams = OpenStreams()
    one, two, other = Connection(), Connection(), Connection()
    with (
        open_streams.held(b"a", one),
        open_streams.held(b"a", two),
        open_streams.held(b"b", other),
    ):
        assert len(open_streams) == 3
        assert open_streams.cut(b"a") == 2
        assert (one.is_cut, two.is_cut, other.is_cut) == (True, True, False)
    assert len(open_streams) == 0


def test_an_answer_that_ended_is_not_cut() -> None:
    open_streams, connection = OpenStreams(), Connection()
    with open_streams.held(b"a", connection):
        pass
    assert open_streams.cut(b"a") == 0
    assert not connection.is_cut


def test_an_answer_that_failed_is_forgotten() -> None:
    open_streams = OpenStreams()
    with suppress(ConnectionError), open_streams.held(b"a", Connection()):
        raise ConnectionError
    assert len(open_streams) == 0


def test_an_answer_that_was_cut_does_not_forget_a_later_one() -> None:
    open_streams, later = OpenStreams(), Connection()
    with open_streams.held(b"a", Connection()):
        open_streams.cut(b"a")
        held = open_streams.held(b"a", later)
        held.__enter__()
    assert open_streams.cut(b"a") == 1
    assert later.is_cut


def _watch(watcher: EndWatcher, until: Connection) -> None:
    async def main() -> None:
        task = asyncio.create_task(watcher.run())
        async with asyncio.timeout(2):
            while not until.is_cut:
                await asyncio.sleep(0.005)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_the_watcher_cuts_what_a_logout_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.01)
    sessions = MemorySessionStore(SessionSettings())
    key = session_key(sessions.create(PERSON, new_agent_key(), now=system_clock()))
    open_streams, connection, other = OpenStreams(), Connection(), Connection()
    watcher = EndWatcher(open_streams, sessions, system_clock)
    with open_streams.held(key, connection), open_streams.held(b"other", other):
        sessions.end(key, EndReason.LOGOUT, now=system_clock())
        _watch(watcher, connection)
    assert not other.is_cut


def test_a_silent_store_has_everything_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(streams, "MAX_SILENCE_SECONDS", 0.05)
    open_streams, connection = OpenStreams(), Connection()
    watcher = EndWatcher(open_streams, AbsentStore(SessionSettings()), system_clock)
    with open_streams.held(b"a", connection):
        _watch(watcher, connection)


def test_a_store_that_is_away_for_a_moment_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.01)
    open_streams, connection = OpenStreams(), Connection()
    watcher = EndWatcher(open_streams, AbsentStore(SessionSettings()), system_clock)
    with open_streams.held(b"a", connection), pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(watcher.run(), 0.1))
    assert not connection.is_cut
