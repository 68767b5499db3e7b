"""Where the journal's keys and chains are, by the settings; both kinds of chain in one folder."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from gateway.clock import Clock
from gateway.journal.chain import LOCK_FILE, Chain, ChainLimits
from gateway.journal.ring import Keys, RingFile
from gateway.settings import Settings

KEY_FILE = "journal.key"
"""Name of the keys' file in ``state_dir``."""
ACCESS = "access"
"""The chain of who saw which record."""


def journal_folder(settings: Settings) -> Path:
    """Return the folder in which each chain has its own."""
    return settings.journal.folder or settings.state_dir / "journal"


def journal_keys(settings: Settings) -> RingFile:
    """Return the journal's keys, a first one made now where there is none.

    :raises ConfigurationError: for a file that cannot be used.
    """
    return RingFile(settings.state_dir / KEY_FILE)


def open_chain(
    settings: Settings,
    name: str,
    *,
    keys: Keys,
    clock: Clock,
    on_full: Callable[[Path], object] | None = None,
) -> Chain:
    """Return the chain *name* that the settings lead to.

    :param name: small letters.
    :param on_full: is told of each file that is full; must not wait.
    :raises OSError: where the journal's folder cannot be made.
    """
    folder = journal_folder(settings)
    folder.mkdir(mode=0o700, exist_ok=True)
    return Chain(
        folder / name,
        name,
        keys=keys,
        clock=clock,
        limits=ChainLimits(
            file_bytes=settings.journal.file_bytes,
            retention=timedelta(days=settings.journal.retention_days),
        ),
        on_full=on_full,
    )


def chains_in(folder: Path) -> list[str]:
    """Return the names of the chains in the journal's folder."""
    return sorted(path.parent.name for path in folder.glob(f"*/{LOCK_FILE}"))
