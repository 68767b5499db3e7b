"""Sensitive routes: which requests are meant, and which record each of them names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote

from gateway.guard.record import (
    AmbiguousRecordError,
    BodyKind,
    form_text,
    has_field,
    is_form,
    record_in_fields,
    record_in_json,
    require_not_in_fields,
    require_not_in_json,
)
from gateway.settings_guard import RouteSettings, read_duration

_OVERRIDES = ("_method", "x-http-method-override")
"""Fields by which some portals let a form ask by another method."""

_FLAGS = re.IGNORECASE | re.DOTALL
_HERE = r"[^/]+"
_ANYTHING = r"(?:/.*)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One sensitive route."""

    name: str
    fresh: timedelta | None
    """How long ago the card may have signed in."""
    query: str | None
    """Name of the query's field that names the record."""
    form: str | None
    """Name of the form's field that names the record."""
    json: tuple[str, ...]
    """Names of the members of the body that lead to the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A request on a sensitive route."""

    route: Route
    record: str | None
    """The record as the path or the query names it."""

    @property
    def concerns_body(self) -> bool:
        """Whether a body, if there is one, may name a record."""
        return bool(self.route.json or self.route.form or self.route.query)

    def wants(self, kind: BodyKind, *, is_packed: bool) -> bool:
        """Return whether the body has to be read.

        :param is_packed: whether it came compressed.
        :raises AmbiguousRecordError: for a body in which the portal might find a record, and the
            gateway does not.
        """
        route = self.route
        if route.json and kind is not BodyKind.JSON:
            raise AmbiguousRecordError("body of a sensitive request is not plain JSON")
        if route.form and kind is not BodyKind.FORM:
            raise AmbiguousRecordError("body of a sensitive request is not a form")
        if route.query and kind is BodyKind.MULTIPART:
            raise AmbiguousRecordError("fields in parts beside a record in the query")
        if kind is BodyKind.OTHER:
            return False
        if is_packed:
            raise AmbiguousRecordError("body of a sensitive request is packed")
        return True

    def record_with(self, content: bytes, kind: BodyKind) -> str | None:
        """Return the record of the whole request.

        :param content: the body, of a *kind* that the route :meth:`wants`.
        :raises AmbiguousRecordError: where the body names another, or more than one.
        """
        route = self.route
        if route.json:
            return record_in_json(content, route.json)
        if route.form:
            return record_in_fields(form_text(content), route.form)
        if route.query and kind is BodyKind.FORM:
            require_not_in_fields(form_text(content), route.query)
        elif route.query:
            require_not_in_json(content, route.query)
        return self.record


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

    def match(self, method: str, target: str, content_types: Sequence[str] = ()) -> Match | None:
        """Return what is sensitive about a request, ``None`` for nothing.

        Where the portal might read a path in more ways than one, capital letters or a slash at the
        end, all of them are meant; and a form that it might take for another method's, too.

        :param target: canonical path and query, as :func:`gateway.edge.target.read_target` leaves
            them.
        :param content_types: every Content-Type of the request.
        :raises AmbiguousRecordError: where the query names more than one record.
        """
        if self._any is None:
            return None
        path, _, query = target.partition("?")
        if "%" in path:
            path = unquote(path)
        if not self._any.fullmatch(path):
            return None
        disguised: Match | None = None
        for pattern, (methods, route) in zip(self._patterns, self._routes, strict=True):
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if not methods or method in methods:
                return _match(route, found, query)
            if disguised is None and _may_be_another(method, query, content_types):
                disguised = _match(route, found, query)
        return disguised


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


def _may_be_another(method: str, query: str, content_types: Sequence[str]) -> bool:
    """Return whether a portal may take a request for one of another method."""
    return method == "POST" and (
        is_form(content_types) or any(has_field(query, name) for name in _OVERRIDES)
    )


def _match(route: Route, found: re.Match[str], query: str) -> Match:
    record = found.groupdict().get("record")
    if route.query is not None:
        record = record_in_fields(query, route.query)
    elif route.form is not None:
        require_not_in_fields(query, route.form)
    elif route.json:
        require_not_in_fields(query, route.json[0])
    return Match(route=route, record=record)


def _methods(route: RouteSettings) -> frozenset[str]:
    return frozenset((*route.methods, *(["HEAD"] if "GET" in route.methods else [])))


def _route(settings: RouteSettings) -> Route:
    kind, _, place = (settings.record or "").partition(":")
    return Route(
        name=settings.name,
        fresh=None if settings.fresh is None else read_duration(settings.fresh),
        query=place if kind == "query" else None,
        form=place if kind == "form" else None,
        json=tuple(place.split(".")) if kind == "json" else (),
    )
