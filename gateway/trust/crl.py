"""Is this certificate revoked? The one decision, made of lists, answers and what was kept.

Nothing here uses the network: lists and answers are brought by the refresher, a process of its own
(:mod:`gateway.refresh`), and looked up in the files that it leaves.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.identity import RevocationSource
from gateway.settings import Settings
from gateway.trust.ask import Ask
from gateway.trust.list_standing import Standing, find_standing, reasons_found
from gateway.trust.names import is_same
from gateway.trust.path import ValidChain
from gateway.trust.revocation_list import RevocationList
from gateway.trust.revocation_memory import kept_answer, kept_revocation, owner_of
from gateway.trust.revocation_places import RevocationPlaces, authority_of, list_slots
from gateway.trust.revocation_report import (
    grace_problems,
    overdue_problems,
    refresher_problems,
)
from gateway.trust.serial_table import decode_serial
from gateway.trust.signed_list import read_bounded
from gateway.trust.store import TrustStore
from gateway.trust.table_file import TableFile
from gateway.watched_file import WatchedFile

LOOK_AGAIN = timedelta(seconds=5)
"""How long the files are not looked at again; a new list counts after that time at most."""
MAX_GRACE = timedelta(days=7)
"""How long after its end a list counts where ``trust.grace_until`` allows that at all."""
_WEAKEST_LAST: Sequence[RevocationSource] = ("list", "ocsp", "grace")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issuer:
    """What is at hand about the certificates of one authority."""

    authority: x509.Certificate
    owner: str
    lists: tuple[RevocationList, ...]
    has_responder: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refreshed:
    """What there is besides lists where a refresher runs."""

    settings: Settings
    places: RevocationPlaces
    revoked: WatchedFile[TableFile]
    answers: WatchedFile[TableFile]
    asked: frozenset[x509.Certificate]
    """Authorities that have a responder."""


class RevocationLists:
    """The revocation data of one gateway; good for use by several threads.

    A file that is missing, broken or out of date does not stop the gateway: it is logged, and
    logins that depend on it are refused once nothing older covers for it.
    """

    def __init__(
        self,
        lists: Sequence[WatchedFile[RevocationList]],
        store: TrustStore,
        *,
        grace_until: datetime | None,
        refreshed: _Refreshed | None = None,
    ) -> None:
        self._lists = tuple(lists)
        self._store = store
        self._grace_until = grace_until
        self._refreshed = refreshed
        self._issuers: tuple[_Issuer, ...] = ()
        self._vanished: dict[str, set[int]] = {}
        self._looked_at: datetime | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        files: Sequence[Path],
        store: TrustStore,
        now: datetime,
        *,
        grace_until: datetime | None = None,
    ) -> Self:
        """Return the lists in *files*, one a file, DER or PEM, read by this process itself.

        :param now: aware UTC.
        :param grace_until: until when complete lists count for a while after their end.
        """

        def read(file: Path, current: RevocationList | None) -> RevocationList:
            fresh = RevocationList.parse(read_bounded(file), store.authorities())
            if current is not None:
                current.require_successor(fresh)
            return fresh

        lists = cls([WatchedFile(file, read) for file in files], store, grace_until=grace_until)
        lists._look(now)
        return lists

    @classmethod
    def of(cls, settings: Settings, store: TrustStore, now: datetime) -> Self:
        """Return what *settings* name: the refresher's data where it has addresses, else files.

        :param store: loaded from these settings.
        :param now: aware UTC.
        """
        if settings.trust.revocation:
            return cls.follow(settings, store, now)
        trust = settings.trust
        return cls.load(trust.crls, store, now, grace_until=trust.grace_until)

    @classmethod
    def follow(cls, settings: Settings, store: TrustStore, now: datetime) -> Self:
        """Return what the refresher of the same *settings* brings, now and later.

        :param store: loaded from these settings.
        :param now: aware UTC.
        """
        places = RevocationPlaces.of(settings)
        slots = list_slots(settings.trust, store)

        def read(file: Path, _: RevocationList | None) -> RevocationList:
            return RevocationList.from_file(TableFile.map(file), store.authorities())

        def read_table(file: Path, _: TableFile | None) -> TableFile:
            return TableFile.map(file)

        lists = cls(
            [WatchedFile(places.table(slot.name), read, label=slot.label) for slot in slots],
            store,
            grace_until=settings.trust.grace_until,
            refreshed=_Refreshed(
                settings=settings,
                places=places,
                revoked=WatchedFile(places.revoked, read_table, optional=True),
                answers=WatchedFile(places.answers, read_table, optional=True),
                asked=frozenset(
                    authority_of(table.authority, settings.trust, store)
                    for table in settings.trust.revocation
                    if table.ocsp
                ),
            ),
        )
        lists._look(now)
        return lists

    def require_good(self, chain: ValidChain, now: datetime) -> RevocationSource:
        """Refuse a path of which the leaf or the intermediate is revoked, or not known to be good.

        :param now: aware UTC; the instant for which all data must be in force.
        :returns: the weakest of what both were known from.
        :raises LoginRejectedError: CERT_REVOKED, also for a certificate on hold;
            REVOCATION_UNAVAILABLE where neither a list in force nor a fresh answer speaks of one.

        Source: RFC 5280 §6.3.
        """
        self._look(now)
        sources = (
            self._require_good(chain.leaf, chain.intermediate, now),
            self._require_good(chain.intermediate, chain.anchor, now),
        )
        return max(sources, key=_WEAKEST_LAST.index)

    def is_revoked(self, owner: str, serial: int, now: datetime) -> bool:
        """Return whether a card that was good once is revoked or on hold, or its authority is.

        Data that is missing or out of date revokes nobody: it lets nobody in, but somebody who is
        in had a good card. The refresher is told nothing; the login did that.

        :param owner: :func:`gateway.trust.revocation_memory.owner_of` its issuer.
        :param now: aware UTC.
        """
        self._look(now)
        issuer = next((each for each in self._issuers if each.owner == owner), None)
        if issuer is None:
            return False
        return self._is_told(issuer, serial, now) or any(
            self._is_told(above, issuer.authority.serial_number, now)
            for above in self._issuers
            if above is not issuer and is_same(above.authority.subject, issuer.authority.issuer)
        )

    def problems(self, now: datetime) -> tuple[str, ...]:
        """Return what an operator has to mend, one English sentence each; nothing if all is well.

        :param now: aware UTC.
        """
        self._look(now)
        problems = [f"{each.label}: {each.problem}" for each in self._lists if each.problem]
        problems += grace_problems(self._grace_until, now)
        for issuer in self._issuers:
            problems += overdue_problems(issuer.authority, issuer.lists, now)
        if self._refreshed is not None:
            for table in (self._refreshed.revoked, self._refreshed.answers):
                problems += [f"{table.label}: {table.problem}"] if table.problem else []
            problems += refresher_problems(self._refreshed.settings, self._store, now)
        return tuple(problems)

    def in_use(
        self, now: datetime
    ) -> tuple[tuple[x509.Certificate, tuple[RevocationList, ...]], ...]:
        """Return each authority with its lists that are in use, in force or not.

        :param now: aware UTC.
        """
        self._look(now)
        return tuple((issuer.authority, issuer.lists) for issuer in self._issuers)

    def uncovered(self, now: datetime) -> tuple[x509.Certificate, ...]:
        """Return the authorities without a list that counts now: nobody gets in by them.

        :param now: aware UTC.
        """
        has_grace = self._grace_until is not None and now <= self._grace_until
        overdue = MAX_GRACE if has_grace else timedelta(0)
        return tuple(
            authority
            for authority, lists in self.in_use(now)
            if not any(
                each.base_number is None and each.is_in_force(now, overdue=overdue)
                for each in lists
            )
        )

    def _require_good(
        self, certificate: x509.Certificate, authority: x509.Certificate, now: datetime
    ) -> RevocationSource:
        issuer = self._issuer(authority)
        serial = certificate.serial_number
        standing = find_standing(certificate, authority, issuer.lists, now).standing
        if standing is Standing.REVOKED or self._is_kept(issuer, serial):
            raise LoginRejectedError(ErrorCode.CERT_REVOKED, f"serial {serial:X} is revoked")
        source = self._answered(certificate, issuer, now)
        if standing is Standing.GOOD:
            source = "list"
        self._tell(issuer, serial, urgent=source is None)
        if source is None and self._is_within_grace(certificate, issuer, now):
            source = "grace"
        if source is None:
            raise LoginRejectedError(
                ErrorCode.REVOCATION_UNAVAILABLE,
                f"no revocation list in force for {authority.subject.rfc4514_string()}",
            )
        return source

    def _issuer(self, authority: x509.Certificate) -> _Issuer:
        issuers = self._issuers
        for issuer in issuers:
            # Nearly always the very same object, which is much quicker to see than equal bytes.
            if issuer.authority is authority:
                return issuer
        for issuer in issuers:
            if issuer.authority == authority:
                return issuer
        raise LoginRejectedError(
            ErrorCode.REVOCATION_UNAVAILABLE, "issued by an authority that is not pinned"
        )

    def _is_kept(self, issuer: _Issuer, serial: int) -> bool:
        """Return whether the certificate was ever told to be revoked for good."""
        if serial in self._vanished.get(issuer.owner, ()):
            return True
        if self._refreshed is None:
            return False
        return kept_revocation(self._refreshed.revoked.current, issuer.owner, serial) is not None

    def _answered(
        self, certificate: x509.Certificate, issuer: _Issuer, now: datetime
    ) -> RevocationSource | None:
        """Return ``ocsp`` where the responder's last answer is *good* and fresh.

        :raises LoginRejectedError: CERT_REVOKED where it is a hold, and no list is newer.
        """
        if self._refreshed is None:
            return None
        serial = certificate.serial_number
        answer = kept_answer(self._refreshed.answers.current, issuer.owner, serial)
        if answer is None:
            return None
        if not answer.held:
            return "ocsp" if now <= answer.expires else None
        newer = [each for each in issuer.lists if each.this_update > answer.this_update]
        if find_standing(certificate, issuer.authority, newer, now).standing is Standing.GOOD:
            return None
        raise LoginRejectedError(ErrorCode.CERT_REVOKED, f"serial {serial:X} is on hold")

    def _is_told(self, issuer: _Issuer, serial: int, now: datetime) -> bool:
        """Return whether anything at hand says that the certificate is revoked or on hold."""
        return (
            self._is_kept(issuer, serial)
            or bool(reasons_found(serial, issuer.authority, issuer.lists, now))
            or self._is_held(issuer, serial, now)
        )

    def _is_held(self, issuer: _Issuer, serial: int, now: datetime) -> bool:
        """Return whether the responder's last answer is a hold, and no list of all is newer."""
        if self._refreshed is None:
            return False
        answer = kept_answer(self._refreshed.answers.current, issuer.owner, serial)
        return (
            answer is not None
            and answer.held
            and not any(
                each.this_update > answer.this_update and each.is_in_force(now)
                for each in issuer.lists
                if each.base_number is None and each.scope is None
            )
        )

    def _is_within_grace(
        self, certificate: x509.Certificate, issuer: _Issuer, now: datetime
    ) -> bool:
        if self._grace_until is None or now > self._grace_until:
            return False
        found = find_standing(certificate, issuer.authority, issuer.lists, now, overdue=MAX_GRACE)
        return found.standing is Standing.GOOD

    def _tell(self, issuer: _Issuer, serial: int, *, urgent: bool) -> None:
        """Have the refresher know the certificate, where it can ask a responder about it."""
        if self._refreshed is not None and issuer.has_responder:
            ask = Ask(owner=issuer.owner, serial=serial, urgent=urgent)
            ask.send(self._refreshed.places.socket)

    def _look(self, now: datetime) -> None:
        """Read the files that changed, at most every few seconds."""
        if self._looked_at is not None and abs(now - self._looked_at) < LOOK_AGAIN:
            return
        # One thread reads; the others go on with what is in use.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._looked_at = now
            for each in self._lists:
                before = each.current
                if each.look() and before is not None and each.current is not None:
                    self._keep_vanished(before, each.current)
            if self._refreshed is not None:
                self._refreshed.revoked.look()
                self._refreshed.answers.look()
            self._issuers = self._sorted_lists()
        finally:
            self._lock.release()

    def _keep_vanished(self, before: RevocationList, after: RevocationList) -> None:
        """Remember what was revoked for good and is not listed any more.

        Where a refresher runs, it does so, and better: on disk.
        """
        if self._refreshed is None:
            kept = self._vanished.setdefault(owner_of(after.authority), set())
            kept.update(map(decode_serial, after.vanished_since(before)))

    def _sorted_lists(self) -> tuple[_Issuer, ...]:
        lists = [each.current for each in self._lists if each.current is not None]
        asked = frozenset() if self._refreshed is None else self._refreshed.asked
        return tuple(
            _Issuer(
                authority=authority,
                owner=owner_of(authority),
                lists=tuple(each for each in lists if each.speaks_for(authority)),
                has_responder=authority in asked,
            )
            for authority in self._store.authorities()
        )
