"""What watches the sensitive routes, put together from the settings."""

from collections.abc import Callable
from functools import partial

from gateway.clock import Clock
from gateway.edge.watch import Watch
from gateway.guard.alarm import AlarmSender
from gateway.guard.guard import Audit, Guard
from gateway.guard.routes import SensitiveRoutes
from gateway.guard.store import GuardStore
from gateway.journal.access import AccessJournal, RecordNames
from gateway.journal.index import index_in_background
from gateway.journal.places import ACCESS, journal_keys, open_chain
from gateway.metrics.model import Metrics
from gateway.session.model import SessionStore
from gateway.settings import Settings


def open_watch(
    settings: Settings,
    *,
    sessions: SessionStore,
    open_guard: Callable[[], GuardStore],
    audit: Audit,
    clock: Clock,
    counts: Metrics | None = None,
) -> Watch | None:
    """Return what watches the sensitive routes, ``None`` where no route is; wants a running loop.

    :param open_guard: opens what the guard remembers.
    :param counts: where requests and lines are counted; default: nowhere.
    :raises ConfigurationError: for a journal's key that cannot be used.
    :raises OSError: where the journal's folder cannot be made.
    """
    if not settings.guard.routes:
        return None
    keys = journal_keys(settings).current
    alarms = AlarmSender(settings.guard.alarm_url, portal=settings.portal.origin)
    guard = Guard(
        settings.guard,
        store=open_guard(),
        sessions=sessions,
        keys=keys,
        audit=audit,
        alarms=alarms,
        clock=clock,
        counts=counts,
    )
    journal = AccessJournal(
        open_chain(settings, ACCESS, keys=keys, clock=clock, on_full=index_in_background),
        RecordNames(keys, settings.journal.records),
        clock,
        refuses=settings.journal.unwritable == "refuse",
        on_failure=partial(_tell_of_failure, alarms),
        counts=counts,
    )
    return Watch(SensitiveRoutes(settings.guard.routes), guard, journal, alarms, counts)


def _tell_of_failure(alarms: AlarmSender, reason: str) -> None:
    alarms.send({"effect": "alarm", "rule": "the journal cannot be written", "reason": reason})
