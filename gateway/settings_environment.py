"""Settings from the environment, for containers: ``CPS_GATEWAY__LISTEN__PORT=8443``.

No setting holds a secret, only names of files that do, so none stands in the environment.
"""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.errors import ConfigurationError

PREFIX = "CPS_GATEWAY__"
"""Begins the names of variables that are settings; ``__`` stands between table and key."""
MAX_VALUE_CHARS = 10_000


def with_environment(values: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return *values*, as read from a file, with those of the environment in their places.

    A variable's value is one of TOML (``8443``, ``true``, ``["CPS", "CPE"]``); what is none is
    text, so that paths and addresses need no quotes.

    :raises ConfigurationError: with every variable that can be no setting.
    """
    result = _copy(values)
    faults = []
    for name in sorted(variables(environ)):
        parts = name.removeprefix(PREFIX).lower().split("__")
        reason = _put(result, parts, environ[name])
        if reason is not None:
            faults.append(ConfigurationError("environment", name, reason))
    if faults:
        first, *others = faults
        raise ConfigurationError(first.file, first.key, first.reason, others)
    return result


def variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Return the names of the variables that are meant as settings."""
    return (name for name in environ if name.startswith(PREFIX))


def key_of(name: str) -> str:
    """Return the key that the variable *name* sets."""
    return name.removeprefix(PREFIX).lower().replace("__", ".")


def _put(table: dict[str, Any], parts: list[str], text: str) -> str | None:
    """Set the value at *parts*, or return why that cannot be."""
    *outer, last = parts
    if not all(parts):
        return f"is not a setting; {PREFIX}TABLE__KEY is wanted"
    if len(text) > MAX_VALUE_CHARS:
        return f"at most {MAX_VALUE_CHARS} characters are wanted"
    for part in outer:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            return f"{part} is no table"
        table = inner
    table[last] = _value(text)
    return None


def _value(text: str) -> object:
    if "\n" not in text and "\r" not in text:
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            pass
    return text


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _copy(value) if isinstance(value, dict) else value for name, value in values.items()
    }
