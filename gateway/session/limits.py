"""When a session is over and when its use is noted: the rules that every store applies."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from gateway.session.model import EndReason
from gateway.settings import SessionSettings

CLOCK_STEP = timedelta(seconds=60)
"""How far the clock may go back before a session's age counts as unknown, which ends it."""
RECORD_COUNT = 100
"""Ends that one process takes at a time to record."""
RECORD_TIME = timedelta(seconds=30)
"""Time in which it must have recorded them; then another may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """The limits of a session."""

    idle: timedelta
    """Longest pause between two requests."""
    absolute: timedelta
    """Longest session whatever its use."""
    touch: timedelta
    """Shortest time between two notes of a session's use."""

    @classmethod
    def of(cls, settings: SessionSettings) -> Self:
        """Return the limits that *settings* name."""
        return cls(
            idle=timedelta(seconds=settings.idle_seconds),
            absolute=timedelta(seconds=settings.absolute_seconds),
            touch=timedelta(seconds=settings.touch_seconds),
        )

    def end_reason(
        self,
        *,
        created_at: datetime,
        seen_at: datetime,
        now: datetime,
        present_until: datetime | None,
    ) -> EndReason | None:
        """Return why a session is over at *now*, or ``None`` while it lives.

        :param present_until: end of its lease, ``None`` for a session without one.
        """
        # First: it is the shortest of the times, and what a person may have noticed.
        if present_until is not None and now >= present_until:
            return EndReason.PRESENCE_LOST
        if now - created_at >= self.absolute or created_at - now > CLOCK_STEP:
            return EndReason.ABSOLUTE
        if now - seen_at >= self.idle:
            return EndReason.IDLE
        return None

    def is_touch_due(self, *, seen_at: datetime, now: datetime) -> bool:
        """Return whether a request at *now* is to be noted."""
        return now - seen_at >= self.touch

    def forget_before(self, now: datetime) -> datetime:
        """Return the time before which the ends of sessions need not be told any more.

        A session that ended then is past its absolute limit for everybody who still holds a copy.
        """
        return now - self.absolute - CLOCK_STEP
