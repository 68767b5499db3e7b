"""The control plane's process: Flask under granian, on a Unix socket that only the relay opens.

granian runs the application in workers, forked from the process that the supervisor started. They
inherit the lifeline, by which each leads all of them to their end, and the memory in which all
count requests together.
"""

import logging
import multiprocessing
import os
import sys
from functools import partial
from multiprocessing.util import Finalize

from flask import Flask
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from gateway.assertion import AssertionSigner
from gateway.audit import open_audit
from gateway.clock import Clock, system_clock
from gateway.errors import GatewayError
from gateway.guard.store import GuardStore
from gateway.login.rules import AccessRules
from gateway.login.verify import LoginVerifier
from gateway.metrics.model import Metrics
from gateway.notify.notifier import Notifier, ways_of
from gateway.rates import CountingMemory
from gateway.serve.lifeline import Lifeline
from gateway.serve.logs import GRANIAN_LOGGING, configure_logs
from gateway.serve.orders import read_order
from gateway.serve.places import Places
from gateway.settings import Settings
from gateway.stores import open_stores
from gateway.tracing import open_tracing
from gateway.trust.crl import RevocationLists
from gateway.trust.store import TrustStore
from gateway.web.app import create_app
from gateway.web.blocked import UnblockedVerifier
from gateway.web.parts import Verifier
from gateway.web.rate import COUNTED

MAX_PROCESSES = 4
"""Most workers where the settings name no number."""
CORES_OF_A_PROCESS = 2
"""Cores for each worker, since edge and store work too. On two cores a second worker only takes
time from the first: a fifth fewer logins for each second of a processor."""
THREADS = 1
"""Requests answered at a time by a worker. More would take Python's one lock from each other all
the time: eight took a third more of a processor for each login."""
STOP_SECONDS = 3
"""Time for requests under way when the gateway stops."""

_BACKLOG = 256
_log = logging.getLogger("gateway.serve")


def main() -> None:
    """Serve until SIGTERM. The argument is the number of the lifeline."""
    lifeline = Lifeline(int(sys.argv[1]))
    os.umask(0o077)
    (settings,) = read_order(lifeline.read_order())
    configure_logs(is_test=settings.environment == "test")
    # Only a forked worker inherits the lifeline.
    multiprocessing.set_start_method("fork")
    control_socket = Places.of(settings).control_socket
    # One that was killed leaves its socket, on which granian fails; the supervisor sees to it that
    # none is alive.
    control_socket.unlink(missing_ok=True)
    counting = CountingMemory(COUNTED)
    server = MPServer(
        "control plane",
        uds=control_socket,
        uds_permissions=0o600,
        interface=Interfaces.WSGI,
        workers=settings.login.processes or default_processes(),
        respawn_failed_workers=True,
        blocking_threads=THREADS,
        backlog=_BACKLOG,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig=dict(GRANIAN_LOGGING),
        workers_kill_timeout=STOP_SECONDS,
    )
    server.serve(target_loader=partial(_load, settings, lifeline, counting), wrap_loader=False)


def default_processes() -> int:
    """Return how many workers this machine has the cores for."""
    cores = len(os.sched_getaffinity(0))
    return min(max(1, cores // CORES_OF_A_PROCESS), MAX_PROCESSES)


def build_app(
    settings: Settings, *, clock: Clock = system_clock, counting: CountingMemory | None = None
) -> Flask:
    """Return the control plane on the stores, authorities and keys that *settings* name.

    :param clock: the one source of time; another than the system's is for tests.
    :param counting: where requests are counted, if the stores do not do that; default: in this
        process alone.
    :raises GatewayError: where one of them cannot be used.
    """
    places, now = Places.of(settings), clock()
    stores, metrics = open_stores(settings), Metrics()
    store = TrustStore.load(settings.trust, settings.environment, now)
    notifier = Notifier(ways_of(settings.notify, settings.portal), metrics.notice)
    notifier.start()
    guard = stores.open_guard() if settings.guard.routes else None
    tracing = open_tracing(settings.tracing.endpoint, "control plane")
    if tracing is not None:
        # granian's workers have no other hook for their end.
        Finalize(None, tracing.close, exitpriority=0)
    return create_app(
        settings=settings,
        clock=clock,
        challenges=stores.challenges,
        sessions=stores.sessions,
        verifier=_unblocked(
            LoginVerifier(
                store,
                RevocationLists.of(settings, store, now),
                AccessRules.of(settings.login),
                settings.portal.origin,
            ),
            guard,
        ),
        audit=open_audit(settings, clock, on_record=metrics.decision),
        make_counters=stores.make_counters or (counting or CountingMemory(COUNTED)).counters,
        counts=metrics,
        tracing=tracing,
        tell_login=notifier.tell,
        guard=guard,
        signer=AssertionSigner.load_or_create(
            places.assertion_key, settings.portal.origin, settings.portal.audience
        ),
    )


def _unblocked(verifier: Verifier, guard: GuardStore | None) -> Verifier:
    """Return what decides, where there is a guard, on those whom it does not keep out."""
    return verifier if guard is None else UnblockedVerifier(verifier, guard)


def _load(settings: Settings, lifeline: Lifeline, counting: CountingMemory) -> Flask:
    """Make the application, in the worker; its socket listens already."""
    lifeline.follow()
    try:
        app = build_app(settings, counting=counting)
    except GatewayError as exc:
        _log.error("control plane: %s", exc)
        sys.exit(1)
    lifeline.say_ready()
    return app


if __name__ == "__main__":
    main()
