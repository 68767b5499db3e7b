"""The record of sessions that ended: one line of the audit log for each, however it ended."""

from datetime import datetime
from typing import Protocol

from gateway.session.model import SessionEnd, SessionStore

_NAME_CHARACTERS = 16


class Audit(Protocol):
    """Where decisions are recorded; :class:`gateway.audit.AuditLog`."""

    def record(self, event: str, /, **fields: str | int | None) -> None:
        """Write one event.

        :raises StoreUnavailableError: where it cannot be written.
        """


def record_ends(sessions: SessionStore, audit: Audit, *, now: datetime) -> int:
    """Write a line for each session whose end has none yet, and return how many.

    Any process may do so at any time: the store hands each end to one of them. Only where that
    process dies between the line and the store's note of it is the same end written twice, with
    the same session and time.

    :raises StoreUnavailableError: where the store or the log cannot be used; what is left is
        written by a later call.
    """

    def record(end: SessionEnd) -> None:
        audit.record(
            "session_ended",
            session=session_name(end.key),
            national_id=end.national_id,
            reason=end.reason,
            ended_at=end.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            client=end.client,
        )

    return sessions.record_ends(record, now=now)


def session_name(key: bytes) -> str:
    """Return how the session *key* is named to people and in logs: enough to follow it, no more.

    :param key: SHA-256 of the cookie.
    """
    return key.hex()[:_NAME_CHARACTERS]
