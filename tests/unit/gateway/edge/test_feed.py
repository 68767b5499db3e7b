import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import pytest

from gateway.clock import system_clock
from gateway.edge import feed
from gateway.edge.feed import EndFeed
from gateway.errors import StoreReplacedError, StoreUnavailableError
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from gateway.settings import SessionSettings
from tests.support.relay import PERSON, new_agent_key, session_key


class Heard:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.all_ended_count = 0
        self.silences: list[float] = []

    def ended(self, keys: Sequence[bytes]) -> None:
        self.keys += keys

    def all_ended(self) -> None:
        self.all_ended_count += 1

    def silent(self, seconds: float) -> None:
        self.silences.append(seconds)


class AbsentStore(MemorySessionStore):
    """A store that is away."""

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        raise StoreUnavailableError("away")


class ReplacedStore(MemorySessionStore):
    """A store that was emptied, and says so to who comes with an old cursor."""

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        if cursor != 7:
            raise StoreReplacedError(7)
        return cursor, ()


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.01)


def _follow(followed: EndFeed, until: Callable[[], object]) -> float:
    """Run until something is so, and return the silence then."""

    async def main() -> float:
        task = asyncio.create_task(followed.run())
        async with asyncio.timeout(2):
            while not until():
                await asyncio.sleep(0.005)
        silence = followed.silence()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return silence

    return asyncio.run(main())


def test_the_end_of_a_session_is_told_once() -> None:
    sessions, heard = MemorySessionStore(SessionSettings()), Heard()
    keys = [
        session_key(sessions.create(PERSON, new_agent_key(), now=system_clock())) for _ in range(2)
    ]
    sessions.end(keys[0], EndReason.LOGOUT, now=system_clock())
    followed = EndFeed(sessions, system_clock, heard)
    _follow(followed, lambda: heard.keys)
    sessions.end(keys[1], EndReason.LOGOUT, now=system_clock())
    _follow(followed, lambda: len(heard.keys) > 1)
    assert heard.keys == keys
    assert heard.silences == []


def test_the_silence_of_a_store_is_measured() -> None:
    heard = Heard()
    followed = EndFeed(AbsentStore(SessionSettings()), system_clock, heard)
    silence = _follow(followed, lambda: len(heard.silences) > 3)
    assert heard.silences == sorted(heard.silences)
    assert silence >= heard.silences[-1] > 0


def test_a_store_that_answers_is_not_silent() -> None:
    looks: list[datetime] = []

    def clock() -> datetime:
        looks.append(system_clock())
        return looks[-1]

    followed = EndFeed(MemorySessionStore(SessionSettings()), clock, Heard())
    assert _follow(followed, lambda: len(looks) > 5) < 0.05


def test_a_store_that_was_replaced_ends_all_and_is_followed_on() -> None:
    heard = Heard()
    followed = EndFeed(ReplacedStore(SessionSettings()), system_clock, heard)
    silence = _follow(followed, lambda: heard.all_ended_count)
    assert silence < 0.05
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(followed.run(), 0.05))
    assert heard.all_ended_count == 1
    assert heard.silences == []
