"""The child's end of its tie to the supervisor: gets its order, says "ready", and ends with it.

A socket pair, not a signal: the system closes the supervisor's end however the supervisor ends, so
no child is left behind even where the supervisor is killed.
"""

import os
import signal
import socket
import threading
import time
from contextlib import suppress

READY = b"ready\n"
END_OF_ORDER = b"\n"
MAX_ORDER_BYTES = 1024**2
GRACE_SECONDS = 5
"""Time to end in order when the supervisor is gone."""


class Lifeline:
    """The tie of a process that leads a process group of its own."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def read_order(self) -> bytes:
        """Return what the supervisor tells this process to do, before anything else is done.

        :raises ConnectionError: where the supervisor is gone.
        """
        order = bytearray()
        while not order.endswith(END_OF_ORDER):
            piece = self._socket.recv(MAX_ORDER_BYTES)
            if not piece or len(order) > MAX_ORDER_BYTES:
                raise ConnectionError("no order from the supervisor")
            order += piece
        return bytes(order)

    def say_ready(self) -> None:
        """Tell the supervisor that this process answers requests; never waits for it to listen."""
        # It listens once. A worker that takes another's place says it again, to nobody.
        with suppress(BlockingIOError):
            self._socket.send(READY, socket.MSG_DONTWAIT)

    def follow(self) -> None:
        """From now on end this process group when the supervisor is gone."""
        threading.Thread(target=self._wait_for_the_end, name="lifeline", daemon=True).start()

    def _wait_for_the_end(self) -> None:
        # After its order the supervisor writes no more: what comes is the end, in some form.
        with suppress(OSError):
            self._socket.recv(1)
        os.killpg(0, signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os.killpg(0, signal.SIGKILL)
