"""New settings while the gateway runs: read, tried, and taken whole or not at all."""

import asyncio
import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket

from gateway.audit import AuditLog, open_audit
from gateway.clock import system_clock
from gateway.edge.tls import tls_context
from gateway.errors import ConfigurationError, StoreUnavailableError
from gateway.journal.line import FieldValue
from gateway.serve.child import Program
from gateway.serve.generation import REPLACEABLE, Generation, only_at_start
from gateway.settings_portals import Portals
from gateway.trust.store import TrustStore
from gateway.version import gateway_version

_log = logging.getLogger("gateway.serve")


class Renewal:
    """Makes the next generation of processes from the settings file, when it is asked to."""

    def __init__(
        self,
        settings_path: Path,
        running: Generation,
        listening: Sequence[socket],
        audits: Sequence[AuditLog],
    ) -> None:
        """Take what runs now.

        :param listening: the sockets that every generation is lent.
        :param audits: the audit log of each portal, in their order.
        """
        self._path = settings_path
        self._running = running
        self._listening = listening
        self._audits = dict(zip(running.portals.names, audits, strict=True))
        self._next: Generation | None = None

    @property
    def audits(self) -> tuple[AuditLog, ...]:
        """The audit logs of the portals there are."""
        return tuple(self._audits.values())

    async def next_programs(self) -> Sequence[Program] | None:
        """Return what is to run by the file as it is now, ``None`` where that is what runs.

        A file with a fault changes nothing: every fault goes to the log and the audit log.
        """
        try:
            portals = await asyncio.to_thread(self._read)
            if portals == self._running.portals:
                return None
            portals.create_directories(file=self._path)
            self._audits |= {
                each.portal.name: open_audit(each, system_clock)
                for each in portals.portals
                if each.portal.name not in self._audits
            }
            # Before it holds: what cannot be recorded is not done.
            for name in portals.names:
                self._audits[name].record("configuration_loaded", **about(self._path))
            self._next = Generation.make(portals, self._listening, before=self._running)
        except (ConfigurationError, StoreUnavailableError, OSError) as exc:
            # Also a full disk: what runs must not end because something new cannot begin.
            self._without_portal()
            self._say_refused(exc)
            return None
        return self._next.programs

    def certificates(self) -> tuple[int, ...]:
        """Return when the files of the certificates that browsers see were last written."""
        listens = [each.listen for each in self._running.portals.portals]
        files = [file for each in listens for file in (each.tls_certificate, each.tls_key)]
        return tuple(_written_at(file) for file in files if file)

    def accepted(self) -> bool:
        """Have everybody find the processes that were started; return whether they can."""
        if self._next is None:
            return False
        try:
            self._next.take_over()
        except OSError as exc:
            _log.error("nobody can be led to the new processes: %s", exc)
            with suppress(OSError):  # Most often nothing leads there yet.
                self._running.take_over()
            return False
        self._running, self._next = self._next, None
        for audit in self._without_portal():
            _record(audit, "gateway_stopped", exit_code=0)
        return True

    def refused(self) -> None:
        """Forget the processes that could not be started."""
        if self._next is not None:
            self._next.remove()
            self._next = None
            self._without_portal()
        fault = ConfigurationError(str(self._path), "(file)", "a process did not start with it")
        self._say_refused(fault)

    def _read(self) -> Portals:
        """Return the settings in the file, having tried what a start would try.

        :raises ConfigurationError: with every fault.
        """
        portals = Portals.load(self._path)
        common = portals.common
        faults = [
            ConfigurationError(str(self._path), key, "holds from start to stop; start again")
            for key in only_at_start(self._running.portals, portals)
        ]
        if common.edge.engine not in REPLACEABLE and portals != self._running.portals:
            reason = "this engine takes new settings only at a start"
            faults.append(ConfigurationError(str(self._path), "edge.engine", reason))
        if faults:
            first, *others = faults
            raise ConfigurationError(first.file, first.key, first.reason, others)
        for each in portals.portals:
            tls_context(each.listen)
        TrustStore.load(common.trust, common.environment, system_clock())
        return portals

    def _without_portal(self) -> Sequence[AuditLog]:
        """Take the audit logs away of portals that do not run, and return them."""
        gone = self._audits.keys() - set(self._running.portals.names)
        return [self._audits.pop(name) for name in gone]

    def _say_refused(self, fault: Exception) -> None:
        for line in str(fault).splitlines():
            _log.error("the configuration stays as it was: %s", line)
        for audit in self.audits:
            _record(audit, "configuration_refused", faults=str(fault).splitlines())


def _record(audit: AuditLog, event: str, **fields: FieldValue) -> None:
    """Write down what has happened already, or say that it could not be."""
    try:
        audit.record(event, **fields)
    except StoreUnavailableError as exc:
        _log.error("that could not be recorded: %s", exc)


def _written_at(file: Path) -> int:
    """Return the file's own time, 0 while it is being replaced."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def about(settings_path: Path) -> dict[str, str | int]:
    """Return what the audit log says of the settings that hold from now on."""
    return {
        "file": str(settings_path.absolute()),
        "sha256": hashlib.sha256(settings_path.read_bytes()).hexdigest(),
        "version": gateway_version(),
        "pid": os.getpid(),
    }
