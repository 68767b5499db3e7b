"""When to look again: often enough for the list, seldom enough for the server."""

import secrets
from datetime import datetime, timedelta

from gateway.trust.revocation_list import RevocationList

FIRST_RETRY = timedelta(seconds=15)
"""Pause after a first failure; doubled with each further one."""
SHORTEST = timedelta(seconds=30)
"""Between two looks that go well."""
_JITTER = 0.1
_MAX_DOUBLINGS = 16
_STEPS = 1_000_000


def pause_after_success(current: RevocationList, *, every: timedelta, now: datetime) -> timedelta:
    """Return how long to wait before the next look: *every*, or half of the life that is left."""
    half = (current.next_update - now) / 2
    return _jittered(max(SHORTEST, min(every, half)))


def pause_after_failure(failures: int, *, every: timedelta) -> timedelta:
    """Return how long to wait before another attempt, longer with each failure up to *every*.

    :param failures: at least 1.
    """
    return _jittered(min(every, FIRST_RETRY * (1 << min(failures - 1, _MAX_DOUBLINGS))))


def _jittered(pause: timedelta) -> timedelta:
    """Return *pause* or up to a tenth less, by chance, so that not all gateways come at once."""
    return pause * (1 - _JITTER * secrets.randbelow(_STEPS) / _STEPS)
