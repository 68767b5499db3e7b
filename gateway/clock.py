"""The one clock: everything takes the time from here, so that a test can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present as an aware UTC time."""


def system_clock() -> datetime:
    """Return the system's time, aware, UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place
