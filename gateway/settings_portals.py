"""``[[portals]]``: several portals behind one gateway, each with settings as one alone has them."""

import ipaddress
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from gateway.errors import ConfigurationError
from gateway.settings import (
    MAX_RUNTIME_DIR_BYTES,
    Settings,
    create_directories,
    read_values,
)

MAX_PORTALS = 32
"""Each has processes of its own, some 100 MB together."""
OWN_TABLES = frozenset(
    {"login", "presence", "session", "admin", "rate", "guard", "journal", "audit", "monitor"}
)
"""Tables that a portal may have for itself, in place of the common ones."""
STATE_FOLDER = "portals"
"""In ``state_dir``: a folder for each portal."""
SOCKETS_FOLDER = "sockets"
"""In ``runtime_dir``: a folder for each portal."""

_OWN_TLS = ("tls_certificate", "tls_key")
_KEY = "portals"
_REVOCATION = "revocation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Portals:
    """All that one settings file is about."""

    common: Settings
    """What the portals share: listening, trust, store, folders. Of one portal alone its own."""
    portals: tuple[Settings, ...]
    """Each portal with everything that holds for it, in the order of the file; at least one."""

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] | None = None) -> Self:
        """Return the portals of the file at *path*; see :meth:`gateway.settings.Settings.load`.

        :raises ConfigurationError: with every fault found; one of a portal's own names it.
        """
        given = os.environ if environ is None else environ
        values = read_values(path, given)
        if _KEY not in values:
            return cls.of_one(Settings.of_values(values, path, given))
        tables = _require_tables(values, path)
        shared = {name: value for name, value in values.items() if name != _KEY}
        faults: list[tuple[str, ConfigurationError]] = []
        found: list[Settings] = []
        for name, table in tables.items():
            try:
                found.append(Settings.of_values(_merged(shared, table), path, given))
            except ConfigurationError as exc:
                faults += [(name, _of_portal(each, name, table)) for each in (exc, *exc.others)]
        _raise(_without_repetition(faults, portals=len(tables)))
        _raise([ConfigurationError(str(path), *fault) for fault in _contradictions(found)])
        portals = tuple(map(_in_own_folders, found))
        longest = max(
            (each.runtime_dir for each in portals), key=lambda each: len(os.fsencode(each))
        )
        if len(os.fsencode(longest)) > MAX_RUNTIME_DIR_BYTES:
            reason = f"{longest} would have more than {MAX_RUNTIME_DIR_BYTES} bytes"
            raise ConfigurationError(str(path), "runtime_dir", reason)
        return cls(common=found[0], portals=portals)

    @classmethod
    def of_one(cls, settings: Settings) -> Self:
        """Return a single portal."""
        return cls(common=settings, portals=(settings,))

    @property
    def are_several(self) -> bool:
        """Whether the file has ``[[portals]]``, be it with one entry."""
        return self.portals[0] is not self.common

    @property
    def names(self) -> tuple[str | None, ...]:
        """The portals' names, in their order."""
        return tuple(each.portal.name for each in self.portals)

    def in_folder(self, folder: Path) -> "Portals":
        """Return the same portals with their sockets in *folder* instead of ``runtime_dir``."""
        common = self.common.model_copy(update={"runtime_dir": folder})
        if not self.are_several:
            return Portals.of_one(common)
        return Portals(
            common=common,
            portals=tuple(
                each.model_copy(update={"runtime_dir": folder / each.runtime_dir.name})
                for each in self.portals
            ),
        )

    def choose(self, name: str | None, *, file: Path) -> Settings:
        """Return the settings of the portal called *name*, ``None`` for the only one there is.

        :param file: the settings file, to name in the error.
        :raises ConfigurationError: where *name* is missing, or no portal's.
        """
        if name is None and len(self.portals) == 1:
            return self.portals[0]
        for each in self.portals:
            if name is not None and each.portal.name == name:
                return each
        known = ", ".join(filter(None, self.names)) or "this portal has no name"
        reason = f"is wanted, of: {known}" if name is None else f"{name} is no portal; {known}"
        raise ConfigurationError(str(file), "--portal", reason)

    def create_directories(self, *, file: Path) -> None:
        """Make every folder of the gateway and its portals, mode 0700.

        :raises ConfigurationError: see :func:`gateway.settings.create_directories`.
        """
        create_directories(self.common, file=file)
        if not self.are_several:
            return
        for settings in self.portals:
            state = settings.state_dir
            for folder in (state.parent, state):
                at_folder = {"state_dir": folder, "runtime_dir": self.common.runtime_dir}
                create_directories(self.common.model_copy(update=at_folder), file=file)
            # Fetched once for all: what is revoked is so at every portal.
            _link(state / _REVOCATION, Path("..", "..", _REVOCATION), file=file)


def _link(place: Path, target: Path, *, file: Path) -> None:
    try:
        if not place.is_symlink():
            place.symlink_to(target)
    except OSError as exc:
        reason = f"{place} cannot be made: {exc.strerror}"
        raise ConfigurationError(str(file), "state_dir", reason) from exc


