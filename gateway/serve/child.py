"""One child of the supervisor: started, awaited until it is ready, and ended with all its own."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.metrics.folder import environment_with
from gateway.serve.lifeline import END_OF_ORDER, READY

RETIRE_SECONDS = 30
"""Time for what is under way in a child that another one replaces."""
START_SECONDS = 30
"""Time in which a child must say that it is ready."""
STOP_SECONDS = 8
"""Time for a child to end in order; then it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a child runs."""

    name: str
    """For the log."""
    module: str
    """Called with the number of its end of the lifeline."""
    order: bytes
    """What it is told through the lifeline: one line, without its end."""
    reloads: bool = False
    """Whether SIGHUP is for it, and SIGUSR1 before its end."""
    is_alone: bool = False
    """Whether it can only be started once the one before it has ended."""
    is_vital: bool = True
    """Whether the gateway ends where this does not stay alive."""
    listening: int | None = None
    """The socket that it is lent, by its number."""


class Child:
    """A process that leads a group of its own, tied to this one by a lifeline."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: socket.socket) -> None:
        self._process = process
        self._lifeline = lifeline
        self._is_swept = False

    @classmethod
    async def start(cls, program: Program, *, counts_in: Path | None = None) -> Self:
        """Start *program* and give it its order.

        :param counts_in: the folder in which it counts together with others; default: alone.
        :raises OSError: where the system has no process, memory or descriptor for it.
        """
        ours, theirs = socket.socketpair()
        lent = () if program.listening is None else (program.listening,)
        with theirs, ExitStack() as if_it_fails:
            if_it_fails.callback(ours.close)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                program.module,
                *map(str, (theirs.fileno(), *lent)),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *lent),
                # A group of its own: Ctrl-C reaches the supervisor alone, which ends it in order.
                process_group=0,
                env=None if counts_in is None else environment_with(counts_in),
            )
            if_it_fails.pop_all()
        ours.setblocking(False)
        with suppress(ConnectionError):  # It ended at once, which its exit code tells.
            await asyncio.get_running_loop().sock_sendall(ours, program.order + END_OF_ORDER)
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def is_ready(self) -> bool:
        """Wait for the child to say that it is ready; return whether it did, in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                if await self._says_ready():
                    return True
                # Its end is closed, so it is ending by itself; the exit code will say why.
                await self._process.wait()
        return False

    async def ended(self) -> int:
        """Wait for the end, sweep up what the child started and left, and return its exit code."""
        code = await self._process.wait()
        if not self._is_swept:
            # Once: later the system may have given its number to somebody else.
            self._is_swept = True
            self._kill_group()
            self._lifeline.close()
        return code

    def reload(self) -> None:
        """Have the child take what was renewed."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGHUP)

    async def retire(self) -> int:
        """End the child once what is under way has ended, or too much time has passed.

        :returns: the exit code.
        """
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        with suppress(TimeoutError):
            async with asyncio.timeout(RETIRE_SECONDS + STOP_SECONDS):
                return await self.ended()
        return await self.stop()

    async def stop(self) -> int:
        """End the child: politely, then at once; return its exit code."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                return await self.ended()
        self._kill_group()
        return await self.ended()

    async def _says_ready(self) -> bool:
        """Return whether the child says that it is ready, before its end is closed."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.sock_recv(self._lifeline, len(READY)) == READY
        except ConnectionResetError:
            return False  # It ended before it had read its order.

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
