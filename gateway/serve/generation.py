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
from gateway.serve.places import Places
from gateway.settings import Settings

FOLDERS = ("a", "b")
"""Names of the folders, taken in turns."""
REPLACEABLE = frozenset[str]({"embedded", "nginx"})
"""Engines whose processes can be replaced while requests go on; a proxy that is not ours knows
fixed places."""
LINKED = ("control.sock", "verdict.sock", "relay.sock", "monitor.sock", "nginx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Programs with the same settings."""

    settings: Settings
    folder: Path
    programs: tuple[Program, ...]

    @classmethod
    def make(
        cls, settings: Settings, listening: Sequence[socket], *, before: "Generation | None" = None
    ) -> "Generation":
        """Return a new generation with its folder, which is made empty.

        :param before: the one that runs now.
        """
        folder = settings.runtime_dir
        if settings.edge.engine in REPLACEABLE:
            is_first = before is None or before.folder.name == FOLDERS[1]
            folder = folder / FOLDERS[0 if is_first else 1]
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            # All generations count together.
            (folder / "metrics").symlink_to("../metrics")
        # Every child gets the settings as they were read, in its own folder, and no more than was
        # written: some settings may not be named beside others.
        order = settings.model_copy(update={"runtime_dir": folder})
        text = order.model_dump_json(exclude_unset=True).encode()
        return cls(
            settings=settings,
            folder=folder,
            programs=tuple(_programs(settings, text, [each.fileno() for each in listening])),
        )

    def take_over(self) -> None:
        """Have everybody else find this generation, from one moment to the next."""
        if self.folder == self.settings.runtime_dir:
            return
        for name in LINKED:
            draft = self.settings.runtime_dir / f".{name}"
            draft.unlink(missing_ok=True)
            draft.symlink_to(f"{self.folder.name}/{name}")
            draft.replace(self.settings.runtime_dir / name)

    def remove(self) -> None:
        """Remove its folder."""
        if self.folder != self.settings.runtime_dir:
            shutil.rmtree(self.folder, ignore_errors=True)


def clear(settings: Settings) -> None:
    """Remove what generations leave in the runtime folder, also those of a run that was killed."""
    for name in LINKED:
        path = settings.runtime_dir / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for name in FOLDERS:
        shutil.rmtree(settings.runtime_dir / name, ignore_errors=True)
    shutil.rmtree(Places.of(settings).metrics, ignore_errors=True)


def only_at_start(before: Settings, after: Settings) -> Iterator[str]:
    """Name the settings that differ and hold from start to stop."""
    for key, one, other in (
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


def _programs(settings: Settings, order: bytes, listening: Sequence[int]) -> Iterator[Program]:
    if settings.trust.revocation:
        yield Program(name="refresher", module="gateway.serve.refresh", order=order, is_alone=True)
    yield Program(name="control plane", module="gateway.serve.control", order=order)
    if settings.edge.engine != "embedded":
        yield Program(name="verdict", module="gateway.serve.verdict", order=order)
    for number in range(1, edge_count(settings) + 1):
        yield Program(
            name="edge" if number == 1 else f"edge {number}",
            module="gateway.serve.edge",
            order=order,
            reloads=True,
            listening=listening[number - 1] if listening else None,
        )
    yield Program(name="monitor", module="gateway.serve.monitor", order=order, is_alone=True)
