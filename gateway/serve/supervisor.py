"""The supervisor: starts the control plane and the edge, keeps them running or ends them all."""

import asyncio
import fcntl
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from gateway.audit import open_audit
from gateway.clock import system_clock
from gateway.edge.sockets import open_folder
from gateway.errors import ConfigurationError
from gateway.metrics.folder import new_folder
from gateway.serve.child import Child, Program
from gateway.serve.generation import REPLACEABLE, Generation, clear, edge_count
from gateway.serve.listening import open_sockets
from gateway.serve.logs import configure_logs
from gateway.serve.places import Places
from gateway.serve.renewal import Renewal, about
from gateway.settings import Settings
from gateway.settings_portals import Portals
from gateway.trust.crl import RevocationLists
from gateway.trust.store import TrustStore

EXIT_FAILED = 1
"""Exit code where a child does not stay alive: everything is down, so nothing is open."""
EXIT_CONFIGURATION = 2
"""Exit code where the settings stop the start."""
QUICK_SECONDS = 10.0
"""A child that lives less long died quickly."""
MAX_QUICK_DEATHS = 5
"""Quick deaths in a row after which the supervisor gives up."""
FIRST_PAUSE_SECONDS = 0.25
"""Pause before a child is started again; doubled with each quick death."""

CERTIFICATE_SECONDS = 5.0
"""Time between two looks at whether a certificate was renewed."""

Say = Callable[[str], None]

_log = logging.getLogger("gateway.serve")


def serve(settings_path: Path) -> int:
    """Run the gateway until SIGTERM or SIGINT, and return the exit code.

    :param settings_path: the settings file, read once.
    :raises ConfigurationError: where the settings, or the files that they name, cannot be used.
    """
    os.umask(0o077)
    configure_logs()
    portals = Portals.load(settings_path)
    portals.create_directories(file=settings_path)
    settings = portals.common
    places = Places.of(settings)
    with _only_gateway(places, settings_path):
        if settings.environment == "test":
            configure_logs(is_test=True)
            _log.warning("test environment: test cards are let in, real ones are not")
        if settings.edge.proxy_group is not None:
            open_folder(settings.runtime_dir, settings.edge.proxy_group)
        _look_at_trust(settings)
        clear(settings)
        new_folder(places.metrics)
        audits = [open_audit(each, system_clock) for each in portals.portals]
        with ExitStack() as held:
            listening = _listening(settings, settings_path)
            for each in listening:
                held.enter_context(each)
            generation = Generation.make(portals, listening)
            for audit in audits:
                audit.record("configuration_loaded", **about(settings_path))
            renewal = Renewal(settings_path, generation, listening, audits)
            supervisor = Supervisor(
                generation.programs,
                ready=" ".join(["ready", *(each.portal.origin for each in portals.portals)]),
                counts_in=places.metrics,
                renewal=renewal,
            )
            try:
                generation.take_over()
                code = asyncio.run(supervisor.run(_say))
                for audit in renewal.audits:
                    audit.record("gateway_stopped", exit_code=code)
                return code
            finally:
                # Who made them removes them too, unless it was killed.
                clear(settings)


def _listening(settings: Settings, settings_path: Path) -> tuple[socket.socket, ...]:
    """Open what browsers connect to, where the gateway does so itself."""
    if settings.edge.engine not in REPLACEABLE:
        return ()
    return open_sockets(settings.listen, edge_count(settings), file=str(settings_path))


class Renews(Protocol):
    """Who knows what is to run once the settings have changed."""

    async def next_programs(self) -> Sequence[Program] | None:
        """Return what is to run from now on, ``None`` where nothing has changed, or nothing may."""

    def certificates(self) -> tuple[int, ...]:
        """Return what changes with every renewal of the certificate that browsers see."""

    def accepted(self) -> bool:
        """Have what was returned, and runs now, take over; return whether it can."""

    def refused(self) -> None:
        """Take note that what was returned could not be started."""


