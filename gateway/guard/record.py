"""Which record a request names in its query or body, read as portals of every kind read it."""

import json
import re
from collections.abc import Sequence
from enum import Enum, unique
from urllib.parse import parse_qsl

MAX_FIELDS = 200
"""Fields of a query or a form that are looked at."""
MAX_BODY_BYTES = 65_536
"""Largest body in which a record's name is looked for."""

_FOLDED = re.compile(r"[. ]")
_END_OF_TYPE = re.compile(r"[;,\s]")
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";,]*)")
_FORM = "application/x-www-form-urlencoded"
_JSON = ("application/json", "+json")


class AmbiguousRecordError(ValueError):
    """A request names its record in a way that the portal might read otherwise."""


@unique
class BodyKind(Enum):
    """What portals make of a body, by its Content-Type."""

    FORM = "fields of a form, URL-encoded"
    MULTIPART = "fields of a form, in parts"
    JSON = "JSON"
    OTHER = "nothing in which they look for fields"


def kind_of_body(content_types: Sequence[str]) -> BodyKind:
    """Return what portals take a body for.

    :param content_types: every Content-Type of the request; some portals take a body without one
        for a form's.
    :raises AmbiguousRecordError: for more than one, for one that portals read in different ways,
        since some look for a word anywhere in it, and for a charset in which fields could be read
        otherwise.
    """
    if len(content_types) > 1:
        raise AmbiguousRecordError("more than one Content-Type")
    value = content_types[0].strip().lower() if content_types else ""
    kind = _kind_by_beginning(value)
    may_be_json, may_be_form = "json" in value, _names_form(value)
    if (may_be_json and kind is not BodyKind.JSON) or (
        may_be_form and kind not in (BodyKind.FORM, BodyKind.MULTIPART)
    ):
        raise AmbiguousRecordError("a Content-Type that may be read as another")
    charsets = _CHARSET.findall(value)
    if kind is not BodyKind.OTHER and any(each not in ("utf-8", "utf8") for each in charsets):
        raise AmbiguousRecordError("body in another charset than UTF-8")
    return kind


def is_form(content_types: Sequence[str]) -> bool:
    """Return whether some portal may take a body for a form's."""
    values = [value.strip().lower() for value in content_types] or [""]
    return any(_names_form(value) or _kind_by_beginning(value) is BodyKind.FORM for value in values)


def _names_form(value: str) -> bool:
    return any(word in value for word in ("urlencoded", "form-data", "multipart"))


def _kind_by_beginning(value: str) -> BodyKind:
    """Return what a Content-Type in small letters says before its parameters."""
    kind = _END_OF_TYPE.split(value, maxsplit=1)[0]
    if kind in ("", _FORM):
        return BodyKind.FORM
    if kind.startswith("multipart/"):
        return BodyKind.MULTIPART
    return BodyKind.JSON if kind.endswith(_JSON) else BodyKind.OTHER


def has_field(text: str, name: str) -> bool:
    """Return whether a query has a field *name*.

    :raises AmbiguousRecordError: for too many fields to know.
    """
    return bool(_values(text, name))


def record_in_fields(text: str, name: str) -> str | None:
    """Return the record that a query, or the body of a form, names; ``None`` where it names none.

    :param text: ``name=value`` pairs with ``&`` between them, percent-encoded.
    :param name: of the field.
    :raises AmbiguousRecordError: where it names more than one, or might for some portal.
    """
    values = _values(text, name)
    # Some portals end a field at a semicolon too.
    if len(values) > 1 or (";" in text and _values(text.replace(";", "&"), name) != values):
        raise AmbiguousRecordError("record named twice in query or form")
    return values[0] if values else None


def require_not_in_fields(text: str, name: str) -> None:
    """Return where neither query nor form *text* names a record that is looked for elsewhere.

    :raises AmbiguousRecordError: where it does: a portal may believe the other one.
    """
    if record_in_fields(text, name) is not None:
        raise AmbiguousRecordError("record named in another place too")


def record_in_json(content: bytes, members: Sequence[str]) -> str | None:
    """Return the record that a JSON body names, ``None`` where it names none.

    :param content: the whole body.
    :param members: the names that lead to it.
    :raises AmbiguousRecordError: for what is not JSON, has a member twice, or another type than
        text or a whole number in the place.
    """
    value = _loaded(content)
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


def require_not_in_json(content: bytes, name: str) -> None:
    """Return where a JSON body has no member for a record that is looked for in the query.

    :raises AmbiguousRecordError: where it has, since some portals put both together; and for what
        is not JSON.
    """
    value = _loaded(content)
    if isinstance(value, dict) and any(_field_name(key) == _field_name(name) for key in value):
        raise AmbiguousRecordError("record named in the body too")


def form_text(content: bytes) -> str:
    """Return a form's body as text.

    :raises AmbiguousRecordError: where it is no UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise AmbiguousRecordError("form is not UTF-8") from exc


def _loaded(content: bytes) -> object:
    try:
        return json.loads(content, object_pairs_hook=_without_repetition)
    except AmbiguousRecordError:
        raise
    except (ValueError, RecursionError) as exc:
        raise AmbiguousRecordError("body is not JSON") from exc


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


def _values(text: str, name: str) -> list[str]:
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as exc:
        raise AmbiguousRecordError("too many fields in query or form") from exc
    return [value for key, value in fields if _field_name(key) == _field_name(name)]


def _field_name(key: str) -> str:
    """Return what every spelling of a field has in common that some portal takes for the same.

    PHP ends a name at a zero byte, makes name[] a list, and writes ``_`` for dots and spaces.
    """
    name = key.partition("\0")[0].strip().partition("[")[0]
    return _FOLDED.sub("_", name).casefold()
