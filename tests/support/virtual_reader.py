"""A virtual reader with no PC/SC service behind it: it powers each card that comes, and asks it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 5.0
POWER_ON, GET_ATR = b"\x01", b"\x04"


class LoneReader:
    """A reader for one card at a time, on a port of its own."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._link: socket.socket | None = None
        self.atrs: list[bytes] = []
        """The answer to reset of each card that came."""
        self._thread = threading.Thread(target=self._run, name="lone reader")
        self._thread.start()

    @property
    def port(self) -> int:
        """Return where a card connects to."""
        return int(self._server.getsockname()[1])

    def await_cards(self, count: int) -> None:
        """Wait until so many cards have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.atrs) >= count, SECONDS)

    def ask(self, command: bytes) -> bytes:
        """Return the answer of the card that is here, ``b""`` where it leaves instead."""
        assert self._link is not None
        _send(self._link, command)
        return _receive(self._link) or b""

    def close(self) -> None:
        """Throw the card out and end."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        if self._link is not None:
            self._link.close()
        self._server.close()

    def _run(self) -> None:
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            link.settimeout(SECONDS)
            try:
                _send(link, POWER_ON)
                _send(link, GET_ATR)
                atr = _receive(link)
            except OSError:
                # The card left at once.
                atr = None
            with self._changed:
                if self._link is not None:
                    self._link.close()
                self._link = link
                if atr is not None:
                    self.atrs.append(atr)
                self._changed.notify_all()


@contextmanager
def lone_reader() -> Iterator[LoneReader]:
    """Give a reader that is closed afterwards."""
    reader = LoneReader()
    try:
        yield reader
    finally:
        reader.close()


def _send(link: socket.socket, message: bytes) -> None:
    link.sendall(len(message).to_bytes(2, "big") + message)


def _receive(link: socket.socket) -> bytes | None:
    """Return one message, ``None`` where the card left."""
    head = _exactly(link, 2)
    return None if head is None else _exactly(link, int.from_bytes(head, "big"))


def _exactly(link: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            return None
        data += part
    return data
