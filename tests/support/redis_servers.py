"""Real Redis servers on Unix sockets, for the stores' tests; skipped where the binary is absent.

`tests/conftest.py` makes :func:`shared_redis` and :func:`redis_server` known to every test.
"""

import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.redis_address import RedisAddress
from gateway.redis_server import RedisServer

BINARY = "redis-server"
START_SECONDS = 10.0
ANSWER_SECONDS = 5.0


class RedisProcess:
    """One Redis server in a folder of its own, which keeps what it writes between its runs."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> RedisAddress:
        return RedisAddress.parse(f"unix://{self.socket}")

    def server(self, namespace: str = "test", wait_seconds: float = ANSWER_SECONDS) -> RedisServer:
        """Return a client of its own."""
        return RedisServer(self.address, namespace=namespace, wait_seconds=wait_seconds)

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                BINARY,
                *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                *("--dir", str(self.folder), "--save", "", "--daemonize", "no"),
                *("--logfile", str(self.folder / "redis.log")),
                *self.options,
            ]
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self._log())
            time.sleep(0.01)

    def stop(self) -> None:
        """Ask it to end, so that it saves what it is told to save."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it accept connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_SECONDS)
            self._process = None
            self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        """Return whether it answers at all, be it that a password is wanted."""
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(self.socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))
        return False

    def _log(self) -> str:
        return (self.folder / "redis.log").read_text(encoding="utf-8")


@contextmanager
def redis_process(*options: str) -> Iterator[RedisProcess]:
    """Run a server for as long as the block lasts."""
    if shutil.which(BINARY) is None:
        pytest.skip(f"{BINARY} is not installed")
    # A socket's path has at most 107 bytes; pytest's own folders have long names.
    with tempfile.TemporaryDirectory(prefix="cps-redis-") as folder:
        process = RedisProcess(Path(folder), *options)
        try:
            process.start()
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisProcess]:
    """Return a server that runs all the time; each test has its own keys in it."""
    with redis_process() as process:
        yield process


@pytest.fixture
def redis_server(shared_redis: RedisProcess) -> Iterator[RedisServer]:
    """Return a client of the shared server, with keys that no other test uses."""
    server = shared_redis.server(secrets.token_hex(8))
    yield server
    server.close()
