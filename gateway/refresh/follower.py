"""One list that is followed: from its source to the table that logins map."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography import x509

from gateway.clock import Clock
from gateway.refresh.fetch import Fetched, Fetcher, FetchError, Version
from gateway.refresh.memory import RevokedTable
from gateway.settings_revocation import is_fetched
from gateway.trust.list_entries import Reason
from gateway.trust.revocation_journal import SourceJournal
from gateway.trust.revocation_list import RevocationList
from gateway.trust.revocation_memory import owner_of
from gateway.trust.revocation_places import ListSlot, RevocationPlaces
from gateway.trust.serial_table import decode_serial
from gateway.trust.signed_list import MAX_LIST_BYTES, read_bounded
from gateway.trust.store import TrustStore
from gateway.trust.table_file import TableFile, write_whole

IsListed = Callable[[x509.Certificate, int], bool]
"""Says whether a complete list of that authority has a serial number as revoked for good."""
_log = logging.getLogger(__name__)


class ListFollower:
    """The newest good list of one slot, and its files.

    Work that takes long runs in a thread; one thing is done at a time.
    """

    def __init__(
        self,
        slot: ListSlot,
        *,
        places: RevocationPlaces,
        store: TrustStore,
        fetcher: Fetcher,
        revoked: RevokedTable,
        is_listed: IsListed,
        clock: Clock,
    ) -> None:
        """Nothing is read yet: see :meth:`mend`.

        :param is_listed: asked before a revocation that vanished from this list is kept.
        """
        self.slot = slot
        self.current: RevocationList | None = None
        self.journal = SourceJournal.load(places.journal(slot.name))
        self._places = places
        self._store = store
        self._fetcher = fetcher
        self._revoked = revoked
        self._is_listed = is_listed
        self._clock = clock
        self._generation = 0
        self._stamp: tuple[int, int, int] | None = None
        self._working = asyncio.Lock()

    async def mend(self) -> None:
        """See that the table is whole, and make it anew where it is not.

        :raises OSError: where it cannot be written.
        """
        async with self._working:
            await asyncio.to_thread(self._mend)

    async def look(self) -> None:
        """Ask the source once, and take the list there if it is a new one.

        What goes wrong is noted in the journal and in the log, and changes nothing else.

        :raises OSError: where the files cannot be written.
        """
        async with self._working:
            if self.slot.file is not None:
                await asyncio.to_thread(self._look_at_file, self.slot.file)
            else:
                await self._ask_addresses()

    def _mend(self) -> None:
        path = self._places.table(self.slot.name)
        try:
            file = TableFile.map(path)
            found = RevocationList.from_file(file, self._store.authorities())
            self._require_wanted(found)
        except FileNotFoundError:
            self._rebuild("is missing")
        except ValueError as exc:
            self._rebuild(str(exc))
        else:
            generation = file.about.get("generation")
            self._generation = generation if isinstance(generation, int) else 0
            self.current = found

    def _rebuild(self, reason: str) -> None:
        """Make the table from the list as it came; where that is gone too, have it fetched anew."""
        if self.journal.taken_at is not None:
            _log.error("table of %s: %s; it is made anew", self.slot.label, reason)
        self._stamp = None
        self.current = None
        original = self.slot.file or self._places.original(self.slot.name)
        try:
            fresh = self._parse(read_bounded(original))
            self._write_table(fresh)
        except (FileNotFoundError, ValueError) as exc:
            # Asked for its version, the server would say that nothing is new.
            self.journal = replace(self.journal, etag=None, last_modified=None, digest=None)
            if self.journal.taken_at is not None:
                _log.error("list of %s: %s", self.slot.label, exc)

    def _look_at_file(self, file: Path) -> None:
        now = self._clock()
        try:
            stamp = _stamp(file)
            if stamp == self._stamp:
                return
            raw = read_bounded(file)
        except OSError as exc:
            self._fail(f"cannot be read: {exc.strerror}", now)
            self._stamp = None
            return
        except ValueError as exc:
            self._fail(str(exc), now)
            self._stamp = stamp
            return
        # Taken before reading: a file written to meanwhile has another one next time.
        self._stamp = stamp
        try:
            self._take(raw, now)
        except ValueError as exc:
            self._fail(str(exc), now)

    async def _ask_addresses(self) -> None:
        problems = []
        for address in self.slot.addresses:
            if not is_fetched(address):
                problems.append(f"{address}: not fetched, only http and https are")
                continue
            try:
                fetched = await self._fetcher.get(
                    address, max_bytes=MAX_LIST_BYTES, known=self._known(address)
                )
                await asyncio.to_thread(self._take_fetched, fetched, address)
            except (FetchError, ValueError) as exc:
                text = str(exc)
                problems.append(text if address in text else f"{address}: {text}")
                continue
            return
        self._fail("; ".join(problems), self._clock())

    def _known(self, address: str) -> Version | None:
        """Return how the server at *address* calls the list in use, if it came from there."""
        if self.current is None or self.journal.address != address:
            return None
        return Version(etag=self.journal.etag, last_modified=self.journal.last_modified)

    def _take_fetched(self, fetched: Fetched | None, address: str) -> None:
        now = self._clock()
        if fetched is None:
            if self.current is None:
                raise ValueError("says that nothing is new to somebody who has nothing")
            self._note(self.journal.unchanged(now=now))
            return
        self._take(fetched.body, now, address=address, version=fetched.version)

    def _take(
        self,
        raw: bytes,
        now: datetime,
        *,
        address: str | None = None,
        version: Version | None = None,
    ) -> None:
        """Have logins use the list in *raw*.

        :raises ValueError: for one that is not to be taken.
        """
        version = version or Version()
        digest = hashlib.sha256(raw).hexdigest()
        if self.current is not None and digest == self.journal.digest:
            self._note(
                replace(
                    self.journal.unchanged(now=now),
                    address=address,
                    etag=version.etag,
                    last_modified=version.last_modified,
                )
            )
            return
        started = time.perf_counter()
        fresh = self._parse(raw)
        if self.current is not None:
            self.current.require_successor(fresh)
            self._keep_vanished(self.current, fresh, now)
        if self.slot.file is None:
            write_whole(self._places.original(self.slot.name), raw)
        self._write_table(fresh)
        self._note(
            self.journal.taken(
                fresh,
                now=now,
                digest=digest,
                address=address,
                etag=version.etag,
                last_modified=version.last_modified,
            )
        )
        _log.info(
            "list of %s: number %s, %d entries, good until %s; taken in %.1f s",
            self.slot.label,
            fresh.number,
            len(fresh),
            fresh.next_update.isoformat(),
            time.perf_counter() - started,
        )

    def _parse(self, raw: bytes) -> RevocationList:
        fresh = RevocationList.parse(raw, self._store.authorities())
        self._require_wanted(fresh)
        if self.journal.mark is not None:
            fresh.mark.require_not_before(self.journal.mark)
        return fresh

    def _require_wanted(self, found: RevocationList) -> None:
        """Refuse a list of another authority or kind than the settings name."""
        wanted = self.slot.authority
        if wanted is not None and found.authority != wanted:
            raise ValueError(f"the list of {found.authority.subject.rfc4514_string()}")
        if self.slot.delta is not None and self.slot.delta != (found.base_number is not None):
            raise ValueError("a complete list" if self.slot.delta else "a delta list")

    def _keep_vanished(self, before: RevocationList, fresh: RevocationList, now: datetime) -> None:
        """Remember what was revoked for good and stands in no list any more."""
        vanished = {
            decode_serial(record): Reason(record[-1]) for record in fresh.vanished_since(before)
        }
        lost = {
            serial: reason
            for serial, reason in vanished.items()
            if not self._is_listed(fresh.authority, serial)
        }
        if lost:
            _log.info("list of %s: %d revocations are kept", self.slot.label, len(lost))
            self._revoked.keep(owner_of(fresh.authority), lost.items(), now=now)

    def _write_table(self, fresh: RevocationList) -> None:
        self._generation += 1
        path = self._places.table(self.slot.name)
        fresh.to_file(self._generation).write(path)
        # From the file: the memory is shared with logins, and what was written is read once.
        self.current = RevocationList.from_file(TableFile.map(path), self._store.authorities())

    def _fail(self, error: str, now: datetime) -> None:
        if error != self.journal.error:
            _log.error("list of %s: %s", self.slot.label, error)
        elif self.slot.file is not None:
            # A file is looked at every few seconds: that it is still missing is no news.
            return
        self._note(self.journal.failed(error, now=now))

    def _note(self, journal: SourceJournal) -> None:
        self.journal = journal
        journal.save(self._places.journal(self.slot.name))


def _stamp(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
