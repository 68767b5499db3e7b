"""The process that tells nginx who may pass to one portal."""

import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from gateway.assertion import AssertionSigner
from gateway.clock import system_clock
from gateway.edge.book import SessionBook
from gateway.edge.verdict import Verdicts, VerdictServer
from gateway.edge.verdict_cache import VerdictCache
from gateway.metrics.model import Metrics
from gateway.serve.places import Places
from gateway.serve.process import STORE_SECONDS, Service, run_process
from gateway.session.limits import SessionLimits
from gateway.settings import Settings
from gateway.stores import open_stores

DESCRIPTORS = 4096
"""Open files wanted: each worker of nginx keeps up to 64 connections."""


def main() -> int:
    """Serve until SIGTERM, and return the exit code."""
    return run_process("verdict", _build, descriptors=DESCRIPTORS)


def _build(portals: Sequence[Settings]) -> Service:
    (settings,) = portals
    places, seconds = Places.of(settings), settings.edge.verdict_cache_seconds
    book = SessionBook(
        open_stores(settings, wait_seconds=STORE_SECONDS).sessions,
        system_clock,
        SessionLimits.of(settings.session),
    )
    signer = AssertionSigner.load_or_create(
        places.assertion_key, settings.portal.origin, settings.portal.audience
    )
    cache = None
    if seconds:
        host = urlsplit(settings.portal.origin).netloc
        cache = VerdictCache(places.verdicts, host=host, seconds=seconds)
    return VerdictServer(
        book,
        Verdicts(book, signer, system_clock, cache, Metrics()),
        places.verdict_socket,
        settings.edge.proxy_group,
    )


if __name__ == "__main__":
    sys.exit(main())
