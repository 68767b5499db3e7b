"""The refresher's side of what is kept between lists: it alone writes these tables."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from gateway.trust.list_entries import Reason
from gateway.trust.revocation_memory import KeptAnswer, KeptRevocation
from gateway.trust.serial_table import SerialTable, decode_serial, encode_serial
from gateway.trust.table_file import TableFile

KEPT_REVOCATIONS = timedelta(days=5 * 366)
"""How long a revocation is kept that no list tells any more: longer than any card is valid."""
KEPT_HOLDS = timedelta(days=366)
"""How long a responder's hold is kept that nothing newer ends."""
MAX_ANSWERS = 50_000
"""Answers that are kept; beyond, the oldest go."""
_log = logging.getLogger(__name__)


class RevokedTable:
    """Revocations for good, as they are in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = {
            owner: {record[: -KeptRevocation.VALUE_BYTES]: record for record in table.records()}
            for owner, table in _read(path, KeptRevocation.VALUE_BYTES).items()
        }

    def keep(self, owner: str, revoked: Iterable[tuple[int, Reason]], *, now: datetime) -> None:
        """Keep revocations of certificates of one authority, on disk before this returns.

        What is kept already stays as it is.

        :raises OSError: where they cannot be written.
        """
        records = self._records.setdefault(owner, {})
        before = len(records)
        for serial, reason in revoked:
            value = KeptRevocation(reason=reason, kept_since=now).encode()
            records.setdefault(encode_serial(serial), encode_serial(serial) + value)
        if len(records) > before:
            self._forget_old(now)
            _write(self._path, self._records, KeptRevocation.VALUE_BYTES)

    def _forget_old(self, now: datetime) -> None:
        for records in self._records.values():
            old = [
                key
                for key, record in records.items()
                if KeptRevocation.decode(record[len(key) :]).kept_since + KEPT_REVOCATIONS < now
            ]
            for key in old:
                del records[key]


class AnswerTable:
    """Answers of responders, as they are in the file, or will be after :meth:`write`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers = {
            (owner, decode_serial(record)): KeptAnswer.decode(record[-KeptAnswer.VALUE_BYTES :])
            for owner, table in _read(path, KeptAnswer.VALUE_BYTES).items()
            for record in table.records()
        }
        self._changed = False

    def get(self, owner: str, serial: int) -> KeptAnswer | None:
        """Return the answer that is kept of one certificate."""
        return self._answers.get((owner, serial))

    def keep(self, owner: str, serial: int, answer: KeptAnswer) -> None:
        """Keep an answer in place of the one before.

        :raises ValueError: for one that was true earlier than the one before.
        """
        before = self.get(owner, serial)
        if before is not None and answer.this_update < before.this_update:
            raise ValueError("older than the answer before it")
        self._answers[owner, serial] = answer
        self._changed = True

    def forget(self, owner: str, serial: int) -> None:
        """Keep no answer about a certificate that the responder does not know any more.

        A hold stays: not to know a certificate does not end it.
        """
        before = self.get(owner, serial)
        if before is not None and not before.held:
            del self._answers[owner, serial]
            self._changed = True

    def known(self) -> tuple[tuple[str, int], ...]:
        """Return which certificates there are answers about: owner and serial number."""
        return tuple(self._answers)

    def write(self, now: datetime) -> None:
        """Put what changed on disk, without what has expired.

        :raises OSError: where it cannot be written.
        """
        if not self._changed:
            return
        living = {
            key: answer
            for key, answer in self._answers.items()
            if now <= (answer.this_update + KEPT_HOLDS if answer.held else answer.expires)
        }
        newest = sorted(living, key=lambda key: living[key].this_update)[-MAX_ANSWERS:]
        self._answers = {key: living[key] for key in newest}
        records: dict[str, dict[bytes, bytes]] = {}
        for (owner, serial), answer in self._answers.items():
            key = encode_serial(serial)
            records.setdefault(owner, {})[key] = key + answer.encode()
        _write(self._path, records, KeptAnswer.VALUE_BYTES)
        self._changed = False


def _read(path: Path, value_bytes: int) -> Mapping[str, SerialTable]:
    """Return the tables in *path*; nothing where there is no such file.

    A damaged file is put aside for whoever wants to look at it: to go on without it opens nothing
    that the lists themselves forbid.
    """
    try:
        return _tables(path, value_bytes)
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        _log.error("%s is damaged, moved to %s: %s", path, aside, exc)
        return {}


def _tables(path: Path, value_bytes: int) -> Mapping[str, SerialTable]:
    tables = TableFile.map(path).tables
    if any(table.value_bytes != value_bytes for table in tables.values()):
        raise ValueError("a table of another kind")
    return tables


def _write(path: Path, records: Mapping[str, Mapping[bytes, bytes]], value_bytes: int) -> None:
    tables = {
        owner: SerialTable.of(each.values(), value_bytes=value_bytes)
        for owner, each in records.items()
    }
    TableFile(about={}, tables=tables).write(path)
