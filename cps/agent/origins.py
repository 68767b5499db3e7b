"""Which portals the agent may sign in to: a list of full origins, from options and one file."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from cps.agent.errors import ConfigurationError
from cps.agent.owned_file import read_owned
from cps.authtoken.frame import require_origin

SETTINGS_FILE = Path(".config", "cps", "agent.toml")
"""Under the user's home folder."""
MAX_SETTINGS_BYTES = 65_536
MAX_PORTALS = 200
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """The portals with which the agent may exchange anything at all."""

    origins: Mapping[str, str]
    """Host, with the port where it is not the default one, to full origin."""

    @classmethod
    def load(cls, options: Iterable[str], file: Path | None, *, development: bool) -> "AllowList":
        """Return the list made of the options and of the settings file.

        :param options: origins from the command line.
        :param file: a TOML file whose only key is ``portals``; one that is absent adds nothing.
        :param development: accept plain http, from loopback origins only.
        :raises ConfigurationError: for a wrong entry or file, or where no portal is left.
        """
        origins = {_require_portal("--portal", origin, development) for origin in options}
        if file is not None and file.exists():
            origins |= {
                _require_portal(str(file), origin, development) for origin in _portals(file)
            }
        if not origins:
            raise ConfigurationError("--portal", "no portal is named, here or in the settings file")
        if len(origins) > MAX_PORTALS:
            raise ConfigurationError("--portal", f"more than {MAX_PORTALS} portals")
        hosts = {urlsplit(origin).netloc: origin for origin in origins}
        if len(hosts) < len(origins):
            # The browser names the host alone, which must stand for one origin.
            raise ConfigurationError("--portal", "one host is named with http and with https")
        return cls(origins=MappingProxyType(hosts))

    def origin_of(self, host: str) -> str | None:
        """Return the portal's origin, ``None`` where *host* is not on the list.

        :param host: as in the origin: lower case, with the port where it is not the default one.
        """
        return self.origins.get(host)


def is_loopback(origin: str) -> bool:
    """Return whether *origin* names this machine: localhost, 127.0.0.1 or [::1]."""
    return urlsplit(origin).hostname in _LOOPBACK_HOSTS


def _portals(file: Path) -> list[str]:
    # Who can write this file can send the card's signature elsewhere: nobody but the user may.
    raw = read_owned(file, forbidden_mode=0o022, max_bytes=MAX_SETTINGS_BYTES)
    try:
        settings = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError(str(file), f"not TOML: {exc}") from exc
    if unknown := sorted(set(settings) - {"portals"}):
        raise ConfigurationError(str(file), f"{unknown[0]}: not a setting; only portals is")
    portals = settings.get("portals", [])
    if not isinstance(portals, list) or not all(isinstance(entry, str) for entry in portals):
        raise ConfigurationError(str(file), "portals: a list of origins is wanted")
    return portals


def _require_portal(where: str, origin: str, development: bool) -> str:
    try:
        require_origin(origin)
    except ValueError as exc:
        raise ConfigurationError(where, str(exc)) from exc
    if origin.startswith("http:") and not (development and is_loopback(origin)):
        raise ConfigurationError(
            where, f"{origin}: https is wanted; http only for this machine, with --development"
        )
    return origin
