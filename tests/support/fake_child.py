"""A child for the supervisor that does as its order says; imports nothing of ours.

``good``: says ready, and ends with the supervisor. ``helper``: the same, with a process of its own.
``deaf``: says ready and ignores SIGTERM. ``mute``: never says ready. ``dies``: says ready and ends.
``fails``: ends with exit code 2 before it is ready.
"""

import signal
import socket
import subprocess
import sys
import time


def main(descriptor: str) -> None:
    """Behave as ordered."""
    lifeline = socket.socket(fileno=int(descriptor))
    kind = lifeline.recv(100).decode().strip()
    if kind == "fails":
        sys.exit(2)
    if kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "helper":
        subprocess.Popen(["sleep", "60"])
    if kind != "mute":
        lifeline.sendall(b"ready\n")
    if kind == "dies":
        sys.exit(7)
    if kind == "deaf":
        time.sleep(60)
    lifeline.recv(1)


main(*sys.argv[1:])
