"""The edge's process: the embedded engine on uvloop."""

import asyncio
import json
import logging
import os
import resource
import signal
import sys

import uvloop

from gateway.assertion import AssertionSigner
from gateway.clock import system_clock
from gateway.edge.embedded import MAX_CONNECTIONS, EmbeddedEngine
from gateway.edge.engine import Engine
from gateway.edge.relay import create_relay
from gateway.errors import ConfigurationError, GatewayError
from gateway.serve.lifeline import Lifeline
from gateway.serve.logs import configure_logs
from gateway.serve.places import Places
from gateway.settings import Settings
from gateway.stores import open_stores

STORE_SECONDS = 1
"""Longest wait for the store. Requests wait in the event loop, so one that must wait
longer is refused rather than hold up all the others."""

_SPARE_DESCRIPTORS = 256
_EXIT_FAILED = 1
_EXIT_CONFIGURATION = 2
_log = logging.getLogger("gateway.serve")


def main() -> int:
    """Serve until SIGTERM, and return the exit code. The argument is the number of the lifeline."""
    lifeline = Lifeline(int(sys.argv[1]))
    os.umask(0o077)
    configure_logs()
    settings = Settings.model_validate(json.loads(lifeline.read_order()))
    lifeline.follow()
    _allow_descriptors(2 * MAX_CONNECTIONS + _SPARE_DESCRIPTORS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(settings, lifeline))
    except ConfigurationError as exc:
        _log.error("edge: %s", exc)
        return _EXIT_CONFIGURATION
    except (GatewayError, OSError) as exc:
        _log.error("edge: %s", exc)
        return _EXIT_FAILED


async def _run(settings: Settings, lifeline: Lifeline) -> int:
    engine = _build_engine(settings)
    await engine.start()
    _log.info("edge listens on %s", engine.address)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    work = asyncio.create_task(engine.run())
    lifeline.say_ready()
    await asyncio.wait((stopping, work), return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        # Without it nothing would cut the streams of sessions that end: better no gateway.
        _log.error("edge: its work ended: %r", work.exception())
    await engine.stop()
    work.cancel()
    stopping.cancel()
    await asyncio.gather(work, stopping, return_exceptions=True)
    return 0 if stop.is_set() else _EXIT_FAILED


def _build_engine(settings: Settings) -> Engine:
    places = Places.of(settings)
    relay = create_relay(
        settings=settings,
        clock=system_clock,
        sessions=open_stores(settings, wait_seconds=STORE_SECONDS).sessions,
        signer=AssertionSigner.load_or_create(
            places.assertion_key, settings.portal.origin, settings.portal.audience
        ),
        control_socket=places.control_socket,
    )
    return EmbeddedEngine(relay, listen=settings.listen, limits=settings.limits)


def _allow_descriptors(wanted: int) -> None:
    """Raise this process's limit of open files as far as it may: each browser takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


if __name__ == "__main__":
    sys.exit(main())
