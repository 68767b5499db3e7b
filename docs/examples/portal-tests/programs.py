"""Programs that a test starts, waits for, and ends."""

import os
import queue
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

START_SECONDS = 30
STOP_SECONDS = 10


@contextmanager
def running(*command: str, ready: str, **environment: str) -> Iterator[str]:
    """Run a program until the ``with`` block ends, and give the line that began with *ready*."""
    process = subprocess.Popen(
        command, env=os.environ | environment, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    output, lines = process.stdout, queue.Queue[str | None]()

    def read() -> None:
        # What it says later is read too: a full pipe would stop it.
        for line in output:
            lines.put(line)
        lines.put(None)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        line = lines.get(timeout=START_SECONDS)
        while line is not None and not line.startswith(ready):
            line = lines.get(timeout=START_SECONDS)
        assert line is not None, f"{command} ended before it was ready"
        yield line.strip()
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
        reading.join()
        output.close()


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
