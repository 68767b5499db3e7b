"""``[guard]`` and ``[journal]``: sensitive routes, what a session may do there, and its record."""

import re
import zoneinfo
from collections.abc import Iterator
from datetime import time, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.settings_checks import PrivateFolder
from gateway.settings_revocation import ResponderAddress

MAX_ROUTES = 100
MAX_RULES = 100
MAX_PATTERN_CHARS = 200

_SEGMENT = r"(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+|\{record\}|\*)"
_PATTERN = re.compile(rf"(?:/{_SEGMENT})+(?:/\*\*)?|/(?:\*\*)?")
_PLACE = re.compile(
    r"(?:query|form):[A-Za-z0-9._~-]{1,64}|json:[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,7}"
)
_DURATION = re.compile(r"([1-9][0-9]{0,4})([smh])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_MIN_FRESH, _MAX_FRESH = timedelta(seconds=30), timedelta(hours=24)

Count = Literal["requests", "records", "sequence", "outside_hours", "new_network"]
Subject = Literal["identity", "session"]
Period = Literal["minute", "hour", "day"]
Effect = Literal["log", "alarm", "slow", "step_up", "end_session", "block"]


def _require_pattern(value: str) -> str:
    if not _PATTERN.fullmatch(value) or len(value) > MAX_PATTERN_CHARS:
        raise ValueError(
            f"{value!r} is not a path like /rights/{{record}}, with * for any one segment "
            "and /** for whatever follows"
        )
    if value.count("{record}") > 1:
        raise ValueError("{record} stands there twice")
    first = value[1:].partition("/")[0].lower()
    if first == "_cps":
        raise ValueError("paths of the gateway itself are never the portal's")
    return value


def _require_place(value: str) -> str:
    if not _PLACE.fullmatch(value):
        raise ValueError(f"{value!r} is not like query:name, form:name or json:member.member")
    return value


def _require_duration(value: str) -> str:
    if not _DURATION.fullmatch(value) or not _MIN_FRESH <= read_duration(value) <= _MAX_FRESH:
        raise ValueError(f"{value!r} is not a time like 90s, 10m or 4h, from 30s to 24h")
    return value


def _require_hours(value: str) -> str:
    if not _HOURS.fullmatch(value) or value[:5] == value[6:]:
        raise ValueError(f"{value!r} is not a span of the day like 07:00-21:00")
    return value


def _require_zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"{value!r} is not a time zone that this machine knows") from exc
    return value


def read_duration(value: str) -> timedelta:
    """Return the time that a setting like ``10m`` means."""
    number, unit = value[:-1], value[-1]
    return timedelta(**{_UNITS[unit]: int(number)})


def read_hours(value: str) -> tuple[time, time]:
    """Return begin and end of a span of the day like ``07:00-21:00``."""
    return time.fromisoformat(value[:5]), time.fromisoformat(value[6:])


RouteName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
"""How the journal and the log name a route."""
PathPattern = Annotated[str, AfterValidator(_require_pattern)]
RecordPlace = Annotated[str, AfterValidator(_require_place)]
Duration = Annotated[str, AfterValidator(_require_duration)]
Hours = Annotated[str, AfterValidator(_require_hours)]
Zone = Annotated[str, AfterValidator(_require_zone)]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class RouteSettings(_Table):
    """``[[guard.routes]]``: requests to the portal that give somebody's data."""

    name: RouteName
    """How the journal and the log name it: small letters, digits, ``-`` and ``_``, at most 32."""
    path: PathPattern
    """The path: ``{record}`` stands for the segment that names the record, ``*`` for any one
    segment, ``/**`` at the end for whatever follows."""
    methods: Annotated[tuple[Method, ...], Field(strict=False)] = ()
    """The methods meant, HEAD with GET; default: all."""
    record: RecordPlace | None = None
    """Where the record is named if not in the path: ``query:name``, ``form:name`` of a form's body,
    or ``json:member.member`` of a JSON body. Default: nowhere; then only requests are counted."""
    fresh: Duration | None = None
    """How long ago the card may have signed in, such as ``10m``, 30s to 24h; later it is asked for
    again. Default: as long as the session lives."""

    @model_validator(mode="after")
    def _require_one_place(self) -> Self:
        if self.record is not None and "{record}" in self.path:
            raise ValueError("{record} in the path and record are two places; name one")
        return self


