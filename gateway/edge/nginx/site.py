"""What one nginx does: where it listens, and which portals stand behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from gateway.edge.verdict_cache import MAX_OPEN_FILES
from gateway.settings import Settings

VERDICTS_FOLDER = "verdicts"
"""Where verdicts are kept, in a folder of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A portal, and where its processes are asked."""

    settings: Settings
    verdict_socket: Path
    """Where its sessions, and no other portal's, are known."""
    control_socket: Path
    verdicts: Path
    """Folder of the verdicts that nginx keeps; made where it is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind(Placed):
    """A portal, with all that nginx has to know of it."""

    tls: tuple[Path, Path] | None
    """Certificate and key that browsers see."""
    portal: str
    """What follows ``server``: host and port of the portal, or a Unix socket."""
    portal_tls: str | None
    """The portal's name in its certificate; ``None`` for plain http."""
    authorities: Path | None
    """From whom the portal's certificate may come, where it has one."""

    @property
    def host(self) -> str:
        """Host and port, as browsers send them."""
        return urlsplit(self.settings.portal.origin).netloc

    @property
    def host_name(self) -> str:
        """The host alone, as it stands in Host: IPv6 in brackets."""
        name = urlsplit(self.settings.portal.origin).hostname or ""
        return f"[{name}]" if ":" in name else name

    @property
    def scheme(self) -> str:
        """``https`` or ``http``, as browsers see it."""
        return urlsplit(self.settings.portal.origin).scheme

    @property
    def of(self) -> str:
        """What makes names in the configuration the portal's own; nothing where it has no name."""
        name = self.settings.portal.name
        return "" if name is None else f"_of_{name.replace('-', '_')}"


def open_verdicts(portals: Sequence[Placed]) -> int:
    """Return how many files of kept verdicts a process of nginx may hold open."""
    keeps = sum(each.settings.edge.verdict_cache_seconds > 0 for each in portals)
    return MAX_OPEN_FILES * keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One run of nginx."""

    folder: Path
    """Where nginx keeps what it writes."""
    listen: tuple[str, ...]
    """What follows ``listen`` in the configuration, once for each address."""
    portals: tuple[Behind, ...]
    """At least one, each with a host of its own; what settings they share is the first one's."""
    refuses_handshakes: bool
    """Whether TLS begins for the portals' names alone, where they are several."""
    client_field: str
    """Tells who listens on the control sockets the browser's address."""
    relay_socket: Path
    """Where the relays of all portals are asked; they know their own by its host."""
    connections: int
    """Connections of one worker, of all kinds."""
    user: str | None
    """Whose the workers are, where nginx is started by root."""
    refusal_log: str
    """Where a line for each refused request goes."""
    proxies: tuple[str, ...] = ()
    """Addresses and networks of those who alone connect, each time with a PROXY header; where there
    are none, browsers do."""

    @property
    def common(self) -> Settings:
        """The settings that all portals share."""
        return self.portals[0].settings

    @property
    def knows_names(self) -> bool:
        """Whether a handshake is for one of several portals."""
        return len(self.portals) > 1 and self.portals[0].tls is not None

    def in_folder(self, folder: Path) -> Self:
        """Return the same, with all that nginx writes in *folder*."""
        portals = tuple(
            replace(each, verdicts=folder / f"verdicts{each.of}") for each in self.portals
        )
        return replace(self, folder=folder, portals=portals)
