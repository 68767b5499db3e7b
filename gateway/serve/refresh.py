"""The refresher's process: fetches revocation data, so that no login waits for the network."""

import os
import sys
from collections.abc import Sequence

from gateway.clock import system_clock
from gateway.refresh.refresher import Refresher
from gateway.serve.process import run_process
from gateway.settings import Settings

DESCRIPTORS = 256
"""Open files wanted: a few connections, tables and sockets."""

NICENESS = 5
"""Where there are fewer cores than work, logins go first: a list may come some seconds later."""


def main() -> int:
    """Refresh until SIGTERM, and return the exit code."""
    os.nice(NICENESS)
    return run_process("refresher", _build, descriptors=DESCRIPTORS)


def _build(portals: Sequence[Settings]) -> "_Service":
    (settings,) = portals
    return _Service(settings, clock=system_clock)


class _Service(Refresher):
    """The refresher as the supervisor runs it."""

    async def reload(self) -> None:
        """Do nothing: the files and addresses it follows it reads again by itself."""


if __name__ == "__main__":
    sys.exit(main())
