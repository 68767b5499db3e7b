"""nginx as a child: checked, started, reloaded, ended, and its log made fit for ours."""

import asyncio
import logging
import os
import re
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from gateway.errors import ConfigurationError

CHECK_SECONDS = 20
MAX_LINE_BYTES = 65536

_CONFIGURATION = "nginx.conf"
_PAUSE_SECONDS = 0.01
_START_SECONDS = 10
_CUT_SECONDS = 1
_ERROR = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)")
_REFUSAL = re.compile(
    r"(?P<status>\d{3}) (?P<peer>\S+) (?P<incident>\S+)(?: (?:\d{3} (?P<reason>.+)|-?))?"
)
_QUOTED = re.compile(r'"[^"]*"?')
_LEVELS = {"warn": logging.WARNING, "notice": logging.INFO, "info": logging.INFO}
_log = logging.getLogger("gateway.edge")


class NginxProcess:
    """One nginx with its configuration in a folder of its own."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        is_logged: bool = True,
        listening: socket.socket | None = None,
    ) -> None:
        """Take where everything is.

        :param is_logged: whether what nginx says goes to the log.
        :param listening: a socket that it is lent, instead of opening that address itself.
        """
        self._listening = listening
        self._program = program
        self._folder = folder
        self._is_logged = is_logged
        self._process: Process | None = None
        self._readers: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int | None:
        """The process id of the master, once it was started."""
        return None if self._process is None else self._process.pid

    async def start(self, configuration: str) -> None:
        """Check *configuration* and run nginx with it, until it says where it is.

        :raises ConfigurationError: where nginx refuses it.
        :raises OSError: where nginx cannot be run, or cannot listen.
        """
        self.write(configuration)
        await self.check()
        with ExitStack() as ours:
            out, refusals = _pipe(ours)
            err, errors = _pipe(ours)
            process = await self._run(stdout=out, stderr=err)
        self._process = process
        self._readers = [
            asyncio.create_task(self._pass_on(refusals, tell_refusal)),
            asyncio.create_task(self._pass_on(errors, tell_error)),
        ]
        async with asyncio.timeout(_START_SECONDS):
            while not self._has_pid_file():
                if process.returncode is not None:
                    await asyncio.wait(self._readers)
                    raise OSError(f"nginx did not start, exit code {process.returncode}")
                await asyncio.sleep(_PAUSE_SECONDS)

    def write(self, configuration: str) -> None:
        """Write the configuration for nginx to read."""
        (self._folder / _CONFIGURATION).write_text(configuration, encoding="utf-8")

    async def check(self) -> None:
        """Have nginx read its configuration.

        :raises ConfigurationError: with what nginx says of it.
        """
        process = await self._run("-t", "-q", stdout=DEVNULL, stderr=PIPE)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                _, said = await process.communicate()
        except TimeoutError as exc:
            process.kill()
            reason = "nginx does not come to an end with it"
            raise ConfigurationError(str(self._folder), "nginx.conf", reason) from exc
        if process.returncode:
            reason = " ".join(said.decode("utf-8", "replace").split())
            raise ConfigurationError(str(self._folder), "nginx.conf", reason)

    async def reload(self) -> None:
        """Have nginx read its configuration and certificates again; requests go on.

        :raises ConfigurationError: where it would not start with them; then the old ones stay.
        """
        await self.check()
        self._signal(signal.SIGHUP)

    async def ended(self) -> int:
        """Wait for the end and return the exit code."""
        if self._process is None:
            raise RuntimeError("not started")
        return await self._process.wait()

    async def stop(self, *, seconds: float) -> None:
        """End nginx: requests under way have some seconds, then they are cut."""
        if self._process is None:
            return
        for number, patience in (
            (signal.SIGQUIT, seconds),
            (signal.SIGTERM, _CUT_SECONDS),
            (signal.SIGKILL, None),
        ):
            self._signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._process.wait()
                    break
        # Workers that nobody leads any more would keep the pipes open.
        _, unfinished = await asyncio.wait(self._readers, timeout=_CUT_SECONDS)
        for reader in unfinished:
            reader.cancel()

    def _has_pid_file(self) -> bool:
        """Return whether nginx listens: it writes its number after that."""
        if self._process is None:
            return False
        try:
            return (self._folder / "nginx.pid").read_text() == f"{self._process.pid}\n"
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.send_signal(number)

    async def _run(self, *arguments: str, stdout: int, stderr: int) -> Process:
        return await asyncio.create_subprocess_exec(
            self._program,
            *("-p", self._folder, "-c", self._folder / _CONFIGURATION, "-e", "stderr"),
            *arguments,
            stdin=DEVNULL,
            stdout=stdout,
            stderr=stderr,
            **self._lent(),
        )

    def _lent(self) -> dict[str, Any]:
        """Return what lends nginx its socket, in the way in which one nginx takes over another's.

        Source: nginx, "Upgrading Executable on the Fly".
        """
        if self._listening is None:
            return {}
        number = self._listening.fileno()
        return {"pass_fds": (number,), "env": {**os.environ, "NGINX": f"{number};"}}

    async def _pass_on(self, pipe: IO[bytes], tell: Callable[[str], None]) -> None:
        """Give each line that nginx writes to *tell*."""
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), pipe
        )
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # Longer than the limit: passed over.
            if not line:
                transport.close()
                return
            if self._is_logged:
                tell(line.decode("utf-8", "replace").rstrip())


def _pipe(until_started: ExitStack) -> tuple[int, IO[bytes]]:
    """Return the two ends of a pipe: nginx opens its end by name, which a socket does not bear."""
    ours, theirs = os.pipe()
    until_started.callback(os.close, theirs)
    return theirs, os.fdopen(ours, "rb", buffering=0)


def tell_refusal(line: str) -> None:
    """Log a request that nginx refused, from a line of its log format ``refusal``."""
    found = _REFUSAL.fullmatch(line)
    if found is None:
        _log.info("a refusal that nginx did not describe")
        return
    reason = found["reason"] or "no reason of its own"
    _log.info("%s to %s: %s [%s]", found["status"], found["peer"], reason, found["incident"])


def tell_error(line: str) -> None:
    """Log what nginx says of itself, without what it quotes of a request."""
    found = _ERROR.fullmatch(line)
    if found is None:
        _log.error("nginx: %s", line)
        return
    message, request, _ = found[2].partition(", client: ")
    if request:
        message = _QUOTED.sub('"…"', message)
    _log.log(_LEVELS.get(found[1], logging.ERROR), "nginx: %s", message)