def _require_tables(values: Mapping[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    """Return the tables of ``[[portals]]`` by their names.

    :raises ConfigurationError: where they are no such tables.
    """
    tables = values[_KEY]
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise ConfigurationError(str(path), _KEY, "tables [[portals]] are wanted")
    faults = []
    if "portal" in values:
        faults.append(("portal", "stands beside [[portals]]; put it there, with a name"))
    if not 1 <= len(tables) <= MAX_PORTALS:
        faults.append((_KEY, f"1 to {MAX_PORTALS} tables are wanted, not {len(tables)}"))
    named: list[str] = []
    for number, each in enumerate(tables):
        if not isinstance(each.get("name"), str):
            faults.append((f"{_KEY}[{number}].name", "is missing, or is no text"))
            continue
        named.append(each["name"])
        common = sorted((Settings.model_fields.keys() - OWN_TABLES) & each.keys())
        for key in common:
            reason = "holds for all portals; write it outside [[portals]]"
            faults.append((f"{_KEY}.{each['name']}.{key}", reason))
    for name, count in Counter(named).items():
        if count > 1:
            faults.append((f"{_KEY}.{name}.name", f"{count} portals have it"))
    _raise([ConfigurationError(str(path), *fault) for fault in faults])
    return {each["name"]: each for each in tables}


def _merged(shared: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of one portal as if it were alone."""
    own = {name: value for name, value in table.items() if name in OWN_TABLES}
    tls = {name: table[name] for name in _OWN_TLS if name in table}
    portal = {k: v for k, v in table.items() if k not in OWN_TABLES and k not in _OWN_TLS}
    merged = {**shared, **own, "portal": portal}
    if tls and isinstance(shared.get("listen", {}), dict):
        merged["listen"] = {**shared.get("listen", {}), **tls}
    return merged


def _of_portal(
    fault: ConfigurationError, name: str, table: Mapping[str, Any]
) -> ConfigurationError:
    """Return *fault* with the key under which the file has what is wrong."""
    first, _, rest = fault.key.partition(".")
    if first == "portal" and rest:
        return ConfigurationError(fault.file, f"{_KEY}.{name}.{rest}", fault.reason)
    if first.partition("[")[0] in OWN_TABLES & table.keys():
        return ConfigurationError(fault.file, f"{_KEY}.{name}.{fault.key}", fault.reason)
    if first == "listen" and rest in _OWN_TLS and rest in table:
        return ConfigurationError(fault.file, f"{_KEY}.{name}.{rest}", fault.reason)
    return fault


def _without_repetition(
    faults: Sequence[tuple[str, ConfigurationError]], *, portals: int
) -> Iterator[ConfigurationError]:
    """Yield each fault once; one in a common table that not all portals have names the portal."""
    counts = Counter(str(fault) for _, fault in faults)
    said = set()
    for name, fault in faults:
        text = str(fault)
        if counts[text] == portals or fault.key.startswith(f"{_KEY}.{name}."):
            if text not in said:
                yield ConfigurationError(fault.file, fault.key, fault.reason)
            said.add(text)
        else:
            reason = f"{fault.reason} (portal {name})"
            yield ConfigurationError(fault.file, fault.key, reason)


def _contradictions(portals: Sequence[Settings]) -> Iterator[tuple[str, str]]:
    """Name each pair of settings, good for one portal alone, that two cannot have."""
    common = portals[0]
    if common.edge.engine == "external":
        reason = (
            'several portals want "embedded" or "nginx"; with "external" run a gateway for each'
        )
        yield "edge.engine", reason
    for key, values in _must_differ(portals).items():
        seen: dict[object, str | None] = {}
        for settings, value in zip(portals, values, strict=True):
            name = settings.portal.name
            if value is not None and value in seen:
                yield f"{_KEY}.{name}.{key}", f"must differ from that of portal {seen[value]}"
            seen.setdefault(value, name)
    with_tls = [each.listen.tls_certificate is not None for each in portals]
    for settings, has_tls in zip(portals, with_tls, strict=True):
        name, origin = settings.portal.name, urlsplit(settings.portal.origin)
        if has_tls != any(with_tls):
            yield f"{_KEY}.{name}.tls_certificate", "is missing; another portal has one"
        if has_tls and _is_address(origin.hostname or ""):
            # Browsers send no server name then, and by that name the portal is found.
            yield f"{_KEY}.{name}.origin", "a name is wanted where several portals have TLS here"


def _must_differ(portals: Sequence[Settings]) -> Mapping[str, Sequence[object]]:
    """Return by key what each portal must have for itself, ``None`` where it has nothing."""
    return {
        # Not host and port: a browser sends cookies to every port of a host.
        "origin": [urlsplit(each.portal.origin).hostname for each in portals],
        "audience": [each.portal.audience for each in portals],
        "journal.folder": [each.journal.folder for each in portals],
        "monitor.port": [each.monitor.port for each in portals],
    }


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _in_own_folders(settings: Settings) -> Settings:
    name = settings.portal.name or ""
    return settings.model_copy(
        update={
            "state_dir": settings.state_dir / STATE_FOLDER / name,
            "runtime_dir": settings.runtime_dir / SOCKETS_FOLDER / name,
        }
    )


def _raise(faults: Iterable[ConfigurationError]) -> None:
    """Raise all *faults* as one, where there are any."""
    found = list(faults)
    if found:
        first, *others = found
        raise ConfigurationError(first.file, first.key, first.reason, others)
