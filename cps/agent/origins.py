"""Which portals the agent may sign in to: a list of full origins, from options and settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from cps.agent.errors import ConfigurationError
from cps.authtoken.frame import require_origin

MAX_PORTALS = 200
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """The portals with which the agent may exchange anything at all."""

    origins: Mapping[str, str]
    """Host, with the port where it is not the default one, to full origin."""

    @classmethod
    def of(
        cls,
        options: Iterable[str],
        settings: Iterable[str],
        *,
        development: bool,
        policy: Iterable[str] = (),
        may_be_empty: bool = False,
    ) -> "AllowList":
        """Return the list made of the options, the settings file and the policy.

        :param options: origins from the command line.
        :param settings: origins from the settings file.
        :param development: accept plain http, from loopback origins only.
        :param policy: origins from the administrator's file.
        :param may_be_empty: whether a list of none is good: the person may be asked.
        :raises ConfigurationError: for a wrong entry, or where there is none.
        """
        origins = {_require_portal("--portal", origin, development) for origin in options}
        origins |= {_require_portal("portals", origin, development) for origin in settings}
        origins |= {_require_portal("policy: origins", origin, development) for origin in policy}
        if not origins and not may_be_empty:
            raise ConfigurationError("--portal", "no portal is named, here or in the settings file")
        if len(origins) > MAX_PORTALS:
            raise ConfigurationError("--portal", f"more than {MAX_PORTALS} portals")
        hosts = {urlsplit(origin).netloc: origin for origin in sorted(origins)}
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
