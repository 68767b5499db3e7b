import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import pytest

from gateway.clock import system_clock
from gateway.edge import book as book_module
from gateway.edge import feed
from gateway.edge.book import SessionBook
from gateway.errors import SessionRequiredError, StoreUnavailableError
from gateway.session.limits import SessionLimits
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason, Session
from gateway.settings import SessionSettings
from tests.support.relay import PERSON, new_agent_key, session_key

AGENT_KEY = new_agent_key()


class CountingStore(MemorySessionStore):
    """A store that counts how often it is asked, may be away, and may be slow."""

    def __init__(self) -> None:
        super().__init__(SessionSettings())
        self.asked = 0
        self.is_away = False
        self.is_mute = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def get(self, key: bytes, *, now: datetime) -> Session:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailableError("away")
        session = super().get(key, now=now)
        # What is read is told later, as by a store that is far away.
        assert self.may_answer.wait(2)
        return session

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        if self.is_away or self.is_mute:
            raise StoreUnavailableError("away")
        return super().ended_since(cursor, now=now)


class Desk:
    """A book with its store and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = system_clock()
        self.store = CountingStore()
        self.book = SessionBook(self.store, lambda: self.now, SessionLimits.of(SessionSettings()))

    def log_in(self) -> bytes:
        return session_key(self.store.create(PERSON, AGENT_KEY, now=self.now))

    def known(self, key: bytes) -> Session | None:
        return self.book.known(key, self.now)


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.01)


def at_desk(act: Callable[[Desk], Awaitable[None]]) -> None:
    """Run *act* with a book that follows its store."""

    async def main() -> None:
        desk = Desk()
        following = asyncio.create_task(desk.book.feed.run())
        await asyncio.sleep(0.02)
        try:
            async with asyncio.timeout(2):
                await act(desk)
        finally:
            desk.store.may_answer.set()
            desk.book.close()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    asyncio.run(main())


async def until(is_so: Callable[[], object]) -> None:
    while not is_so():
        await asyncio.sleep(0.002)


def test_a_session_is_asked_for_once() -> None:
    async def act(desk: Desk) -> None:
        key = desk.log_in()
        assert desk.known(key) is None
        found = await desk.book.find(key)
        assert found.identity == PERSON
        assert desk.known(key) == found
        assert desk.store.asked == 1

    at_desk(act)


def test_many_who_ask_at_once_are_one_question() -> None:
    async def act(desk: Desk) -> None:
        key = desk.log_in()
        found = await asyncio.gather(*(desk.book.find(key) for _ in range(20)))
        assert len(found) == 20
        assert desk.store.asked == 1

    at_desk(act)


def test_what_the_store_does_not_have_is_not_remembered() -> None:
    async def act(desk: Desk) -> None:
        with pytest.raises(SessionRequiredError):
            await desk.book.find(b"x" * 32)
        assert len(desk.book) == 0

    at_desk(act)


def test_the_end_of_a_session_is_heard() -> None:
    async def act(desk: Desk) -> None:
        key, other = desk.log_in(), desk.log_in()
        await desk.book.find(key)
        await desk.book.find(other)
        desk.store.end(key, EndReason.LOGOUT, now=desk.now)
        await until(lambda: desk.known(key) is None)
        assert desk.known(other) is not None
        with pytest.raises(SessionRequiredError):
            await desk.book.find(key)

    at_desk(act)


def test_a_session_that_ends_while_the_store_is_asked_is_over() -> None:
    async def act(desk: Desk) -> None:
        key = desk.log_in()
        desk.store.may_answer.clear()
        question = asyncio.create_task(desk.book.find(key))
        await until(lambda: desk.store.asked)
        desk.book.ended([key])
        desk.store.may_answer.set()
        with pytest.raises(SessionRequiredError):
            await question
        assert desk.known(key) is None

    at_desk(act)


def test_a_store_that_was_replaced_while_it_was_asked_says_nothing() -> None:
    async def act(desk: Desk) -> None:
        key = desk.log_in()
        desk.store.may_answer.clear()
        question = asyncio.create_task(desk.book.find(key))
        await until(lambda: desk.store.asked)
        desk.book.all_ended()
        desk.store.may_answer.set()
        with pytest.raises(SessionRequiredError):
            await question
        assert len(desk.book) == 0

    at_desk(act)


def test_where_nobody_says_who_left_the_store_is_asked_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book_module, "MAX_SILENCE_SECONDS", 0.05)

    async def act(desk: Desk) -> None:
        key = desk.log_in()
        await desk.book.find(key)
        desk.store.is_mute = True
        await until(lambda: desk.known(key) is None)
        assert (await desk.book.find(key)).key == key
        assert desk.known(key) is None
        desk.store.is_away = True
        with pytest.raises(StoreUnavailableError):
            await desk.book.find(key)
        desk.store.is_away = desk.store.is_mute = False
        await until(lambda: desk.known(key) is not None)

    at_desk(act)


@pytest.mark.parametrize(
    "pause", [timedelta(hours=1), timedelta(hours=4), timedelta(minutes=-2)], ids=str
)
def test_limits_are_left_to_the_store(pause: timedelta) -> None:
    async def act(desk: Desk) -> None:
        key = desk.log_in()
        await desk.book.find(key)
        desk.now += pause
        assert desk.known(key) is None
        with pytest.raises(SessionRequiredError):
            await desk.book.find(key)

    at_desk(act)


def test_a_card_that_is_still_there_is_known_to_the_store_alone() -> None:
    async def act(desk: Desk) -> None:
        grace = timedelta(seconds=60)
        lease = desk.store.open_lease(AGENT_KEY, grace=grace, now=desk.now)
        cookie = desk.store.create(PERSON, AGENT_KEY, now=desk.now, lease=lease)
        key = session_key(cookie)
        await desk.book.find(key)
        desk.store.renew_lease(lease, 1, now=desk.now + timedelta(seconds=20))
        desk.now += timedelta(seconds=61)
        assert desk.known(key) is None
        await desk.book.find(key)
        assert desk.known(key) is not None
        desk.now += timedelta(seconds=20)
        with pytest.raises(SessionRequiredError):
            await desk.book.find(key)

    at_desk(act)


def test_use_is_noted_in_the_store_once_in_a_while() -> None:
    async def act(desk: Desk) -> None:
        key = desk.log_in()
        first = await desk.book.find(key)
        desk.now += timedelta(seconds=29)
        assert desk.known(key) == first
        assert desk.store.asked == 1
        desk.now += timedelta(seconds=1)
        for _ in range(10):
            assert desk.known(key) is not None
        await until(lambda: desk.known(key) != first)
        assert desk.store.asked == 2
        noted = desk.known(key)
        assert noted is not None
        assert noted.seen_at == desk.now

    at_desk(act)


def test_use_that_cannot_be_noted_is_tried_again() -> None:
    async def act(desk: Desk) -> None:
        key = desk.log_in()
        await desk.book.find(key)
        desk.now += timedelta(seconds=30)
        desk.store.is_away = True
        assert desk.known(key) is not None
        await until(lambda: desk.store.asked == 2)
        desk.store.is_away = False
        await until(lambda: desk.known(key) is not None and desk.store.asked == 3)

    at_desk(act)


def test_the_book_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MAX_KNOWN", 2)

    async def act(desk: Desk) -> None:
        keys = [desk.log_in() for _ in range(3)]
        for key in keys:
            await desk.book.find(key)
        assert [desk.known(key) is not None for key in keys] == [False, True, True]

    at_desk(act)


class Follower:
    """A listener behind the book that looks what the book still knows."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.told: list[object] = []

    def ended(self, keys: Sequence[bytes]) -> None:
        self.told.append((list(keys), len(self.desk.book)))

    def all_ended(self) -> None:
        self.told.append(("all", len(self.desk.book)))

    def silent(self, seconds: float) -> None:
        self.told.append(seconds)


def test_followers_are_told_after_the_book() -> None:
    async def act(desk: Desk) -> None:
        keys = [desk.log_in(), desk.log_in()]
        for key in keys:
            await desk.book.find(key)
        follower = Follower(desk)
        desk.book.follow(follower)
        desk.book.ended(keys[:1])
        desk.book.all_ended()
        desk.book.silent(3)
        assert follower.told == [(keys[:1], 1), ("all", 0), 3]

    at_desk(act)
