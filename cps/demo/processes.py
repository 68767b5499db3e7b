"""The demo's programs: each started, awaited until it is ready, and ended with the demo."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from types import FrameType, TracebackType
from typing import Self

START_SECONDS = 30.0
STOP_SECONDS = 5.0
SHOWN_LINES = 15
CPS = (sys.executable, "-m", "cps.main")
"""How the workstation's command is called."""
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asked the demo to end: with Ctrl-C, a signal, or by closing the terminal."""


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turn each of the signals that end a program into :class:`Stopped`, so that it cleans up."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    previous = {number: signal.signal(number, stop) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class DemoError(Exception):
    """The demo cannot go on; the text says why and what to do."""


class Program:
    """One child process that says on its standard output when it is ready.

    :param name: for messages and the log's file name.
    :param argv: the command; no secret in it, for it shows in the process list.
    :param logs: folder for what the program writes on its standard error.
    :param ready: start of the line that says so.
    """

    def __init__(self, name: str, argv: Sequence[str], *, logs: Path, ready: str) -> None:
        self.name = name
        self._log = logs / f"{name}.log"
        self._ready = ready
        self._said_ready = threading.Event()
        self.said = ""
        """The line by which it said that it is ready."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                [*_ended_with_parent(), *argv], stdout=subprocess.PIPE, stderr=log
            )
        self._reader = threading.Thread(target=self._read, name=f"{name}-output", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether the program still runs."""
        return self._process.poll() is None

    def require_ready(self) -> None:
        """Wait until the program says that it is ready.

        :raises DemoError: where it ends first or says nothing for 30 s, with its last lines.
        """
        for _ in range(int(START_SECONDS * 20)):
            if self._said_ready.wait(0.05):
                return
            if not self.alive:
                break
        raise DemoError(f"{self.name} did not start ({self.end}):\n{self.last_lines()}")

    @property
    def end(self) -> str:
        """Return how the program ended, in words."""
        code = self._process.poll()
        if code is None:
            return "still runs"
        return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

    def last_lines(self) -> str:
        """Return the end of what the program wrote."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-SHOWN_LINES:])

    def stop(self) -> None:
        """End the program: politely, then at once after 5 s."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - opened above
        with self._process.stdout as output, self._log.open("ab") as log:
            for line in output:
                log.write(line)
                log.flush()
                text = line.decode("utf-8", "replace")
                if text.startswith(self._ready):
                    self.said = text.strip()
                    self._said_ready.set()


class Programs:
    """The programs of one demo, ended in the opposite order of their start."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Program] = []
        self._may_end: set[Program] = set()

    def start(
        self, name: str, argv: Sequence[str], *, ready: str, may_end: bool = False
    ) -> Program:
        """Start a program and wait until it is ready.

        :param may_end: whether its end is none of the demo's.
        :raises DemoError: where it does not start.
        """
        program = Program(name, argv, logs=self._logs, ready=ready)
        self._running.append(program)
        program.require_ready()
        if may_end:
            self._may_end.add(program)
        return program

    def adopt(self, name: str, argv: Sequence[str]) -> Program:
        """Start a program that never says anything, such as pcscd."""
        program = Program(name, argv, logs=self._logs, ready="\0")
        self._running.append(program)
        return program

    def end(self, program: Program) -> None:
        """End one of the programs, which is then none of the demo's any more."""
        program.stop()
        self._running.remove(program)

    def require_alive(self) -> None:
        """Check that no program ended by itself, unless it may.

        :raises DemoError: naming the one that did.
        """
        for program in self._running:
            if not program.alive and program not in self._may_end:
                raise DemoError(
                    f"{program.name} ended by itself ({program.end}):\n{program.last_lines()}"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A second Ctrl-C must not leave half of the programs behind.
        previous = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING_SIGNALS}
        try:
            for program in reversed(self._running):
                program.stop()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _ended_with_parent() -> list[str]:
    """Return the words before a command that end it with the demo, however the demo ends."""
    setpriv = which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "TERM"]
