"""Request targets: one spelling for each page, so that no two programs read a path differently.

Every rule about paths, here or in a portal, is broken by a path that one program reads in another
way than the next (dot segments, encoded slashes, parameters after ``;``). So the relay passes on
only what has one reading and refuses the rest with 400, before anything else looks at it.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from gateway.edge.notices import MALFORMED, WRONG_HOST, RefusedRequestError

CONTROL_PATH = "/_cps"
"""Below this path the control plane answers, everything else is the portal's."""
INTERNAL_PATH = "/_cps/internal"
"""Below this path only the relay itself may ask the control plane."""

_TARGET = re.compile(r"(?P<path>/[^?#]*)(?:\?(?P<query>[^#]*))?")
# Quotes, angle brackets and the like are always percent-encoded by browsers; `;` begins a parameter
# that some servers cut off before they route, `\` is a slash to some.
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,=:@/|^\[\]{}]|%[0-9A-Fa-f]{2})+")
_QUERY = re.compile(r"[!-~]*")
# A dot, slash, backslash, percent sign, `;` or `#` that another decoder would find.
_ENCODED_DELIMITER = re.compile(r"%(?:2[eEfF]|5[cC]|25|3[bB]|23|[01][0-9A-Fa-f]|7[fF])")
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:/|$)")
_CONTROL_PLANE_PATH = re.compile(r"/_cps(?:/[A-Za-z0-9._/\-]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A request target that has one reading."""

    raw: str
    """Path and query as they came, to be passed on as they are."""
    path: str
    """The path as it came, still percent-encoded."""
    is_control_plane: bool
    """Whether the control plane answers it and not the portal."""
    is_internal: bool
    """Whether only the relay itself may ask for it."""


def read_target(raw: str) -> Target:
    """Return the target, or refuse one that could be read in two ways.

    :param raw: what stood between method and version, its length already bounded.
    :raises RefusedRequestError: 400 for anything but a canonical origin-form.

    Source: RFC 9112 §3.2.1 (origin-form), RFC 3986 §6.2.2 (what normalisers change).
    """
    parts = _TARGET.fullmatch(raw)
    if parts is None:
        raise RefusedRequestError(MALFORMED, "target not in origin form")
    path, query = parts["path"], parts["query"] or ""
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        raise RefusedRequestError(MALFORMED, "character not allowed in target")
    if "//" in path or _DOT_SEGMENT.search(path) or _ENCODED_DELIMITER.search(path):
        raise RefusedRequestError(MALFORMED, "path not canonical")
    is_control_plane = _names_control_plane(path)
    if is_control_plane and not _CONTROL_PLANE_PATH.fullmatch(path):
        raise RefusedRequestError(MALFORMED, "control plane's path in another spelling")
    lowered = path.lower()
    return Target(
        raw=raw,
        path=path,
        is_control_plane=is_control_plane,
        is_internal=lowered == INTERNAL_PATH or lowered.startswith(INTERNAL_PATH + "/"),
    )


def require_host(values: tuple[str, ...], expected: str) -> None:
    """Refuse a request that was not addressed to the portal.

    :param values: every Host header of the request.
    :param expected: host and port of the portal's origin, as browsers send them.
    :raises RefusedRequestError: 421, also for a missing or repeated header.

    Source: RFC 9110 §7.4 (misdirected requests), RFC 9112 §3.2 (one Host).
    """
    if values != (expected,):
        raise RefusedRequestError(WRONG_HOST, "Host is not the portal's")


def _names_control_plane(path: str) -> bool:
    """Return whether any program could read *path* as one of the control plane.

    :raises RefusedRequestError: 400 where the path is not UTF-8 once decoded.
    """
    first = path[1:].partition("/")[0]
    if "%" in path:
        try:
            decoded = unquote_to_bytes(path).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise RefusedRequestError(MALFORMED, "path not UTF-8") from exc
        first = unicodedata.normalize("NFKC", decoded)[1:].partition("/")[0]
    return first.casefold() == CONTROL_PATH[1:]
