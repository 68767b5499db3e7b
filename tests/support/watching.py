"""A relay with sensitive routes, and everything that it then writes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.clock import system_clock
from gateway.database import Database
from gateway.edge.watch import Watch
from gateway.guard.sqlite import DATABASE_FILE, SCHEMA, SQLiteGuardStore
from gateway.guard.store import GuardStore
from gateway.journal.files import chain_files
from gateway.journal.line import Fields, FieldValue
from gateway.journal.places import ACCESS, journal_folder, journal_keys
from gateway.journal.ring import JournalRing
from gateway.journal.search import find
from gateway.journal.verify import verify
from gateway.metrics.model import Metrics
from gateway.serve.watch import open_watch
from gateway.session.model import SessionStore
from gateway.settings import Settings
from gateway.settings_guard import GuardSettings, JournalSettings
from tests.support.relay import (
    PERSON,
    RawServer,
    RunningRelay,
    fake_control_plane,
    new_agent_key,
    relay_settings,
    running_relay,
)


@dataclass
class ListedAudit:
    """Keeps what is recorded."""

    events: list[dict[str, FieldValue]] = field(default_factory=list)

    def record(self, event: str, /, **fields: FieldValue) -> None:
        self.events.append({"event": event, **fields})

    def values(self, name: str) -> list[FieldValue]:
        """Return the values of the field *name* of all events that have it."""
        return [event[name] for event in self.events if name in event]


@dataclass
class ListedAlarms:
    """Keeps the alarms."""

    sent: list[dict[str, FieldValue]] = field(default_factory=list)

    def send(self, facts: dict[str, FieldValue]) -> None:
        self.sent.append(facts)


class WatchedPlace:
    """A folder with the settings, the guard's memory and the journal of a gateway."""

    def __init__(
        self,
        folder: Path,
        guard: dict[str, object],
        journal: dict[str, object] | None = None,
        store: GuardStore | None = None,
        **unchecked: object,
    ) -> None:
        """Take the tables.

        :param store: what the guard remembers; default: an SQLite file in the folder.
        :param unchecked: further keys of the guard's, so that a test can be short of patience.
        """
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.audit = ListedAudit()
        self.counts = Metrics()
        self._tables = {
            "guard": GuardSettings.model_validate(guard).model_copy(update=unchecked),
            "journal": JournalSettings.model_validate(journal or {}),
        }
        self._store = store

    def settings(self, upstream: str) -> Settings:
        """Return the settings, whose files are not looked at."""
        return relay_settings(self.folder, upstream=upstream).model_copy(update=self._tables)

    @property
    def keys(self) -> JournalRing:
        """The journal's keys."""
        return journal_keys(self.settings("http://127.0.0.1:1")).current()

    def guard_store(self) -> GuardStore:
        """Return what the guard remembers."""
        if self._store is None:
            self._store = SQLiteGuardStore(Database(self.folder / DATABASE_FILE, schema=SCHEMA))
        return self._store

    @contextmanager
    def running(
        self, portal: RawServer, sessions: SessionStore | None = None
    ) -> Iterator[RunningRelay]:
        """Run a relay in front of *portal*."""
        control = RawServer(fake_control_plane)
        with (
            portal.on_port() as upstream,
            control.on_socket(self.folder / "control.sock") as control_socket,
            self._relay(upstream, control_socket, sessions) as relay,
        ):
            yield relay

    def accesses(self) -> list[Fields]:
        """Return what the journal has."""
        folder = journal_folder(self.settings("http://127.0.0.1:1")) / ACCESS
        if not folder.exists():
            return []
        assert verify(folder, ACCESS, self.keys.verifiers).faults == []
        return [
            line
            for file in chain_files(folder, ACCESS)
            for line in map(json.loads, file.path.read_bytes().splitlines())
            if line["event"] == "access"
        ]

    def seen_by(self, who: str) -> list[Fields]:
        """Return what the journal has of a person, while it may be written."""
        folder = journal_folder(self.settings("http://127.0.0.1:1")) / ACCESS
        return list(find(folder, ACCESS, "who", who)) if folder.exists() else []

    @contextmanager
    def _relay(
        self, upstream: str, control_socket: Path, sessions: SessionStore | None
    ) -> Iterator[RunningRelay]:
        settings = self.settings(upstream)

        def watch(store: SessionStore) -> Watch | None:
            return open_watch(
                settings,
                sessions=store,
                open_guard=self.guard_store,
                audit=self.audit,
                clock=system_clock,
                counts=self.counts,
            )

        with running_relay(settings, control_socket, sessions, open_watch=watch) as relay:
            yield relay


def log_in(relay: RunningRelay, *, at: datetime) -> bytes:
    """Open a session as if its card had signed then; return its cookie."""
    return relay.sessions.create(PERSON, new_agent_key(), now=at)
