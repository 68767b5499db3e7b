"""The monitor's process: health, metrics, and the record of ended sessions."""

import sys
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from gateway.audit import open_audit
from gateway.clock import system_clock
from gateway.metrics.folder import all_processes
from gateway.metrics.model import Metrics
from gateway.monitor.recheck import Recheck
from gateway.monitor.recording import Recording
from gateway.monitor.server import MonitorServer
from gateway.monitor.standing import Standing, StandingCollector
from gateway.serve.places import Places
from gateway.serve.process import STORE_SECONDS, Service, run_process
from gateway.settings import Settings
from gateway.stores import open_stores
from gateway.trust.crl import RevocationLists
from gateway.trust.store import TrustStore
from gateway.version import gateway_version

DESCRIPTORS = 1024
"""Open files wanted: those who ask, and files of numbers."""


def main() -> int:
    """Serve until SIGTERM, and return the exit code."""
    return run_process("monitor", _build, descriptors=DESCRIPTORS)


def _build(portals: Sequence[Settings]) -> Service:
    (settings,) = portals
    places, metrics, now = Places.of(settings), Metrics(), system_clock()
    stores = open_stores(settings, wait_seconds=STORE_SECONDS)
    sessions = stores.sessions
    trust = TrustStore.load(settings.trust, settings.environment, now)
    revocation = RevocationLists.of(settings, trust, now)
    standing = Standing(
        sessions=sessions,
        revocation=revocation,
        sockets=(places.control_socket,),
        clock=system_clock,
        guard=stores.open_guard() if settings.guard.routes else None,
    )
    audit = open_audit(settings, system_clock, on_record=metrics.decision)
    own = CollectorRegistry()
    own.register(
        StandingCollector(standing, version=gateway_version(), environment=settings.environment)
    )
    port = settings.monitor.port
    return MonitorServer(
        standing,
        Recording(sessions, audit, standing, system_clock),
        Recheck(sessions, revocation, system_clock),
        registries=lambda: (all_processes(places.metrics), own),
        socket=places.monitor_socket,
        port=None if port is None else (settings.monitor.address, port),
    )


if __name__ == "__main__":
    sys.exit(main())
