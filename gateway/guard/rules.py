"""Rules: which count of which requests has which effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import IntEnum, unique
from types import MappingProxyType
from typing import Self
from zoneinfo import ZoneInfo

from gateway.settings_guard import Count, GuardSettings, RuleSettings, read_hours

PERIODS = MappingProxyType(
    {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
)
SEQUENCE_TIME = timedelta(hours=1)
"""How long a sequence waits for its next number."""
TOLD_TIME = timedelta(hours=12)
"""How long requests at unusual hours, or from a new network, are told of once."""
DEFAULT_RULES = (
    RuleSettings(count="requests", of="session", limit=120, per="minute", effect="slow"),
    RuleSettings(count="records", limit=100, per="hour", effect="alarm"),
    RuleSettings(count="records", limit=200, per="hour", effect="block"),
    RuleSettings(count="records", limit=1000, per="day", effect="block"),
    RuleSettings(count="sequence", limit=20, effect="end_session"),
    RuleSettings(count="new_network", effect="log"),
)
"""What holds where the settings give no rule."""


@unique
class Effect(IntEnum):
    """What a rule does; the greater the number the stronger."""

    LOG = 1
    ALARM = 2
    SLOW = 3
    STEP_UP = 4
    END_SESSION = 5
    BLOCK = 6


ALARMING = frozenset({Effect.ALARM, Effect.STEP_UP, Effect.END_SESSION, Effect.BLOCK})
"""Effects that somebody is told of at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, read from the settings."""

    name: str
    """How audit log and alarms name it: unlike any other's."""
    count: Count
    is_per_session: bool
    limit: int
    """0 where nothing is counted."""
    period: timedelta
    """In which is counted, or of which is told once."""
    hours: tuple[time, time] | None
    effect: Effect
    routes: frozenset[str]
    """Names of the routes meant; empty for all."""

    @classmethod
    def of(cls, settings: RuleSettings) -> Self:
        """Return the rule that *settings* describe."""
        period = {"sequence": SEQUENCE_TIME}.get(settings.count, TOLD_TIME)
        if settings.per is not None:
            period = PERIODS[settings.per]
        facts = (settings.limit, settings.per, settings.hours, *sorted(settings.routes))
        words = (settings.count, settings.of, *(str(each) for each in facts if each is not None))
        return cls(
            name=" ".join((*words, settings.effect)),
            count=settings.count,
            is_per_session=settings.of == "session",
            limit=settings.limit or 0,
            period=period,
            hours=None if settings.hours is None else read_hours(settings.hours),
            effect=Effect[settings.effect.upper()],
            routes=frozenset(settings.routes),
        )

    def is_about(self, route: str) -> bool:
        """Return whether requests on *route* are meant."""
        return not self.routes or route in self.routes

    def is_outside_hours(self, now: datetime, zone: ZoneInfo) -> bool:
        """Return whether *now* is outside the usual hours."""
        if self.hours is None:
            return False
        begin, end = self.hours
        moment = now.astimezone(zone).time()
        if begin < end:
            return not begin <= moment < end
        return end <= moment < begin


def rules_of(settings: GuardSettings) -> Sequence[Rule]:
    """Return the rules of *settings*, or the gateway's own where there are none."""
    return tuple(Rule.of(each) for each in settings.rules or DEFAULT_RULES)
