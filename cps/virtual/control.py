"""A word to the process that holds a card in a reader: who are you, leave, be another card.

Such a process listens on a socket in the folder of cards, one for each reader. To reach it is proof
that it is ours and that it lives: no process is ever found by its number.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cps.errors import CardBusyError
from cps.virtual.errors import VirtualCardError

MAX_WORDS_BYTES = 512
REQUEST_SECONDS = 2.0
ANSWER_SECONDS = 20.0
"""A swap lasts as long as the reader takes to see one card go and the other come."""
OK = "ok"

Answer = Callable[[list[str]], str]
"""Gets the words of a request and returns the answer; may raise :class:`VirtualCardError`."""


class ControlSocket:
    """The ear of a process that holds a card in the reader at *port*.

    :param answer: is called in a thread, for one request after another.
    """

    def __init__(self, home: Path, port: int, answer: Answer) -> None:
        self._home = home
        self._port = port
        self._answer = answer
        self._thread = threading.Thread(target=self._listen, name="control", daemon=True)
        self._socket: socket.socket | None = None
        self._lock: int | None = None

    def open(self) -> None:
        """Begin to listen.

        :raises CardBusyError: where another process has a card of this folder in that reader.
        :raises OSError: where nothing can be written in the folder.
        """
        self._lock = _locked(self._home / _name(self._port, "lock"))
        if self._lock is None:
            raise CardBusyError("another card of this folder is in the virtual reader")
        path = self._home / _name(self._port, "socket")
        # Who holds the lock may clear away what a killed process left.
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _address(self._home, self._port) as address:
            listening.bind(address)
        path.chmod(0o600)
        listening.listen()
        self._socket = listening
        self._thread.start()

    def close(self) -> None:
        """Answer what was asked, then listen no more; safe to call where nothing was opened."""
        if self._socket is not None:
            (self._home / _name(self._port, "socket")).unlink(missing_ok=True)
            self._socket.shutdown(socket.SHUT_RDWR)
            self._thread.join()
            self._socket.close()
            self._socket = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _listen(self) -> None:
        listening = self._socket
        assert listening is not None  # noqa: S101 - set before the thread starts
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                # It was shut down: the process ends.
                return
            with connection:
                connection.settimeout(REQUEST_SECONDS)
                try:
                    connection.sendall(self._answered(_receive(connection)).encode() + b"\n")
                except OSError:
                    # Who asked has gone; the next one is listened to.
                    continue

    def _answered(self, request: str) -> str:
        try:
            return f"{OK} {self._answer(request.split())}"
        except VirtualCardError as exc:
            return str(exc)


def ask(home: Path, port: int, *words: str) -> str | None:
    """Return the answer of the process that holds a card of *home* in the reader at *port*.

    :returns: ``None`` where there is no such process.
    :raises VirtualCardError: where it says no, or does not answer.
    """
    try:
        with (
            _address(home, port) as address,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
        ):
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(address)
            connection.sendall(" ".join(words).encode() + b"\n")
            answer = _receive(connection)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except OSError as exc:
        raise VirtualCardError("the process that holds the card does not answer") from exc
    done, _, rest = answer.partition(" ")
    if done != OK:
        raise VirtualCardError(answer or "the process that holds the card does not answer")
    return rest


def _receive(connection: socket.socket) -> str:
    """Return one line, without its end; what a vanished peer had said where it is none."""
    data = b""
    while not data.endswith(b"\n") and len(data) < MAX_WORDS_BYTES:
        part = connection.recv(MAX_WORDS_BYTES - len(data))
        if not part:
            break
        data += part
    return data.decode("utf-8", "replace").strip()


def _name(port: int, kind: str) -> str:
    return f".reader-{port}.{kind}"


@contextmanager
def _address(home: Path, port: int) -> Iterator[str]:
    """Give the socket's address in a form that is short enough, however deep the folder lies."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{_name(port, 'socket')}"
    finally:
        os.close(folder)


def _locked(path: Path) -> int | None:
    """Return the descriptor of a lock, ``None`` where another process holds it."""
    # Only here: Windows, where no software card can run, has no such module.
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
