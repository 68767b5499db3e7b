"""A refresher's work step by step, against a published authority, at a clock that tests set."""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509

from gateway.clock import Clock
from gateway.errors import LoginRejectedError
from gateway.refresh.fetch import Fetcher
from gateway.refresh.follower import ListFollower
from gateway.refresh.memory import AnswerTable, RevokedTable
from gateway.refresh.refresher import Refresher
from gateway.refresh.responders import Inquiry, Responder, Responders
from gateway.settings import Settings
from gateway.trust.list_standing import Standing, find_standing
from gateway.trust.path import PathVerifier
from gateway.trust.revocation_memory import owner_of
from gateway.trust.revocation_places import list_slots
from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.revocation_folder import RevocationFolder
from tests.support.trust import trust_store


class Refreshing:
    """One gateway whose lists and answers come from *authority*, one look or question at a time.

    Use it in a ``with`` statement.
    """

    def __init__(
        self,
        folder: Path,
        authority: PublishedAuthority,
        *,
        cards: Iterable[str] | None = None,
        delta: Iterable[str] = (),
        ocsp: Iterable[str] | None = None,
        nonce: str = "required",
        designated: Iterable[x509.Certificate] = (),
        files: Iterable[Path] = (),
        more: Mapping[str, object] | None = None,
    ) -> None:
        self.now = pki.NOW
        self.folder = RevocationFolder(
            folder,
            cards=[authority.url(authority.list_path)] if cards is None else cards,
            delta=delta,
            authorities=[authority.url(authority.root_list_path)],
            ocsp=[authority.ocsp_url] if ocsp is None else ocsp,
            nonce=nonce,
            designated=designated,
            files=files,
            more=more,
        )
        self._runner = asyncio.Runner()
        self._held = AsyncExitStack()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._fetcher = self._runner.run(self._held.enter_async_context(Fetcher.open()))
        self.restart()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._runner.run(self._held.aclose())
        self._runner.close()

    def clock(self) -> datetime:
        """Return the time that everything here has."""
        return self.now

    def restart(self) -> None:
        """Begin with what is on disk, as a new process does."""
        places = self.folder.places
        self.revoked, self.answers = RevokedTable(places.revoked), AnswerTable(places.answers)
        self.followers = {
            slot.label: ListFollower(
                slot,
                places=places,
                store=self.folder.store,
                fetcher=self._fetcher,
                revoked=self.revoked,
                is_listed=lambda *_: False,
                clock=self.clock,
            )
            for slot in list_slots(self.folder.settings.trust, self.folder.store)
        }
        self.inquiry = Inquiry(
            fetcher=self._fetcher,
            revoked=self.revoked,
            answers=self.answers,
            is_good=self._is_good,
            places=places,
            clock=self.clock,
            pause_seconds=0,
        )
        self._runner.run(self._mend())

    def look(self) -> None:
        """Look at every list once."""
        self._runner.run(self._look())

    def ask(self, certificate: x509.Certificate) -> bool:
        """Ask about a card once; return whether anybody knew."""
        table = self.folder.settings.trust.revocation[0]
        issuer = pki.hierarchy().intermediate.certificate
        responders = Responders(
            owner=owner_of(issuer),
            issuer=issuer,
            responders=tuple(
                Responder(
                    address=address,
                    nonce=table.ocsp_nonce,
                    designated=tuple(
                        x509.load_pem_x509_certificate(file.read_bytes())
                        for file in table.ocsp_responders
                    ),
                )
                for address in table.ocsp
            ),
        )
        found = self._runner.run(self.inquiry.ask(responders, certificate.serial_number))
        self.answers.write(self.now)
        return found

    def verdict(self, leaf: x509.Certificate) -> str:
        """Return what a login finds now, in a process that has just begun: a source or a code."""
        chain = PathVerifier(trust_store()).require_chain(leaf, self.now)
        lists = self.folder.follow(self.now)
        try:
            return lists.require_good(chain, self.now)
        except LoginRejectedError as exc:
            return exc.reason.value

    def error(self, label: str) -> str:
        """Return the error that is noted of one list; empty where there is none."""
        return self.followers[label].journal.error or ""

    def _is_good(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        lists = [each.current for each in self.followers.values() if each.current is not None]
        found = find_standing(certificate, issuer, lists, self.now)
        return found.standing is Standing.GOOD

    async def _mend(self) -> None:
        for follower in self.followers.values():
            await follower.mend()

    async def _look(self) -> None:
        for follower in self.followers.values():
            await follower.look()


def refresh_once(settings: Settings, clock: Clock) -> None:
    """Have the tables made that a gateway with *settings* looks revocation up in."""

    async def refresh() -> None:
        refresher = Refresher(settings, clock=clock)
        try:
            await refresher.start()
        finally:
            await refresher.stop()

    # In a thread of its own: the caller may have an event loop already.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, refresh()).result()
