"""The virtual reader of PC/SC for one session of tests: found or started, and shared with nobody.

One session at a time uses the reader of a machine: a lock in the temporary folder sees to it.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cps.errors import NoServiceError, TransportError
from cps.simulator.card import Card
from cps.simulator.vpcd import VPCDReader

READER_NAME = "Virtual PCD"
LOCK_SECONDS = 90.0
SERVICE_SECONDS = 5.0
SERVICE_TRIES = 6
STOP_SECONDS = 10.0
CARD_SECONDS = 10.0
POLL_SECONDS = 0.1


class ReaderUnavailableError(Exception):
    """There is no virtual reader for this session; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualReader:
    """The reader that PC/SC shows."""

    name: str

    @contextmanager
    def holding(self, card: Card) -> Iterator[None]:
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


@contextmanager
def virtual_reader(log: Path) -> Iterator[VirtualReader]:
    """Give the virtual reader of a pcscd that runs, or of one that this starts and stops.

    :param log: file for what a pcscd of our own says.
    :raises ReaderUnavailableError: where there is none, or somebody else uses it for too long.
    """
    if importlib.util.find_spec("smartcard") is None:
        raise ReaderUnavailableError("pyscard is not installed")
    with ExitStack() as stack:
        stack.enter_context(_machine_lock())
        _await_empty_reader()
        stack.enter_context(_service(log))
        name = _reader_name()
        if name is None:
            raise ReaderUnavailableError(
                f"pcscd has no reader {READER_NAME!r}: install vsmartcard-vpcd, restart pcscd"
            )
        yield VirtualReader(name=name)


def _await_empty_reader() -> None:
    """Wait for a card that is no test's to leave, such as that of a demo on the same machine."""
    deadline = time.monotonic() + LOCK_SECONDS
    while (name := _reader_name()) is not None and VirtualReader(name=name).present():
        if time.monotonic() > deadline:
            raise ReaderUnavailableError("another program has a card in the virtual reader")
        time.sleep(POLL_SECONDS)


def _reader_name() -> str | None:
    """Return the name of the first virtual reader, ``None`` where there is none."""
    from cps.transport.pcsc import PCSCTerminal

    try:
        names = [state.name for state in PCSCTerminal().readers() if READER_NAME in state.name]
    except TransportError:
        return None
    return min(names, default=None)


@contextmanager
def _service(log: Path) -> Iterator[None]:
    if _service_runs():
        yield
        return
    program = shutil.which("pcscd", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise ReaderUnavailableError("pcscd is not installed")
    if os.geteuid() != 0:
        raise ReaderUnavailableError("pcscd does not run, and only root can start it")
    with log.open("wb") as output:
        # Its port is one that the system also gives to outgoing connections: where one has it just
        # then, pcscd goes on without the reader, and another start finds the port free again.
        for tries_left in reversed(range(SERVICE_TRIES)):
            with _started(program, output) as process:
                with suppress(TimeoutError):
                    _await("pcscd", SERVICE_SECONDS, lambda: _reader_name() or process.poll())
                if tries_left and _reader_name() is None:
                    continue
                yield
                return


@contextmanager
def _started(program: str, output: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603 - the system's own program
        [program, "--foreground"], stdout=output, stderr=output
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
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
    # Only here: Windows, where no software card can run, has no such module.
    import fcntl

    path = Path(tempfile.gettempdir()) / "cps-virtual-reader.lock"
    try:
        lock = path.open("ab")
    except OSError as exc:
        raise ReaderUnavailableError(
            f"the virtual reader cannot be locked: {path}: {exc.strerror}"
        ) from exc
    with lock as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ReaderUnavailableError(
                        "another test run holds the virtual reader"
                    ) from None
                time.sleep(POLL_SECONDS)
        yield


def _await(what: str, seconds: float, met: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not after {seconds} s")
        time.sleep(POLL_SECONDS)
