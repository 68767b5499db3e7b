"""The audit log: one JSON line for each decision."""

import sys
from collections.abc import Callable, Mapping

from gateway.audit_targets import (
    AuditTarget,
    ChainTarget,
    FileTarget,
    StreamTarget,
    SyslogTarget,
)
from gateway.clock import Clock
from gateway.errors import StoreUnavailableError
from gateway.journal.line import FieldValue, bounded
from gateway.journal.places import journal_keys, open_chain
from gateway.settings import Settings

CHAIN = "audit"
"""Name of the chain."""
OnRecord = Callable[[str, Mapping[str, FieldValue]], None]
_OWN_FIELDS = frozenset({"time", "event", "environment", "portal"})


class AuditLog:
    """Records decisions, from any thread or process.

    A decision that cannot be written is not taken: :meth:`record` raises, and a login that is to
    be recorded before its session exists then has none.

    :param is_test: whether test cards are let in, which every line then says.
    :param portal: its name, which every line then says.
    :param on_record: told each event and its fields, once its line is written.
    """

    def __init__(
        self,
        target: AuditTarget,
        clock: Clock,
        *,
        is_test: bool = False,
        portal: str | None = None,
        on_record: OnRecord | None = None,
    ) -> None:
        self._own = {"environment": "test"} if is_test else {}
        if portal is not None:
            self._own["portal"] = portal
        self._target = target
        self._clock = clock
        self._on_record = on_record

    def record(self, event: str, /, **fields: FieldValue) -> None:
        """Write one line with the time, *event* and *fields*.

        :param event: the decision's name.
        :param fields: never a secret; control characters are escaped, long texts cut.
        :raises StoreUnavailableError: where the line cannot be written whole.
        :raises TypeError: for a field of another type, or one with a name of the log's own.
        """
        if _OWN_FIELDS & fields.keys():
            raise TypeError(f"{', '.join(sorted(_OWN_FIELDS))} are the log's own fields")
        line = {
            "time": self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event": event,
            **self._own,
            **{name: bounded(name, value) for name, value in fields.items()},
        }
        try:
            self._target.write(line)
        except (OSError, ValueError) as exc:
            raise StoreUnavailableError(f"the audit log cannot be written: {exc}") from exc
        if self._on_record is not None:
            self._on_record(event, fields)


def open_audit(settings: Settings, clock: Clock, *, on_record: OnRecord | None = None) -> AuditLog:
    """Return the audit log that *settings* name; every process of a gateway opens its own.

    :param on_record: told each event and its fields, once its line is written.
    :raises ConfigurationError: for a journal's key that cannot be used.
    :raises OSError: where the journal's folder cannot be made.
    """
    return AuditLog(
        _target(settings, clock),
        clock,
        is_test=settings.environment == "test",
        portal=settings.portal.name,
        on_record=on_record,
    )


def _target(settings: Settings, clock: Clock) -> AuditTarget:
    audit = settings.audit
    if audit.journal:
        keys = journal_keys(settings).current
        return ChainTarget(open_chain(settings, CHAIN, keys=keys, clock=clock))
    if audit.file is not None:
        return FileTarget(audit.file)
    if audit.syslog is not None:
        return SyslogTarget(audit.syslog)
    return StreamTarget(sys.stdout)
