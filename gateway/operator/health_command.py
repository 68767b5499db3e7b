"""``cps-gateway health``: ask the running gateway whether people can log in."""

import http.client
import json
import socket
import sys
from pathlib import Path

from gateway.serve.places import Places
from gateway.settings_portals import Portals

EXIT_PROBLEMS = 1
WAIT_SECONDS = 5.0
MAX_ANSWER_BYTES = 65_536


class _Connection(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("monitor", timeout=WAIT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.connect(str(self._path))


def run_health(settings_path: Path, portal: str | None = None) -> int:
    """Print whether people can log in, and why not; return the exit code.

    :param portal: the name of one portal; default: all.
    :raises ConfigurationError: for settings that cannot be used.
    """
    portals = Portals.load(settings_path)
    asked = portals.portals if portal is None else (portals.choose(portal, file=settings_path),)
    problems = []
    for settings in asked:
        name = f"{settings.portal.name}: " if portals.are_several else ""
        problems += [f"{name}{found}" for found in _problems(Places.of(settings).monitor_socket)]
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    if problems:
        return EXIT_PROBLEMS
    print("ready")
    return 0


def _problems(monitor: Path) -> list[str]:
    """Return why people cannot log in, as the monitor at this socket sees it."""
    connection = _Connection(monitor)
    try:
        connection.request("GET", "/readyz")
        answer = json.loads(connection.getresponse().read(MAX_ANSWER_BYTES))
        return [str(problem) for problem in answer["problems"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as exc:
        return [f"no gateway answers at {monitor}: {exc}"]
    finally:
        connection.close()
