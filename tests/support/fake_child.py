"""A child for the supervisor that does as its first argument says; imports nothing of ours.

``good``: says ready, and ends with the supervisor. ``helper``: the same, with a process of its own.
``deaf``: says ready and ignores SIGTERM. ``mute``: never says ready. ``dies``: says ready and ends.
``fails``: ends with exit code 2 before it is ready.
"""

import signal
import socket
import subprocess
import sys
import time


def main(kind: str, descriptor: str) -> None:
    """Behave as *kind*."""
    if kind == "fails":
        sys.exit(2)
    lifeline = socket.socket(fileno=int(descriptor))
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
