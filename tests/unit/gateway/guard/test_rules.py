from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.guard.rules import DEFAULT_RULES, Effect, Rule, rules_of
from gateway.settings_guard import GuardSettings, RuleSettings

PARIS = ZoneInfo("Europe/Paris")


def test_the_gateways_own_rules_hold_where_none_are_given() -> None:
    rules = rules_of(GuardSettings())
    assert len(rules) == len(DEFAULT_RULES)
    assert len({rule.name for rule in rules}) == len(rules)
    (hourly,) = [r for r in rules if r.effect is Effect.BLOCK and r.period == timedelta(hours=1)]
    assert (hourly.count, hourly.limit, hourly.is_per_session) == ("records", 200, False)


def test_rules_that_are_given_replace_them() -> None:
    given = RuleSettings(count="new_network", effect="alarm")
    (rule,) = rules_of(GuardSettings(rules=(given,)))
    assert rule.name == "new_network identity alarm"


def test_a_rule_is_about_all_routes_or_about_some() -> None:
    everywhere = Rule.of(RuleSettings(count="new_network", effect="log"))
    somewhere = Rule.of(RuleSettings(count="new_network", effect="log", routes=("rights",)))
    assert everywhere.is_about("rights")
    assert somewhere.is_about("rights")
    assert not somewhere.is_about("export")
    assert everywhere.name != somewhere.name


@pytest.mark.parametrize(
    ("hours", "utc", "is_outside"),
    [
        ("07:00-21:00", "2026-11-23T06:00", False),
        ("07:00-21:00", "2026-11-23T05:59", True),
        ("07:00-21:00", "2026-11-23T19:59", False),
        ("07:00-21:00", "2026-11-23T20:00", True),
        ("07:00-21:00", "2026-07-23T05:00", False),
        ("20:00-06:00", "2026-11-23T22:00", False),
        ("20:00-06:00", "2026-11-23T04:59", False),
        ("20:00-06:00", "2026-11-23T12:00", True),
    ],
    ids=[
        *("at the begin", "before", "before the end", "at the end", "in summer"),
        *("night", "early", "noon"),
    ],
)
def test_hours_are_those_of_the_place(hours: str, utc: str, is_outside: bool) -> None:
    rule = Rule.of(RuleSettings(count="outside_hours", hours=hours, effect="log"))
    now = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert rule.is_outside_hours(now, PARIS) is is_outside
