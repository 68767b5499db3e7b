"""Which certificates are revoked: the configured lists, read again when their files change."""

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.trust.path import ValidChain
from gateway.trust.revocation_list import RevocationList
from gateway.trust.store import TrustStore

_log = logging.getLogger(__name__)

MAX_LIST_BYTES = 64 * 1024 * 1024
"""A list of a million entries has about 49 MB."""
LOOK_AGAIN = timedelta(seconds=5)
"""How long the files are not looked at again; a new list counts after that time at most."""
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileState:
    """What is known of one file."""

    stamp: _Stamp | None = None
    """Time of change, size and inode when it was last read; ``None`` where it cannot be read."""
    current: RevocationList | None = None
    """The last good list: it stays in use until its end, whatever becomes of the file."""
    problem: str | None = None
    """Why the file as it is now was not taken."""


class RevocationLists:
    """The revocation lists in a set of files; good for use by several threads.

    A file that is missing, broken or out of date does not stop the gateway: it is logged, and
    logins that depend on it are refused once no older list covers for it.
    """

    def __init__(self, files: Sequence[Path], store: TrustStore) -> None:
        self._store = store
        self._states = {file: _FileState() for file in files}
        self._looked_at: datetime | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, files: Sequence[Path], store: TrustStore, now: datetime) -> Self:
        """Return the lists in *files*, one a file, DER or PEM.

        :param now: aware UTC.
        """
        lists = cls(files, store)
        lists._look(now)
        return lists

    def require_good(self, chain: ValidChain, now: datetime) -> None:
        """Refuse a path of which the leaf or the intermediate is revoked, or not known to be good.

        :param now: aware UTC; the instant for which the lists must be in force.
        :raises LoginRejectedError: CERT_REVOKED, also for a certificate on hold;
            REVOCATION_UNAVAILABLE where an issuer has no list in force.

        Source: RFC 5280 §6.3.
        """
        self._look(now)
        self._require_not_listed(chain.leaf, chain.intermediate, now)
        self._require_not_listed(chain.intermediate, chain.anchor, now)

    def problems(self, now: datetime) -> tuple[str, ...]:
        """Return what an operator has to mend, one English sentence each; nothing if all is well.

        :param now: aware UTC.
        """
        self._look(now)
        states = self._states
        files = [f"{file}: {state.problem}" for file, state in states.items() if state.problem]
        silent = [
            f"no revocation list in force for {authority.subject.rfc4514_string()}"
            for authority in self._store.authorities()
            if not self._lists_of(authority, now)
        ]
        return (*files, *silent)

    def _require_not_listed(
        self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> None:
        lists = self._lists_of(issuer, now)
        if not lists:
            raise LoginRejectedError(
                ErrorCode.REVOCATION_UNAVAILABLE,
                f"no revocation list in force for {issuer.subject.rfc4514_string()}",
            )
        if any(certificate.serial_number in each.serials for each in lists):
            raise LoginRejectedError(
                ErrorCode.CERT_REVOKED, f"serial {certificate.serial_number:X} is revoked"
            )

    def _lists_of(self, issuer: x509.Certificate, now: datetime) -> list[RevocationList]:
        return [
            state.current
            for state in self._states.values()
            if state.current is not None
            and state.current.authority == issuer
            and state.current.is_in_force(now)
        ]

    def _look(self, now: datetime) -> None:
        """Read the files that changed, at most every few seconds."""
        if self._looked_at is not None and abs(now - self._looked_at) < LOOK_AGAIN:
            return
        # One thread reads; the others go on with the lists that are in use.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._looked_at = now
            self._states = {
                file: self._next_state(file, state) for file, state in self._states.items()
            }
        finally:
            self._lock.release()

    def _next_state(self, file: Path, state: _FileState) -> _FileState:
        stamp: _Stamp | None = None
        try:
            with file.open("rb") as stream:
                # Taken before reading: a file written to meanwhile has another one next time.
                stamp = _stamp(stream.fileno())
                if stamp == state.stamp:
                    return state
                raw = stream.read(MAX_LIST_BYTES + 1)
            fresh = self._parse(raw, state.current)
        except (OSError, ValueError) as exc:
            return _keep(file, state, stamp, str(exc))
        _log.info(
            "revocation list %s: %d entries, number %s, good until %s",
            file,
            len(fresh.serials),
            fresh.number,
            fresh.next_update.isoformat(),
        )
        return _FileState(stamp=stamp, current=fresh)

    def _parse(self, raw: bytes, current: RevocationList | None) -> RevocationList:
        if len(raw) > MAX_LIST_BYTES:
            raise ValueError(f"larger than {MAX_LIST_BYTES} bytes")
        fresh = RevocationList.parse(raw, self._store.authorities())
        if current is None:
            return fresh
        if fresh.authority != current.authority:
            raise ValueError("the list of another authority than before")
        if fresh.is_older_than(current):
            raise ValueError("older than the list in use, so a replay or a mistake")
        return fresh


def _keep(file: Path, state: _FileState, stamp: _Stamp | None, problem: str) -> _FileState:
    if problem != state.problem:
        _log.error(
            "revocation list %s not taken: %s; in use: %s",
            file,
            problem,
            "none" if state.current is None else f"until {state.current.next_update.isoformat()}",
        )
    return _FileState(stamp=stamp, current=state.current, problem=problem)


def _stamp(descriptor: int) -> _Stamp:
    status = os.fstat(descriptor)
    return status.st_mtime_ns, status.st_size, status.st_ino
