"""What an administrator does by command, in the audit log before it is done."""

import os
import pwd
import sys

from gateway.audit import AuditLog, open_audit
from gateway.audit_targets import StreamTarget
from gateway.clock import Clock
from gateway.journal.line import FieldValue
from gateway.settings import Settings


def record_act(settings: Settings, clock: Clock, event: str, **fields: FieldValue) -> None:
    """Record that the administrator at this terminal does something.

    Where the audit log is the gateway's standard output, which no command reaches, the line goes
    to standard error.

    :raises StoreUnavailableError: where it cannot be written; then it must not be done.
    """
    audit, is_test = settings.audit, settings.environment == "test"
    if audit.journal or audit.file or audit.syslog:
        log = open_audit(settings, clock)
    else:
        log = AuditLog(
            StreamTarget(sys.stderr), clock, is_test=is_test, portal=settings.portal.name
        )
    log.record(event, operator=operator_name(), **fields)


def operator_name() -> str:
    """Return the user who runs this command, and who became that user by sudo."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    behind = os.environ.get("SUDO_USER")
    return f"{name} (sudo: {behind})" if behind else name
