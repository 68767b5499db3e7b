"""The access journal: who, when, from where, which record, with what result."""

import asyncio
import logging
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Literal

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.journal.chain import Chain
from gateway.journal.commit import GroupCommit
from gateway.journal.key import RecordKey
from gateway.journal.line import MAX_TEXT_CHARS, FieldValue
from gateway.journal.ring import Keys
from gateway.metrics.model import Metrics

EVENT = "access"

_log = logging.getLogger("gateway.journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One request on a sensitive route."""

    who: str
    """The national number."""
    card: str
    """The card's number."""
    session: str
    """How the audit log names the session."""
    client: str
    """IP address of the browser."""
    route: str
    """The route's name in the settings."""
    method: str
    record: str | None
    """The portal's own name of the record, ``None`` where the request names none."""


def normalised(record: str) -> str:
    """Return the one spelling of a record's name that is counted and written.

    A portal may read numbers with spaces or zeros in front of them, and names in small or capital
    letters, as the same; then they must not be found under another name, or counted twice. Nor do
    digits of other scripts make another number: several languages read them as their own.
    """
    text = "".join(unicodedata.normalize("NFKC", record).casefold().split())
    text = "".join(str(unicodedata.decimal(c, c)) for c in text)
    return (text.lstrip("0") or "0") if text.isascii() and text.isdecimal() else text


class RecordNames:
    """How the journal names records."""

    def __init__(self, keys: Keys, mode: Literal["hashed", "plain"]) -> None:
        self._keys = keys
        self._mode = mode

    def hashed(self, record: str) -> str:
        """Return the name that nobody can turn back without the key in use."""
        return _hashed(self._keys().current.records, record)

    def name(self, record: str) -> str:
        """Return the name that is written into new lines."""
        if self._mode == "plain" and len(normalised(record)) <= MAX_TEXT_CHARS - 2:
            return f"p:{normalised(record)}"
        # Also what is too long for a line: cut, two records could have one name.
        return self.hashed(record)

    def all_hashed(self, record: str) -> list[str]:
        """Return the hashed names that *record* may have, one for each key that was in use."""
        return [_hashed(key, record) for key in self._keys().record_keys]

    def all_names(self, record: str) -> list[str]:
        """Return every name that *record* may have, whatever key and setting were."""
        return [*self.all_hashed(record), f"p:{normalised(record)}"]


def _hashed(key: RecordKey, record: str) -> str:
    return f"h:{key.hash(normalised(record))}"


class AccessJournal:
    """Writes each access; what :meth:`record` returned from outlasts a power failure.

    While nothing can be written, :meth:`require_ready` tries again before a request reaches the
    portal, so that nothing is done there that cannot be recorded.
    """

    def __init__(
        self,
        chain: Chain,
        names: RecordNames,
        clock: Clock,
        *,
        refuses: bool,
        on_failure: Callable[[str], None],
        counts: Metrics | None = None,
    ) -> None:
        """Take the chain to write to.

        :param refuses: whether what cannot be recorded must not be answered.
        :param on_failure: is told, once, when the journal cannot be written any more.
        :param counts: where lines are counted; default: nowhere.
        """
        self._names = names
        self._clock = clock
        self._refuses = refuses
        self._on_failure = on_failure
        self._counts = counts
        self._commit = GroupCommit(chain.append, name="access journal")
        self._is_failing = False

    async def require_ready(self) -> None:
        """Return where the journal can be written, as far as is known.

        :raises StoreUnavailableError: where it cannot, and the settings do not let that pass.
        """
        if self._is_failing:
            await self._write({"event": "resumed"})

    async def record(self, access: Access, *, status: int, effect: str | None = None) -> None:
        """Write *access*, and return when it is on the disk.

        :param status: of the answer, which must not begin before.
        :param effect: what the guard did to it.
        :raises StoreUnavailableError: where it cannot be written, and the settings do not let that
            pass.
        """
        await self._write(self._fields(access, status, effect))

    def note(self, access: Access) -> None:
        """Write *access*, to which no answer was begun, without waiting for the disk."""
        self._submit(self._fields(access, None, None))

    def close(self) -> None:
        """Write what waits, and end."""
        self._commit.close()

    async def _write(self, fields: dict[str, FieldValue]) -> None:
        done = asyncio.wrap_future(self._submit(fields))
        try:
            # Whoever hangs up does not stop the line.
            await asyncio.shield(done)
        except StoreUnavailableError as exc:
            if not self._is_failing:
                self._is_failing = True
                _log.critical("the access journal cannot be written: %s", exc)
                self._on_failure(str(exc))
            if self._refuses:
                raise
        else:
            if self._is_failing:
                self._is_failing = False
                _log.warning("the access journal is written again")

    def _submit(self, fields: dict[str, FieldValue]) -> "Future[None]":
        done = self._commit.submit(self._at() | fields)
        if self._counts is not None:
            self._counts.journal_waits()
            done.add_done_callback(partial(_count, self._counts))
        return done

    def _at(self) -> dict[str, FieldValue]:
        return {"at": self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")}

    def _fields(
        self, access: Access, status: int | None, effect: str | None
    ) -> dict[str, FieldValue]:
        return {
            "event": EVENT,
            "who": access.who,
            "card": access.card,
            "session": access.session,
            "client": access.client,
            "route": access.route,
            "method": access.method,
            "record": None if access.record is None else self._names.name(access.record),
            "status": status,
            "effect": effect,
        }


def _count(counts: Metrics, line: "Future[None]") -> None:
    counts.journal_done(written=line.exception() is None)
