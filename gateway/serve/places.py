"""Where the processes of one gateway find what they share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.edge.nginx.site import VERDICTS_FOLDER, Placed
from gateway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The files in the state and runtime folders."""

    database: Path
    assertion_key: Path
    control_socket: Path
    verdict_socket: Path
    """Where nginx asks who may pass."""
    relay_socket: Path
    """Where nginx passes on what lives long."""
    monitor_socket: Path
    """Where the operator's commands ask the monitor."""
    metrics: Path
    """Folder in which the processes count together."""
    nginx: Path
    """Folder of what nginx writes."""
    verdicts: Path
    """Folder of the verdicts that nginx keeps."""
    lock: Path
    """Held by the one supervisor that uses the runtime folder."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the places that *settings* lead to."""
        return cls(
            database=settings.state_dir / "gateway.db",
            assertion_key=settings.state_dir / "assertion-key.pem",
            control_socket=settings.runtime_dir / "control.sock",
            verdict_socket=settings.runtime_dir / "verdict.sock",
            relay_socket=settings.runtime_dir / "relay.sock",
            monitor_socket=settings.runtime_dir / "monitor.sock",
            metrics=settings.runtime_dir / "metrics",
            nginx=settings.runtime_dir / "nginx",
            verdicts=settings.runtime_dir / "nginx" / VERDICTS_FOLDER,
            lock=settings.runtime_dir / "gateway.lock",
        )


def for_nginx(settings: Settings) -> Placed:
    """Return where nginx finds the processes of a portal."""
    places = Places.of(settings)
    return Placed(
        settings=settings,
        verdict_socket=places.verdict_socket,
        control_socket=places.control_socket,
        verdicts=places.verdicts,
    )
