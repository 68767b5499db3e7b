"""How the gateway stands now: what keeps people out, and numbers that nobody counts on the way."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter

from cryptography import x509
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.guard.store import GuardStore
from gateway.session.model import SessionCounts, SessionStore
from gateway.trust.crl import RevocationLists
from gateway.trust.revocation_list import RevocationList

CONNECT_SECONDS = 2.0
"""Longest wait for a process of the gateway to take a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What an instant showed."""

    problems: tuple[str, ...]
    """Why nobody can log in, one English sentence each; none where all is well."""
    counts: SessionCounts | None
    """``None`` where the store did not answer."""
    store_seconds: float
    """Time that the store took to answer, or not to."""


class Standing:
    """Looks at everything a login needs; good for one thread at a time."""

    def __init__(
        self,
        *,
        sessions: SessionStore,
        revocation: RevocationLists,
        sockets: Iterable[Path],
        clock: Clock,
        guard: GuardStore | None = None,
    ) -> None:
        """Take what is looked at.

        :param guard: where it is known whom the guard keeps out; default: there is no guard.
        :param sockets: on which processes of the gateway must take connections.
        """
        self._sessions = sessions
        self._revocation = revocation
        self._sockets = tuple(sockets)
        self._clock = clock
        self._guard = guard
        self.record_problem: str | None = None
        """Why ends of sessions cannot be recorded, as the recorder last found."""

    def health(self) -> Health:
        """Look, and return what is found."""
        problems = [*self._silent(), *self._uncovered(self._clock())]
        began = perf_counter()
        counts: SessionCounts | None = None
        try:
            counts = self._sessions.counts()
        except StoreUnavailableError as exc:
            problems.append(f"the session store does not answer: {exc}")
        seconds = perf_counter() - began
        if self.record_problem is not None:
            problems.append(self.record_problem)
        return Health(problems=tuple(problems), counts=counts, store_seconds=seconds)

    def remarks(self) -> tuple[str, ...]:
        """Return what will keep people out unless somebody sees to it."""
        return self._revocation.problems(self._clock())

    def lists(self, now: datetime) -> Iterator[tuple[x509.Certificate, RevocationList]]:
        """Return each list that is in use, with its authority.

        :param now: aware UTC.
        """
        for authority, lists in self._revocation.in_use(now):
            for each in lists:
                yield authority, each

    def blocked(self) -> int:
        """Return how many identities the guard keeps out.

        :raises StoreUnavailableError: where its store does not answer.
        """
        return 0 if self._guard is None else len(self._guard.blocks())

    def now(self) -> datetime:
        """Return the present."""
        return self._clock()

    def _silent(self) -> Iterator[str]:
        for path in self._sockets:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(CONNECT_SECONDS)
                try:
                    probe.connect(str(path))
                except OSError as exc:
                    yield f"{path.stem} does not answer: {exc.strerror or 'too slow'}"

    def _uncovered(self, now: datetime) -> Iterator[str]:
        for authority in self._revocation.uncovered(now):
            yield f"no revocation list in force for {authority.subject.rfc4514_string()}"


class StandingCollector(Collector):
    """Tells Prometheus how the gateway stands, at each look."""

    def __init__(self, standing: Standing, *, version: str, environment: str) -> None:
        self._standing = standing
        self._about = (version, environment)

    def collect(self) -> Iterator[Metric]:
        about = GaugeMetricFamily(
            "cps_gateway", "Always 1; its labels say what runs.", labels=["version", "environment"]
        )
        about.add_metric(self._about, 1)
        yield about
        health = self._standing.health()
        yield GaugeMetricFamily(
            "cps_ready", "1 where people can log in, else 0.", value=float(not health.problems)
        )
        yield GaugeMetricFamily(
            "cps_remarks",
            "Faults of revocation data that somebody should see to.",
            value=len(self._standing.remarks()),
        )
        yield from _of_store(health)
        with suppress(StoreUnavailableError):
            yield GaugeMetricFamily(
                "cps_guard_blocked",
                "Identities that the guard keeps out until an operator clears them.",
                value=self._standing.blocked(),
            )
        yield from self._of_lists()

    def _of_lists(self) -> Iterator[Metric]:
        now = self._standing.now()
        ages = GaugeMetricFamily(
            "cps_revocation_list_age_seconds",
            "Age of a revocation list that is in use.",
            labels=["authority", "kind"],
        )
        lefts = GaugeMetricFamily(
            "cps_revocation_list_left_seconds",
            "Time until its end; below 0 once it is over.",
            labels=["authority", "kind"],
        )
        entries = GaugeMetricFamily(
            "cps_revocation_list_entries", "Its entries.", labels=["authority", "kind"]
        )
        for authority, found in self._standing.lists(now):
            name = authority.subject.rfc4514_string()
            labels = (name, "complete" if found.base_number is None else "delta")
            ages.add_metric(labels, (now - found.this_update).total_seconds())
            lefts.add_metric(labels, (found.next_update - now).total_seconds())
            entries.add_metric(labels, len(found))
        yield from (ages, lefts, entries)


def _of_store(health: Health) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "cps_store_up",
        "1 where the session store answers, else 0.",
        value=float(health.counts is not None),
    )
    yield GaugeMetricFamily(
        "cps_store_seconds", "Time of its last answer.", value=health.store_seconds
    )
    if health.counts is None:
        return
    yield GaugeMetricFamily("cps_sessions", "Sessions that live.", value=health.counts.sessions)
    yield GaugeMetricFamily(
        "cps_leases", "Leases on a card's presence that run.", value=health.counts.leases
    )
    yield GaugeMetricFamily(
        "cps_unrecorded_ends",
        "Ends of sessions that wait for their line in the audit log.",
        value=health.counts.unrecorded_ends,
    )
