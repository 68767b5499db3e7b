"""The PC/SC service with the virtual reader, for tests marked ``pcscd``.

One session at a time uses the reader of a machine: a lock in the temporary folder sees to it.
`tests/conftest.py` makes :func:`pcscd` known to every test.
"""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cps.errors import NoServiceError, TransportError
from cps.simulator.chip import SoftwareCard
from cps.simulator.vpcd import VPCDReader

READER = "Virtual PCD"
LOCK_SECONDS = 90.0
SERVICE_SECONDS = 10.0
CARD_SECONDS = 10.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualReader:
    """The reader that pcscd shows, empty."""

    name: str

    @contextmanager
    def holding(self, card: SoftwareCard) -> Iterator[None]:
        """Hold *card* in the reader; PC/SC has seen it come before, and go after."""
        reader = VPCDReader(card)
        inserted = threading.Event()
        failures: list[Exception] = []

        def run() -> None:
            try:
                reader.run(inserted.set)
            except TransportError as exc:
                failures.append(exc)

        thread = threading.Thread(target=run, name="virtual card")
        thread.start()
        try:
            # A second card waits unseen behind the first, which PC/SC shows all the time.
            _await("the card inserted", CARD_SECONDS, lambda: inserted.is_set() or failures)
            if failures:
                raise failures[0]
            _await("the card seen by PC/SC", CARD_SECONDS, self.present)
            yield
        finally:
            reader.stop()
            thread.join(CARD_SECONDS)
        _await("the reader empty", CARD_SECONDS, lambda: not self.present())

    def present(self) -> bool:
        """Return whether PC/SC sees a card in the reader."""
        from cps.transport.pcsc import PCSCTerminal

        try:
            states = PCSCTerminal().readers()
        except NoServiceError:
            return False
        return any(state.present and state.name == self.name for state in states)


@pytest.fixture(scope="session")
def pcscd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualReader]:
    """Give the virtual reader of a pcscd that runs, or of one that this starts and stops."""
    if importlib.util.find_spec("smartcard") is None:
        pytest.skip("pyscard is not installed")
    with _machine_lock():
        yield from _reader_of_service(tmp_path_factory.mktemp("pcscd") / "log")


def _reader_of_service(log: Path) -> Iterator[VirtualReader]:
    _await_empty_reader()
    with _service(log):
        name = _reader_name()
        if name is None:
            pytest.skip(f"pcscd has no reader {READER!r}: install vsmartcard-vpcd, restart pcscd")
        yield VirtualReader(name=name)


def _await_empty_reader() -> None:
    """Wait for a card that is no test's to leave, such as that of a demo on the same machine."""
    deadline = time.monotonic() + LOCK_SECONDS
    while (name := _reader_name()) is not None and VirtualReader(name=name).present():
        if time.monotonic() > deadline:
            pytest.skip("another program has a card in the virtual reader")
        time.sleep(POLL_SECONDS)


def _reader_name() -> str | None:
    """Return the name of the first virtual reader, ``None`` where there is none."""
    from cps.transport.pcsc import PCSCTerminal

    try:
        names = sorted(state.name for state in PCSCTerminal().readers() if READER in state.name)
    except TransportError:
        return None
    return names[0] if names else None


@contextmanager
def _service(log: Path) -> Iterator[None]:
    if _service_runs():
        yield
        return
    program = shutil.which("pcscd", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        pytest.skip("pcscd is not installed")
    if os.geteuid() != 0:
        pytest.skip("pcscd does not run, and only root can start it")
    with log.open("wb") as output:
        process = subprocess.Popen([program, "--foreground"], stdout=output, stderr=output)
        try:
            _await("pcscd", SERVICE_SECONDS, lambda: _reader_name() or process.poll() is not None)
            yield
        finally:
            process.terminate()
            try:
                process.wait(SERVICE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _service_runs() -> bool:
    from cps.transport.pcsc import PCSCTerminal

    try:
        PCSCTerminal().readers()
    except NoServiceError:
        return False
    return True


@contextmanager
def _machine_lock() -> Iterator[None]:
    path = Path(tempfile.gettempdir()) / "cps-virtual-reader.lock"
    with path.open("ab") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    pytest.skip("another test run holds the virtual reader")
                time.sleep(POLL_SECONDS)
        yield


def _await(what: str, seconds: float, met: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not after {seconds} s")
        time.sleep(POLL_SECONDS)
