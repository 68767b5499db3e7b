"""Sensitive routes: which requests are meant, and which record each of them names."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl, unquote

from gateway.settings_guard import RouteSettings, read_duration

MAX_QUERY_FIELDS = 200
"""Fields of a query that are looked at."""
MAX_JSON_BYTES = 65_536
"""Largest body in which a record's name is looked for."""

_FLAGS = re.IGNORECASE | re.DOTALL
_FOLDED = re.compile(r"[. ]")
_HERE = r"[^/]+"
_ANYTHING = r"(?:/.*)?"


class AmbiguousRecordError(ValueError):
    """A request names its record in a way that the portal might read otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One sensitive route."""

    name: str
    fresh: timedelta | None
    """How long ago the card may have signed in."""
    query: str | None
    """Name of the query's field that names the record."""
    json: tuple[str, ...]
    """Names of the members of the body that lead to the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A request on a sensitive route."""

    route: Route
    record: str | None
    """The record as the path or the query names it."""

    @property
    def is_in_body(self) -> bool:
        """Whether the record is named in the request's body."""
        return bool(self.route.json)


class SensitiveRoutes:
    """All of them in one expression, so that other requests cost one look."""

    def __init__(self, routes: Sequence[RouteSettings]) -> None:
        self._routes: list[tuple[frozenset[str], Route]] = [
            (_methods(each), _route(each)) for each in routes
        ]
        self._patterns = [re.compile(pattern_of(each.path), _FLAGS) for each in routes]
        together = "|".join(
            f"(?:{pattern_of(each.path).replace('?P<record>', '?:')})" for each in routes
        )
        self._any = re.compile(together, _FLAGS) if routes else None

    def match(self, method: str, target: str) -> Match | None:
        """Return what is sensitive about a request, ``None`` for nothing.

        Where the portal might read a path in more ways than one, capital letters or a slash at the
        end, all of them are meant.

        :param target: canonical path and query, as :func:`gateway.edge.target.read_target` leaves
            them.
        :raises AmbiguousRecordError: where the query names more than one record.
        """
        if self._any is None:
            return None
        path, _, query = target.partition("?")
        if "%" in path:
            path = unquote(path)
        if not self._any.fullmatch(path):
            return None
        for pattern, (methods, route) in zip(self._patterns, self._routes, strict=True):
            found = pattern.fullmatch(path)
            if found is not None and (not methods or method in methods):
                record = found.groupdict().get("record")
                if route.query is not None:
                    record = _record_in_query(query, route.query)
                return Match(route=route, record=record)
        return None


def pattern_of(path: str) -> str:
    """Return the regular expression of a path in the settings, for Python and for nginx.

    It matches whole paths, percent-decoded, without regard to capitals.
    """
    start = path.removesuffix("/**")
    parts = [
        {"{record}": f"(?P<record>{_HERE})", "*": _HERE}.get(segment, re.escape(segment))
        for segment in start.split("/")
    ]
    return "/".join(parts) + ("/?" if start == path else _ANYTHING)


def record_in_body(content: bytes, members: Sequence[str]) -> str | None:
    """Return the record that a JSON body names, ``None`` where it names none.

    :param content: the whole body.
    :param members: the names that lead to it.
    :raises AmbiguousRecordError: for what is not JSON, has a member twice, or another type than
        text or a whole number in the place.
    """
    try:
        value = json.loads(content, object_pairs_hook=_without_repetition)
    except AmbiguousRecordError:
        raise
    except (ValueError, RecursionError) as exc:
        raise AmbiguousRecordError("body is not JSON") from exc
    for member in members:
        if isinstance(value, dict):
            value = _member(value, member)
        elif value is not None:
            raise AmbiguousRecordError("no object where the body should name a record")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise AmbiguousRecordError("record in the body is neither text nor a whole number")
    return value


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise AmbiguousRecordError("a member twice in the body")
    return members


def _member(members: dict[str, object], name: str) -> object:
    """Return the member *name*, which some portals find in any capitals."""
    found = [value for key, value in members.items() if key.casefold() == name.casefold()]
    if len(found) > 1:
        raise AmbiguousRecordError("a member in two spellings in the body")
    return found[0] if found else None


def _record_in_query(query: str, name: str) -> str | None:
    values = _values_in_query(query, name)
    # Some portals end a field at a semicolon too.
    if len(values) > 1 or (
        ";" in query and _values_in_query(query.replace(";", "&"), name) != values
    ):
        raise AmbiguousRecordError("record named twice in the query")
    return values[0] if values else None


def _values_in_query(query: str, name: str) -> list[str]:
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as exc:
        raise AmbiguousRecordError("too many fields in the query") from exc
    return [value for key, value in fields if _field_name(key) == _field_name(name)]


def _field_name(key: str) -> str:
    """Return what every spelling of a field has in common that some portal takes for the same.

    PHP ends a name at a zero byte, makes name[] a list, and writes ``_`` for dots and spaces.
    """
    name = key.partition("\0")[0].strip().partition("[")[0]
    return _FOLDED.sub("_", name).casefold()


def _methods(route: RouteSettings) -> frozenset[str]:
    return frozenset((*route.methods, *(["HEAD"] if "GET" in route.methods else [])))


def _route(settings: RouteSettings) -> Route:
    kind, _, place = (settings.record or "").partition(":")
    return Route(
        name=settings.name,
        fresh=None if settings.fresh is None else read_duration(settings.fresh),
        query=place if kind == "query" else None,
        json=tuple(place.split(".")) if kind == "json" else (),
    )
