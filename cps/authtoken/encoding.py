"""Strict base64url, base64 and JSON: one accepted spelling for each value."""

import base64
import binascii
import json
import re
from typing import NoReturn

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")
MAX_CONTAINERS = 8


def b64url_encode(data: bytes) -> str:
    """Return *data* in base64url without padding.

    Source: RFC 4648 §5; RFC 7515 §2.
    """
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64url_decode(text: str, *, length: int | None = None) -> bytes:
    """Return the bytes of base64url *text* written without padding.

    :param text: the canonical encoding only; another spelling of the same bytes is refused.
    :param length: the exact count of bytes wanted, or ``None`` for any.
    :raises ValueError: where *text* is not that.

    Source: RFC 4648 §5, §3.5.
    """
    if not _BASE64URL.match(text):
        raise ValueError("not base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as exc:
        raise ValueError("not base64url") from exc
    if b64url_encode(data) != text:
        raise ValueError("not canonical base64url")
    if length is not None and len(data) != length:
        raise ValueError(f"{len(data)} bytes where {length} are wanted")
    return data


def b64_decode(text: str) -> bytes:
    """Return the bytes of padded base64 *text*, without white space.

    :raises ValueError: where *text* is not the canonical encoding.

    Source: RFC 4648 §4.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("not base64") from exc
    if base64.b64encode(data).decode("ascii") != text:
        raise ValueError("not canonical base64")
    return data


def b64_encode(data: bytes) -> str:
    """Return *data* in padded base64.

    Source: RFC 4648 §4.
    """
    return base64.b64encode(data).decode("ascii")


def parse_object(raw: bytes, *, max_bytes: int) -> dict[str, object]:
    """Return the members of one JSON object, parsed with nothing left to interpretation.

    :param raw: UTF-8 without byte order mark.
    :param max_bytes: the size allowed, checked before anything is read.
    :raises ValueError: for an oversize body, another encoding, a repeated member, a number that
        JSON does not have (NaN, Infinity) or that no computer holds (1e999), half a surrogate
        pair, more than 8 arrays and objects, or anything but one object.

    Source: RFC 8259 §4, §8.1; RFC 7493 §2.
    """
    if len(raw) > max_bytes:
        raise ValueError(f"{len(raw)} bytes where {max_bytes} are allowed")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ValueError("not UTF-8") from exc
    # Counted before parsing, so that no depth can exhaust the parser; brackets in text count too.
    if text.count("[") + text.count("{") > MAX_CONTAINERS:
        raise ValueError(f"more than {MAX_CONTAINERS} arrays and objects")
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        # What cannot be written again, such as half a surrogate pair, must not be passed on.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"not strict JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers catch ValueError
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