class Supervisor:
    """Keeps a few programs running, started in their order and ended in the opposite one."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        ready: str,
        counts_in: Path | None = None,
        renewal: Renews | None = None,
    ) -> None:
        """Take what is to be run.

        :param ready: the line said once all programs answer.
        :param counts_in: the folder in which they count together.
        :param renewal: knows what is to run instead, when SIGHUP asks.
        """
        self._renewal = renewal
        self._wanted = asyncio.Event()
        self._programs = tuple(programs)
        self._counts_in = counts_in
        self._ready = ready
        self._children: dict[Program, Child] = {}

    async def run(self, say: Say) -> int:
        """Run all until a signal, or until one of them cannot be kept; return the exit code.

        :param say: takes the ready line.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._wanted.set)
        stopping = asyncio.create_task(stop.wait())
        work = asyncio.create_task(self._start_and_keep(say))
        watching = asyncio.create_task(self._watch_certificates())
        try:
            await asyncio.wait((stopping, work), return_when=asyncio.FIRST_COMPLETED)
            return 0 if stop.is_set() else work.result()
        finally:
            for task in (stopping, work, watching):
                task.cancel()
            await asyncio.gather(stopping, work, watching, return_exceptions=True)
            await self._stop_all()

    async def _start_and_keep(self, say: Say) -> int:
        for program in self._programs:
            if not await self._start(program):
                # The first start must succeed: what stops it is a fault that no waiting mends.
                code = await self._end(program)
                _log.error("%s did not start, exit code %s", program.name, code)
                return EXIT_CONFIGURATION if code == EXIT_CONFIGURATION else EXIT_FAILED
        say(self._ready)
        while await self._keep_all():
            await self._renew()
        return EXIT_FAILED

    async def _keep_all(self) -> bool:
        """Keep all programs running until others are wanted; return false where one cannot be."""
        keeping = [asyncio.create_task(self._keep(program)) for program in self._programs]
        wanted = asyncio.create_task(self._wanted.wait())
        try:
            await asyncio.wait((*keeping, wanted), return_when=asyncio.FIRST_COMPLETED)
            return not any(task.done() for task in keeping)
        finally:
            for task in (*keeping, wanted):
                task.cancel()
            await asyncio.gather(*keeping, wanted, return_exceptions=True)

    async def _renew(self) -> None:
        """Have other programs take over, or the same ones take what was renewed."""
        self._wanted.clear()
        programs = None if self._renewal is None else await self._renewal.next_programs()
        if programs is None:
            self._reload()
            return
        if not await self._start_beside(programs):
            self._refuse()
            return
        if self._renewal is not None and not self._renewal.accepted():
            for program in reversed(programs):
                await self._remove(program)
            self._refuse()
            return
        before, self._programs = self._programs, tuple(programs)
        await self._replace(before)
        _log.info("the new configuration holds")

    async def _start_beside(self, programs: Sequence[Program]) -> bool:
        """Start what can run beside what runs; where one does not, none stays."""
        started: list[Program] = []
        for program in (each for each in programs if not each.is_alone):
            started.append(program)
            if not await self._start(program):
                _log.error("%s did not start with the new configuration", program.name)
                for each in reversed(started):
                    await self._remove(each)
                return False
        return True

    async def _replace(self, before: Sequence[Program]) -> None:
        """End what ran before; those that must be alone are started once theirs has ended."""
        for program in before:
            if program.is_alone:
                await self._remove(program)
        for program in self._programs:
            if program.is_alone and not await self._start(program):
                await self._end(program)  # It is started again, as after any other end.
        edges = [each for each in before if each.reloads and each in self._children]
        await asyncio.gather(*(self._children[each].retire() for each in edges))
        for program in reversed(before):
            await self._remove(program)

    def _refuse(self) -> None:
        if self._renewal is not None:
            self._renewal.refused()

    async def _start(self, program: Program) -> bool:
        """Start *program* and wait until it is ready; return whether it is."""
        try:
            child = await Child.start(program, counts_in=self._counts_in)
        except OSError as exc:
            _log.error("%s cannot be started: %s", program.name, exc)
            self._children.pop(program, None)
            return False
        self._children[program] = child
        _log.info("%s started, process %d", program.name, child.pid)
        return await child.is_ready()

    async def _end(self, program: Program) -> int | None:
        """Stop *program* and return its exit code, ``None`` where nothing of it was started."""
        child = self._children.get(program)
        return None if child is None else await child.stop()

    async def _remove(self, program: Program) -> None:
        """Stop *program*, which is to run no more."""
        await self._end(program)
        self._children.pop(program, None)

    async def _keep(self, program: Program) -> None:
        """Start *program* again whenever it ends; return where it does not stay alive."""
        loop = asyncio.get_running_loop()
        deaths, born = 0, loop.time()
        while True:
            child = self._children.get(program)
            how = "is not started" if child is None else f"ended, exit code {await child.ended()}"
            deaths = 1 if loop.time() - born >= QUICK_SECONDS else deaths + 1
            if deaths > MAX_QUICK_DEATHS and not program.is_vital:
                deaths = MAX_QUICK_DEATHS  # Others do without it; it is tried again and again.
            if deaths > MAX_QUICK_DEATHS:
                _log.error("%s does not stay alive, giving up", program.name)
                return
            pause = FIRST_PAUSE_SECONDS * 2 ** (deaths - 1)
            _log.error("%s %s; again in %g s", program.name, how, pause)
            await asyncio.sleep(pause)
            born = loop.time()
            if not await self._start(program):
                # It ends by itself, or hangs: then it must end.
                await self._end(program)

    async def _watch_certificates(self) -> None:
        """Have renewed certificates taken soon after they were written, until cancelled."""
        if self._renewal is None:
            return
        known = self._renewal.certificates()
        while True:
            await asyncio.sleep(CERTIFICATE_SECONDS)
            found = self._renewal.certificates()
            if found != known:
                _log.info("a certificate was renewed")
                self._reload()
            known = found

    def _reload(self) -> None:
        for program, child in self._children.items():
            if program.reloads:
                child.reload()

    async def _stop_all(self) -> None:
        # While one generation replaces another there are more than those that are kept.
        for program in reversed(tuple(self._children)):
            code = await self._children[program].stop()
            _log.info("%s stopped, exit code %d", program.name, code)


def _look_at_trust(settings: Settings) -> None:
    """Load the authorities, to fail before anything listens, and say which lists are missing.

    :raises ConfigurationError: for an authority's file that cannot be used.
    """
    now = system_clock()
    store = TrustStore.load(settings.trust, settings.environment, now)
    if settings.trust.revocation:
        # What the refresher has is told by the refresher, which starts before the others.
        return
    # Lists come and go while the gateway runs, so a bad one stops logins and not the start.
    for problem in RevocationLists.load(settings.trust.crls, store, now).problems(now):
        _log.error("logins will be refused: %s", problem)


@contextmanager
def _only_gateway(places: Places, settings_path: Path) -> Iterator[None]:
    """Hold the runtime folder against a second gateway, whose sockets would replace ours.

    :raises ConfigurationError: where another gateway holds it.
    """
    with ExitStack() as held:
        try:
            lock = held.enter_context(places.lock.open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            reason = f"another gateway uses {places.lock.parent}"
            raise ConfigurationError(str(settings_path), "runtime_dir", reason) from exc
        except OSError as exc:
            reason = f"{places.lock} cannot be written: {exc.strerror}"
            raise ConfigurationError(str(settings_path), "runtime_dir", reason) from exc
        yield


def _say(line: str) -> None:
    print(line, flush=True)
