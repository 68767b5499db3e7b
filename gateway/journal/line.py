"""One line of a chain: canonical JSON that names its number and the hash of the line before."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

MAX_TEXT_CHARS = 500
"""Longest text in a field; the rest is cut, so that nobody can fill the disk with one request."""
MAX_ITEMS = 20
"""Most entries of a list in a field."""
MAX_LINE_BYTES = 200_000
"""Longest line that is read; what is written stays far below."""
OWN_FIELDS = frozenset({"n", "prev"})
"""What the chain itself writes into each line."""

FieldValue = str | int | bool | None | list[str]
"""What a field of a line may hold."""
Fields = Mapping[str, FieldValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place in a chain: a line's number, and the SHA-256 of its bytes."""

    n: int
    digest: str
    """Hexadecimal, of the line without its end."""


START = Link(n=0, digest="0" * 64)
"""What the first line of a chain follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line as it was read."""

    link: Link
    prev: str
    """What the line says of the one before it."""
    fields: Fields
    """All of it but ``n`` and ``prev``."""


def encode(fields: Fields, after: Link) -> tuple[bytes, Link]:
    """Return the line of *fields* behind *after*, with its end, and where the chain is then.

    Keys are sorted and everything is ASCII, so that no character of a value can end the line or
    turn its direction, and the same fields always give the same bytes.

    :raises TypeError: for a field of another type, or one with a name of the chain's own.
    """
    members = require_writable(fields)
    members["n"] = after.n + 1
    members["prev"] = after.digest
    content = canonical(members)
    return content + b"\n", Link(n=after.n + 1, digest=digest_of(content))


def decode(content: bytes) -> Line:
    """Return the line whose bytes, without the end, are *content*.

    :raises ValueError: for what :func:`encode` does not write.
    """
    members = decode_members(content)
    n, prev = members.pop("n", None), members.pop("prev", None)
    if type(n) is not int or not isinstance(prev, str):
        raise ValueError("neither number nor link")
    return Line(link=Link(n=n, digest=digest_of(content)), prev=prev, fields=members)


def decode_whole(content: bytes) -> Line:
    """Return the line whose bytes, with the end, are *content*.

    :raises ValueError: where the end is missing, and for what :func:`encode` does not write.
    """
    if not content.endswith(b"\n"):
        raise ValueError("has no end")
    return decode(content[:-1])


def decode_members(content: bytes) -> dict[str, FieldValue]:
    """Return the members of a JSON object.

    :raises ValueError: for anything else, and for what is longer than a line may be.
    """
    if len(content) > MAX_LINE_BYTES:
        raise ValueError("line too long")
    try:
        members = json.loads(content)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc
    if not isinstance(members, dict):
        raise ValueError("not an object")  # noqa: TRY004 - callers catch ValueError
    return members


def canonical(members: Fields) -> bytes:
    """Return *members* in the one spelling that is hashed and signed."""
    text = json.dumps(members, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return text.encode("ascii")


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a line's bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def require_writable(fields: Fields) -> dict[str, FieldValue]:
    """Return *fields* with their values cut to what a line may hold.

    :raises TypeError: for a field of another type, or one with a name of the chain's own.
    """
    if OWN_FIELDS & fields.keys():
        raise TypeError(f"{', '.join(sorted(OWN_FIELDS))} are the chain's own fields")
    return {name: bounded(name, value) for name, value in fields.items()}


def bounded(name: str, value: object) -> FieldValue:
    """Return *value*, cut to what a line may hold.

    :raises TypeError: for a type that no line holds.
    """
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return value[:MAX_TEXT_CHARS]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [item[:MAX_TEXT_CHARS] for item in value[:MAX_ITEMS]]
    raise TypeError(f"field {name}: {type(value).__name__} is not allowed")
