"""One generation of processes: all that run with the same settings, in a folder of their own.

Two can stand side by side, so that the next one answers before the last one goes. What others look
for in ``runtime_dir`` are links to the one that answers now.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from gateway.serve.child import Program
from gateway.serve.orders import write_order
from gateway.serve.places import Places
from gateway.settings import Settings
from gateway.settings_portals import SOCKETS_FOLDER, Portals

FOLDERS = ("a", "b")
"""Names of the folders, taken in turns."""
REPLACEABLE = frozenset[str]({"embedded", "nginx"})
"""Engines whose processes can be replaced while requests go on; a proxy that is not ours knows
fixed places."""
LINKED = ("control.sock", "verdict.sock", "relay.sock", "monitor.sock", "nginx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Programs with the same settings."""

    portals: Portals
    folder: Path
    programs: tuple[Program, ...]

    @classmethod
    def make(
        cls, portals: Portals, listening: Sequence[socket], *, before: "Generation | None" = None
    ) -> "Generation":
        """Return a new generation with its folder, which is made empty.

        :param before: the one that runs now.
        """
        folder = portals.common.runtime_dir
        if portals.common.edge.engine in REPLACEABLE:
            is_first = before is None or before.folder.name == FOLDERS[1]
            folder = folder / FOLDERS[0 if is_first else 1]
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            # All generations count together.
            (folder / "metrics").symlink_to("../metrics")
        # Every child gets the settings as they were read, in its own folder.
        ordered = portals.in_folder(folder)
        if ordered.are_several:
            _make_folders(ordered)
        return cls(
            portals=portals,
            folder=folder,
            programs=tuple(_programs(ordered, [each.fileno() for each in listening])),
        )

    def take_over(self) -> None:
        """Have everybody else find this generation, from one moment to the next.

        :raises OSError: where the disk takes no more; a full one changes nothing.
        """
        runtime_dir = self.portals.common.runtime_dir
        if self.folder == runtime_dir:
            return
        places = {name: f"{self.folder.name}/{name}" for name in LINKED}
        if self.portals.are_several:
            places = {SOCKETS_FOLDER: self.folder.name}
        drafts = {name: runtime_dir / f".{name}" for name in places}
        # What may want room on the disk comes first, so that a full one changes nothing.
        for name, draft in drafts.items():
            draft.unlink(missing_ok=True)
            draft.symlink_to(places[name])
        for name, draft in drafts.items():
            draft.replace(runtime_dir / name)

    def remove(self) -> None:
        """Remove its folder."""
        if self.folder != self.portals.common.runtime_dir:
            shutil.rmtree(self.folder, ignore_errors=True)


def clear(settings: Settings) -> None:
    """Remove what generations leave in the runtime folder, also those of a run that was killed."""
    for name in (*LINKED, SOCKETS_FOLDER):
        path = settings.runtime_dir / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for name in FOLDERS:
        shutil.rmtree(settings.runtime_dir / name, ignore_errors=True)
    shutil.rmtree(Places.of(settings).metrics, ignore_errors=True)


def only_at_start(portals_before: Portals, portals_after: Portals) -> Iterator[str]:
    """Name the settings that differ and hold from start to stop."""
    before, after = portals_before.common, portals_after.common
    for key, one, other in (
        # One alone keeps its state elsewhere.
        ("portals", portals_before.are_several, portals_after.are_several),
        ("state_dir", before.state_dir, after.state_dir),
        ("runtime_dir", before.runtime_dir, after.runtime_dir),
        ("listen.address", before.listen.address, after.listen.address),
        ("listen.port", before.listen.port, after.listen.port),
        ("edge.engine", before.edge.engine, after.edge.engine),
        ("edge.workers", before.edge.workers, after.edge.workers),
        ("environment", before.environment, after.environment),
    ):
        if one != other:
            yield key


def edge_count(settings: Settings) -> int:
    """Return how many processes take connections; nginx has workers of its own."""
    return settings.edge.workers or 1 if settings.edge.engine == "embedded" else 1


def _make_folders(ordered: Portals) -> None:
    """Make the folder of each portal's sockets, with what is there for all portals."""
    for settings in ordered.portals:
        settings.runtime_dir.mkdir(mode=0o700)
        (settings.runtime_dir / "metrics").symlink_to("../metrics")
        (settings.runtime_dir / "refresher.sock").symlink_to("../refresher.sock")


def _programs(ordered: Portals, listening: Sequence[int]) -> Iterator[Program]:
    common, is_vital = ordered.common, not ordered.are_several
    if common.trust.revocation:
        order = write_order((common,))
        yield Program(name="refresher", module="gateway.serve.refresh", order=order, is_alone=True)
    for settings in ordered.portals:
        yield Program(
            name=_name("control plane", settings, ordered),
            module="gateway.serve.control",
            order=write_order((settings,)),
            is_vital=is_vital,
        )
    if common.edge.engine != "embedded":
        for settings in ordered.portals:
            yield Program(
                name=_name("verdict", settings, ordered),
                module="gateway.serve.verdict",
                order=write_order((settings,)),
                is_vital=is_vital,
            )
    for number in range(1, edge_count(common) + 1):
        yield Program(
            name="edge" if number == 1 else f"edge {number}",
            module="gateway.serve.edge",
            order=write_order(ordered.portals),
            reloads=True,
            listening=listening[number - 1] if listening else None,
        )
    for settings in ordered.portals:
        yield Program(
            name=_name("monitor", settings, ordered),
            module="gateway.serve.monitor",
            order=write_order((settings,)),
            is_alone=True,
            is_vital=is_vital,
        )


def _name(program: str, settings: Settings, ordered: Portals) -> str:
    return f"{program} of {settings.portal.name}" if ordered.are_several else program
