"""The folder in which the processes of one gateway count together."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.metrics.model import FOLDER_VARIABLE


def new_folder(folder: Path) -> None:
    """Make *folder*, empty: numbers begin at 0 with each start of the gateway."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


def environment_with(folder: Path) -> Mapping[str, str]:
    """Return this process's environment for a child that counts in *folder*."""
    return {**os.environ, FOLDER_VARIABLE: str(folder)}


def all_processes(folder: Path) -> CollectorRegistry:
    """Return a registry that adds up what every process counted in *folder*, at each look.

    What only living processes have, such as lines that wait, is forgotten of those that died.
    """
    for path in folder.glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            path.unlink(missing_ok=True)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry
