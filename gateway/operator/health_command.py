"""``cps-gateway health``: ask the running gateway whether people can log in."""

import http.client
import json
import socket
import sys
from pathlib import Path

from gateway.serve.places import Places
from gateway.settings import Settings

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


def run_health(settings_path: Path) -> int:
    """Print whether people can log in, and why not; return the exit code.

    :raises ConfigurationError: for settings that cannot be used.
    """
    monitor = Places.of(Settings.load(settings_path)).monitor_socket
    connection = _Connection(monitor)
    try:
        connection.request("GET", "/readyz")
        answer = json.loads(connection.getresponse().read(MAX_ANSWER_BYTES))
        problems = [str(problem) for problem in answer["problems"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as exc:
        problems = [f"no gateway answers at {monitor}: {exc}"]
    finally:
        connection.close()
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    if problems:
        return EXIT_PROBLEMS
    print("ready")
    return 0