class RuleSettings(_Table):
    """``[[guard.rules]]``: something that nobody does in the course of ordinary work."""

    count: Count
    """What is looked at: ``requests``, distinct ``records``, a ``sequence`` of consecutive numbers,
    requests ``outside_hours``, or from a ``new_network``."""
    of: Subject = "identity"
    """Whose requests are counted together: ``identity``, the default, or ``session``."""
    limit: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """The count that has the effect, 1 to 10000; for requests, records and sequences."""
    per: Period | None = None
    """The time it is counted in: ``minute``, ``hour`` or ``day``; for requests and records."""
    hours: Hours | None = None
    """The usual hours such as ``07:00-21:00``, in guard.timezone; for ``outside_hours``."""
    effect: Effect
    """What happens: ``log``, ``alarm``, ``slow``, ``step_up`` (the card is asked for again),
    ``end_session``, or ``block`` the identity until an operator clears it."""
    routes: Annotated[tuple[RouteName, ...], Field(strict=False)] = ()
    """The routes meant, by their names; default: all together."""

    @model_validator(mode="after")
    def _require_what_counts(self) -> Self:
        wanted = {
            "requests": {"limit", "per"},
            "records": {"limit", "per"},
            "sequence": {"limit"},
            "outside_hours": {"hours"},
            "new_network": set[str](),
        }[self.count]
        given = {name for name in ("limit", "per", "hours") if getattr(self, name) is not None}
        if given != wanted:
            names = " and ".join(sorted(wanted)) or "neither limit, per nor hours"
            raise ValueError(f'count = "{self.count}" wants {names}')
        return self


class GuardSettings(_Table):
    """``[guard]``: what one identity may do on the sensitive routes."""

    routes: Annotated[tuple[RouteSettings, ...], Field(strict=False, max_length=MAX_ROUTES)] = ()
    """Tables that name the sensitive routes. Default: none, and then nothing is counted."""
    rules: Annotated[tuple[RuleSettings, ...], Field(strict=False, max_length=MAX_RULES)] = ()
    """Tables with the rules. Default: none given, and then the gateway's own hold."""
    timezone: Zone = "Europe/Paris"
    """Time zone of ``hours``, default Europe/Paris."""
    slow_seconds: Annotated[int, Field(ge=1, le=30)] = 2
    """How long a request that is slowed down waits, seconds, 1 to 30, default 2."""
    alarm_url: ResponderAddress | None = None
    """Address that each alarm is posted to as JSON. Default: none, audit log and log alone."""


class JournalSettings(_Table):
    """``[journal]``: the record of who saw which record, written where routes are sensitive."""

    folder: PrivateFolder | None = None
    """Folder of its files. Default: ``journal`` in state_dir."""
    records: Literal["hashed", "plain"] = "hashed"
    """How a record is named: ``hashed`` with the journal's key, the default, or ``plain``."""
    unwritable: Literal["refuse", "alarm"] = "refuse"
    """What happens while the journal cannot be written, such as on a full disk: sensitive routes
    ``refuse`` with 503, the default, or go on with an ``alarm``."""
    file_bytes: Annotated[int, Field(ge=1_000_000, le=1_000_000_000)] = 64_000_000
    """Size at which a new file is begun, bytes, 1000000 to 1000000000, default 64000000."""
    retention_days: Annotated[int, Field(ge=180, le=1095)] = 365
    """How long entries are kept, days, 180 to 1095, default 365."""


def guard_contradictions(guard: GuardSettings, *, engine: str) -> Iterator[tuple[str, str]]:
    """Name each setting, good alone, that does not fit the others.

    :param engine: ``edge.engine``.
    """
    if guard.routes and engine == "external":
        yield "guard.routes", "wants an engine through which the requests pass"
    names = [route.name for route in guard.routes]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield f"guard.routes[{number}].name", f"{name} is another route's name already"
    for number, route in enumerate(guard.routes):
        for other in guard.routes[:number]:
            if _may_both_mean(route, other):
                reason = (
                    f"may mean requests that {other.path} of {other.name} means too, and each is "
                    "judged by one route; tell them apart by path or methods"
                )
                yield f"guard.routes[{number}].path", reason
    for number, rule in enumerate(guard.rules):
        for name in rule.routes:
            if name not in names:
                yield f"guard.rules[{number}].routes", f"{name} is not the name of a route"


def _may_both_mean(one: RouteSettings, other: RouteSettings) -> bool:
    """Return whether some request is on both routes."""
    methods = {*one.methods} & {*other.methods}
    if one.methods and other.methods and not methods:
        return False
    return _paths_meet(_segments(one.path), _segments(other.path))


def _segments(path: str) -> tuple[list[str], bool]:
    """Return a pattern's segments, in small letters, and whether anything may follow."""
    start = path.removesuffix("/**")
    return start.lower().split("/"), start != path


def _paths_meet(one: tuple[list[str], bool], other: tuple[list[str], bool]) -> bool:
    for here, there in zip(one[0], other[0], strict=False):
        if here != there and not {"*", "{record}"} & {here, there}:
            return False
    shorter = min(one, other, key=lambda each: len(each[0]))
    return len(one[0]) == len(other[0]) or shorter[1]
