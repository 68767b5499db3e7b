"""The refresher: follows lists, asks responders, and says that it lives."""

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from cryptography import x509

from gateway.clock import Clock
from gateway.errors import ConfigurationError
from gateway.refresh.fetch import Fetcher
from gateway.refresh.follower import ListFollower
from gateway.refresh.memory import AnswerTable, RevokedTable
from gateway.refresh.questions import WORKERS, Questions
from gateway.refresh.responders import Inquiry, Responder, Responders
from gateway.refresh.timing import pause_after_failure, pause_after_success
from gateway.settings import Settings, TrustSettings
from gateway.trust.ask import MESSAGE_BYTES
from gateway.trust.list_standing import Standing, find_standing
from gateway.trust.revocation_list import RevocationList
from gateway.trust.revocation_memory import owner_of
from gateway.trust.revocation_places import (
    ListSlot,
    RevocationPlaces,
    authority_of,
    list_slots,
)
from gateway.trust.revocation_report import is_weak, overdue_problems
from gateway.trust.store import TrustStore, is_issued_by, read_certificate

LOOK_AT_FILES = timedelta(seconds=5)
"""Between two looks whether a file changed."""
BEAT_SECONDS = 60.0
"""Between two signs of life; at each, tables are looked through and answers renewed."""
READY_SECONDS = 10.0
"""Longest time until logins may begin, whether all sources have answered or not."""
_log = logging.getLogger(__name__)


