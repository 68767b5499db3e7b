"""``[edge]``: what stands in front of the portal."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.settings_checks import InputFile

MAX_PATH_CHARS = 200
MAX_LIST_ENTRIES = 100

_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+/?")
_GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")


def _require_path(value: str) -> str:
    if not _PATH.fullmatch(value) or len(value) > MAX_PATH_CHARS:
        raise ValueError(f"{value!r} is not a path like /events/ in letters, digits and -._~")
    if value.lower() == "/_cps" or value.lower().startswith("/_cps/"):
        raise ValueError("paths of the gateway itself are never the portal's")
    return value


def _require_field(value: str) -> str:
    if not _FIELD.fullmatch(value):
        raise ValueError(f"{value!r} is not a header name in letters, digits and -")
    return value


def _require_group(value: str) -> str:
    if not _GROUP.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a group")
    return value


RelayedPath = Annotated[str, AfterValidator(_require_path)]
"""The beginning of paths."""
FieldName = Annotated[str, AfterValidator(_require_field)]
"""The name of a header that may pass."""
GroupName = Annotated[str, AfterValidator(_require_group)]
"""The name of a group of users."""


class EdgeSettings(BaseModel):
    """``[edge]``: what stands in front of the portal."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    engine: Literal["embedded", "nginx", "external"] = "embedded"
    """``embedded``, the default, needs no second program; ``nginx`` is for many requests;
    ``external`` for sites that keep their own proxy, configured by ``cps-gateway render``."""
    proxy_group: GroupName | None = None
    """Group of that proxy, to which the gateway's user belongs too; default: the same user."""
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Processes that take requests, 1 to 64; default: 1, and with nginx one for each core."""
    nginx_program: InputFile | None = None
    """The program; default: ``nginx`` in the PATH or in /usr/sbin."""
    verdict_cache_seconds: Annotated[int, Field(ge=0, le=5)] = 0
    """How long nginx keeps the verdict on a session, seconds, 0 to 5, default 0: it asks at every
    request. With more, runtime_dir must be in memory (tmpfs)."""
    relayed_paths: Annotated[
        tuple[RelayedPath, ...], Field(strict=False, max_length=MAX_LIST_ENTRIES)
    ] = ()
    """Beginnings of paths whose answers are cut when the session ends, as WebSockets and event
    streams always are: long downloads. Default: none."""
    passed_fields: Annotated[
        tuple[FieldName, ...], Field(strict=False, max_length=MAX_LIST_ENTRIES)
    ] = ()
    """Request headers that nginx passes besides the usual ones. Default: none."""


_MEANT_FOR: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "workers": ("embedded", "nginx"),
        "nginx_program": ("nginx",),
        "verdict_cache_seconds": ("nginx",),
        "relayed_paths": ("nginx", "external"),
        "passed_fields": ("nginx", "external"),
        "proxy_group": ("external",),
    }
)


def edge_contradictions(
    edge: EdgeSettings, *, has_tls: bool, has_own_runtime_dir: bool
) -> Iterator[tuple[str, str]]:
    """Name each setting that the engine has no use for, with the reason.

    :param has_tls: whether ``listen`` names a certificate.
    :param has_own_runtime_dir: whether the sockets have a folder of their own.
    """
    for name, engines in _MEANT_FOR.items():
        is_set = getattr(edge, name) != EdgeSettings.model_fields[name].default
        if is_set and edge.engine not in engines:
            yield f"edge.{name}", f"is for edge.engine = {' or '.join(map(_quoted, engines))}"
    if edge.engine == "external" and has_tls:
        yield "listen.tls_certificate", 'is the proxy\'s where edge.engine is "external"'
    if edge.proxy_group is not None and not has_own_runtime_dir:
        yield "edge.proxy_group", "needs a runtime_dir that is not state_dir: the group enters it"


def _quoted(name: str) -> str:
    return f'"{name}"'
