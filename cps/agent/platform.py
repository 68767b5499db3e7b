"""What differs between the systems that an agent runs on: its files, and the person's desktop."""

import logging
import os
import sys
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Protocol

_LOG = logging.getLogger(__name__)


class DesktopListener(Protocol):
    """Who is told what happens on the desktop; see :class:`cps.agent.presence.Presence`."""

    def screen_locks(self) -> None:
        """Hear that the screen is being locked."""

    def screen_is(self, *, locked: bool) -> None:
        """Hear whether the screen is locked, at the start and at each change."""

    def falls_asleep(self) -> None:
        """Hear that the computer goes to sleep."""


def desktop_watch(listener: DesktopListener) -> AbstractContextManager[object]:
    """Return the watch over the desktop, which ends with its context; only Linux has one."""
    if sys.platform != "linux":
        return nullcontext()
    try:
        # Only here: it speaks to what is on Linux alone.
        from cps.agent.logind import LogindWatch
    except ModuleNotFoundError as exc:
        _LOG.warning("a locked screen is not seen: %s is not installed", exc.name)
        return nullcontext()
    return closing(LogindWatch(listener))


def desktop_unseen() -> str | None:
    """Return why a locked screen is not seen here, ``None`` where it is."""
    if sys.platform != "linux":
        return f"not on {sys.platform}"
    try:
        # Only here: as above.
        from cps.agent.logind import Logind, LogindError
    except ModuleNotFoundError as exc:
        return f"{exc.name} is not installed"
    try:
        Logind().close()
    except LogindError as exc:
        return str(exc)
    return None


def policy_file() -> Path:
    """Return where the administrator's file is, which users cannot write."""
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "cps-agent", "policy.toml")
    if sys.platform == "darwin":
        return Path("/Library/Application Support/cps-agent/policy.toml")
    return Path("/etc/cps-agent/policy.toml")


def confirmed_file() -> Path:
    """Return where the portals are kept to which this user said yes."""
    return Path.home() / ".config" / "cps" / "confirmed.toml"
