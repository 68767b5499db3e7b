"""A child that answers requests on an event loop: from its order to its end."""

import asyncio
import ctypes
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import uvloop

from gateway.errors import ConfigurationError, GatewayError
from gateway.serve.lifeline import Lifeline
from gateway.serve.logs import configure_logs
from gateway.serve.orders import read_order
from gateway.settings import Settings

STORE_SECONDS = 1
"""Longest wait for the store. Requests wait in the event loop, so one that must wait
longer is refused rather than hold up all the others."""

KEPT_BYTES = 16 * 1024**2
"""Memory that the C library keeps for the next piece of a body, instead of giving it back."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # Source: mallopt(3).
_EXIT_FAILED = 1
_EXIT_CONFIGURATION = 2
_log = logging.getLogger("gateway.serve")


@runtime_checkable
class Retires(Protocol):
    """A service whose place another process takes while requests go on."""

    async def retire(self) -> None:
        """Take nothing new, and return when what is under way has ended, or after some time."""


class Service(Protocol):
    """A server on the running event loop."""

    @property
    def address(self) -> str:
        """Where it listens; known once it was started."""

    async def start(self) -> None:
        """Listen."""

    async def run(self) -> None:
        """Work until cancelled; a return or an exception means that it works no more."""

    async def reload(self) -> None:
        """Take certificates that were renewed, while requests go on.

        :raises ConfigurationError: where they cannot be used; then the old ones stay.
        """

    async def stop(self) -> None:
        """Take no more requests, let those under way end for a short time, then end them."""


Build = Callable[[Sequence[Settings]], Service]
"""Makes a service, on its event loop, for the portals whose settings it is given."""


def run_process(name: str, build: Build, *, descriptors: int) -> int:
    """Serve until SIGTERM, and return the exit code. The argument is the number of the lifeline.

    :param name: for the log.
    :param descriptors: open files wanted.
    """
    lifeline = Lifeline(int(sys.argv[1]))
    os.umask(0o077)
    portals = read_order(lifeline.read_order())
    configure_logs(is_test=portals[0].environment == "test")
    lifeline.follow()
    _allow_descriptors(descriptors)
    _keep_memory()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(name, build, portals, lifeline))
    except ConfigurationError as exc:
        _log.error("%s: %s", name, exc)
        return _EXIT_CONFIGURATION
    except (GatewayError, OSError) as exc:
        _log.error("%s: %s", name, exc)
        return _EXIT_FAILED


async def _run(name: str, build: Build, portals: Sequence[Settings], lifeline: Lifeline) -> int:
    service = build(portals)
    await service.start()
    _log.info("%s listens on %s", name, service.address)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    retire = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, retire.set)
    reload = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    reloading = asyncio.create_task(_reload(name, service, reload))
    stopping = asyncio.create_task(stop.wait())
    retiring = asyncio.create_task(_retire(service, retire))
    work = asyncio.create_task(service.run())
    lifeline.say_ready()
    await asyncio.wait((stopping, retiring, work), return_when=asyncio.FIRST_COMPLETED)
    if retire.is_set() and not stop.is_set():
        await asyncio.wait((stopping, retiring), return_when=asyncio.FIRST_COMPLETED)
    elif work.done():
        # Without it nothing would end what belongs to sessions that end: better no gateway.
        _log.error("%s: its work ended: %r", name, work.exception())
    await service.stop()
    for task in (work, stopping, retiring, reloading):
        task.cancel()
    await asyncio.gather(work, stopping, retiring, reloading, return_exceptions=True)
    return 0 if stop.is_set() or retire.is_set() else _EXIT_FAILED


async def _retire(service: Service, wanted: asyncio.Event) -> None:
    """Return once *service* was told to retire and has done so."""
    await wanted.wait()
    if isinstance(service, Retires):
        await service.retire()


async def _reload(name: str, service: Service, wanted: asyncio.Event) -> None:
    """Reload each time it is wanted, until cancelled."""
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            await service.reload()
        except (ConfigurationError, OSError) as exc:
            _log.error("%s goes on as it was: %s", name, exc)
        else:
            _log.info("%s reloaded", name)


def _allow_descriptors(wanted: int) -> None:
    """Raise this process's limit of open files as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _keep_memory() -> None:
    """Have the C library keep the memory of large pieces, where it is one that can be told.

    Else each piece of a body is mapped, touched page by page and unmapped again: a quarter of the
    time that a large answer costs.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is not None:
        tell(_M_TRIM_THRESHOLD, KEPT_BYTES)
        tell(_M_MMAP_THRESHOLD, KEPT_BYTES // 4)