class Refresher:
    """All that one gateway's revocation data needs, on the running event loop."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        """Touch nothing yet.

        :raises ConfigurationError: for a certificate in the settings that cannot be used.
        """
        self._every = timedelta(seconds=settings.trust.refresh_seconds)
        self._trust = settings.trust
        self._clock = clock
        self._places = RevocationPlaces.of(settings)
        self._store = TrustStore.load(settings.trust, settings.environment, clock())
        self._responders = _responders(settings.trust, self._store)
        self._held = AsyncExitStack()
        self._followers: tuple[ListFollower, ...] = ()
        self._alarms: frozenset[str] = frozenset()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    @property
    def address(self) -> str:
        """Where it is told which certificates matter."""
        return str(self._places.socket)

    async def start(self) -> None:
        """Begin, and return when every source was looked at once, or after ten seconds.

        :raises ConfigurationError: where another refresher has the same folder.
        :raises OSError: where the folder or the socket cannot be used.
        """
        places = self._places
        places.folder.mkdir(mode=0o700, exist_ok=True)
        self._held.enter_context(_only_writer(places.folder))
        fetcher = await self._held.enter_async_context(Fetcher.open())
        revoked, answers = RevokedTable(places.revoked), AnswerTable(places.answers)
        self._followers = tuple(
            ListFollower(
                slot,
                places=places,
                store=self._store,
                fetcher=fetcher,
                revoked=revoked,
                is_listed=partial(self._is_listed_elsewhere, slot),
                clock=self._clock,
            )
            for slot in list_slots(self._trust, self._store)
        )
        questions = self._make_questions(fetcher, revoked, answers)
        self._held.enter_context(_listening(places.socket, questions.hear))
        for follower in self._followers:
            await follower.mend()
        looked = [asyncio.Event() for _ in self._followers]
        self._tasks = tuple(
            asyncio.create_task(work)
            for work in (
                *(
                    self._follow(follower, event)
                    for follower, event in zip(self._followers, looked, strict=True)
                ),
                *(self._answer(questions) for _ in range(WORKERS)),
                self._beat(questions),
            )
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(*(event.wait() for event in looked))

    async def run(self) -> None:
        """Go on until cancelled."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """End what is under way, and give the folder free."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._held.aclose()

    def _make_questions(
        self, fetcher: Fetcher, revoked: RevokedTable, answers: AnswerTable
    ) -> Questions:
        inquiry = Inquiry(
            fetcher=fetcher,
            revoked=revoked,
            answers=answers,
            is_good=self._is_good,
            places=self._places,
            clock=self._clock,
        )
        return Questions(
            inquiry,
            self._responders,
            answers=answers,
            always=_authorities(self._store),
            is_weak=self._is_weak,
            clock=self._clock,
        )

    async def _follow(self, follower: ListFollower, looked: asyncio.Event) -> None:
        while True:
            try:
                await follower.look()
            except OSError as exc:
                # A full disk, most likely: logins go on with what is there.
                _log.error("list of %s cannot be written: %s", follower.slot.label, exc)
            looked.set()
            await asyncio.sleep(self._pause(follower).total_seconds())

    def _pause(self, follower: ListFollower) -> timedelta:
        if follower.slot.file is not None:
            return LOOK_AT_FILES
        if follower.journal.failures or follower.current is None:
            return pause_after_failure(max(1, follower.journal.failures), every=self._every)
        return pause_after_success(follower.current, every=self._every, now=self._clock())

    async def _answer(self, questions: Questions) -> None:
        while True:
            try:
                await questions.work()
            except OSError as exc:
                _log.error("answers cannot be written: %s", exc)

    async def _beat(self, questions: Questions) -> None:
        while True:
            try:
                self._touch_pulse()
                for follower in self._followers:
                    await follower.mend()
            except OSError as exc:
                _log.error("the state folder cannot be written: %s", exc)
            questions.renew()
            await asyncio.sleep(BEAT_SECONDS)
            # Not before: a gateway that starts with an empty folder has fetched by then.
            self._raise_alarms()

    def _raise_alarms(self) -> None:
        """Log what is wrong with the lists' ends, once when it begins and once when it is over."""
        now = self._clock()
        alarms = frozenset(
            problem
            for authority in self._store.authorities()
            for problem in overdue_problems(authority, self._lists_of(authority), now)
        )
        for problem in sorted(alarms - self._alarms):
            _log.error("alarm: %s", problem)
        for problem in sorted(self._alarms - alarms):
            _log.info("over: %s", problem)
        self._alarms = alarms

    def _touch_pulse(self) -> None:
        now = self._clock().timestamp()
        self._places.pulse.touch(mode=0o600)
        os.utime(self._places.pulse, (now, now))

    def _lists_of(self, issuer: x509.Certificate) -> list[RevocationList]:
        lists = [follower.current for follower in self._followers]
        return [each for each in lists if each is not None and each.speaks_for(issuer)]

    def _is_weak(self, owner: str) -> bool:
        return is_weak(self._lists_of(self._responders[owner].issuer), self._clock())

    def _is_good(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        found = find_standing(certificate, issuer, self._lists_of(issuer), self._clock())
        return found.standing is Standing.GOOD

    def _is_listed_elsewhere(
        self, slot: ListSlot, authority: x509.Certificate, serial: int
    ) -> bool:
        """Return whether a complete list in another place has that number as revoked for good."""
        return any(
            follower.current.authority == authority and follower.current.lists_for_good(serial)
            for follower in self._followers
            if follower.slot != slot
            and follower.current is not None
            and follower.current.base_number is None
        )


def _responders(trust: TrustSettings, store: TrustStore) -> dict[str, Responders]:
    """Return who answers for each authority that has a responder, by owner."""
    found: dict[str, Responders] = {}
    for table in trust.revocation:
        if not table.ocsp:
            continue
        issuer = authority_of(table.authority, trust, store)
        designated = tuple(map(_read_certificate, table.ocsp_responders))
        added = tuple(
            Responder(address=address, nonce=table.ocsp_nonce, designated=designated)
            for address in table.ocsp
        )
        owner = owner_of(issuer)
        before = found[owner].responders if owner in found else ()
        found[owner] = Responders(owner=owner, issuer=issuer, responders=before + added)
    return found


def _authorities(store: TrustStore) -> list[tuple[str, int]]:
    """Return the intermediates, each under the owner of the anchor that issued it."""
    return [
        (owner_of(anchor), intermediate.serial_number)
        for intermediate in store.intermediates
        for anchor in store.anchors
        if is_issued_by(intermediate, anchor)
    ]


def _read_certificate(file: Path) -> x509.Certificate:
    try:
        return read_certificate(file)
    except ValueError as exc:
        raise ConfigurationError(str(file), "trust.revocation.ocsp_responders", str(exc)) from exc


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder against a second refresher, whose files would replace ours.

    :raises ConfigurationError: where another one holds it.
    """
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            reason = "another refresher uses the folder revocation in it"
            raise ConfigurationError(str(folder.parent), "state_dir", reason) from exc
        yield


@contextmanager
def _listening(place: Path, hear: Callable[[bytes], None]) -> Iterator[None]:
    """Pass every message that comes to the socket at *place* to *hear*."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        # Left over by a refresher that was killed; no other one runs.
        place.unlink(missing_ok=True)
        receiver.bind(str(place))
        place.chmod(0o600)

        def read() -> None:
            with suppress(BlockingIOError):
                hear(receiver.recv(MESSAGE_BYTES + 1))

        loop.add_reader(receiver, read)
        try:
            yield
        finally:
            loop.remove_reader(receiver)
            place.unlink(missing_ok=True)
