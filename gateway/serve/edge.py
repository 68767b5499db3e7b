"""The edge's process: the engine that the settings name."""

import ipaddress
import sys
from collections.abc import Mapping, Sequence

from gateway.assertion import AssertionSigner
from gateway.audit import open_audit
from gateway.clock import system_clock
from gateway.edge.embedded import (
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_OF_NGINX,
    EmbeddedEngine,
    RelayBehindProxy,
)
from gateway.edge.engine import Answers, Engine
from gateway.edge.forward_auth import ForwardAuthRelay
from gateway.edge.nginx.engine import NginxEngine
from gateway.edge.peer import PeerOf, peer_named_by_front, peer_of_connection
from gateway.edge.portals import PortalRelays
from gateway.edge.proxies import peer_behind
from gateway.edge.relay import Relay, create_relay
from gateway.edge.tls import PortalCertificates
from gateway.metrics.model import Metrics
from gateway.serve.listening import inherited_socket
from gateway.serve.places import Places, for_nginx
from gateway.serve.process import STORE_SECONDS, run_process
from gateway.serve.watch import open_watch
from gateway.settings import Settings
from gateway.stores import open_stores
from gateway.tracing import Tracing, open_tracing

_SPARE_DESCRIPTORS = 256


def main() -> int:
    """Serve until SIGTERM, and return the exit code."""
    # Each takes two: the connection that came, and the one to the portal.
    connections = max(MAX_CONNECTIONS, MAX_CONNECTIONS_OF_NGINX)
    return run_process("edge", _build, descriptors=2 * connections + _SPARE_DESCRIPTORS)


def _build(portals: Sequence[Settings]) -> Engine:
    # What all portals share, as one alone has it, stands in the folder of the first.
    common, metrics = portals[0], Metrics()
    places, engine = Places.of(common), common.edge.engine
    tracing = open_tracing(common.tracing.endpoint, "edge")
    relays = {each.portal.origin: _relay(each, metrics, tracing) for each in portals}
    if engine == "external":
        return RelayBehindProxy(
            _answers(relays),
            socket=places.relay_socket,
            group=common.edge.proxy_group,
            listen=common.listen,
            limits=common.limits,
        )
    if engine == "nginx":
        return NginxEngine(
            _answers(relays),
            portals=tuple(map(for_nginx, portals)),
            folder=places.nginx,
            relay_socket=places.relay_socket,
            listening=inherited_socket(),
        )
    return _embedded(portals, relays)


def _peer_of(settings: Settings) -> PeerOf:
    """Return what tells whose request it is."""
    if settings.edge.engine != "embedded":
        return peer_named_by_front
    listen = settings.listen
    if listen.proxy_protocol or not listen.trusted_proxies:
        # With the protocol a proxy names the browser before it asks, and no field counts.
        return peer_of_connection
    networks = [ipaddress.ip_network(each) for each in listen.trusted_proxies]
    return peer_behind(networks, listen.proxy_field)


def _answers(
    relays: Mapping[str, Relay], certificates: PortalCertificates | None = None
) -> Answers:
    """Return what answers for all portals.

    :param certificates: what browsers see of several, where they see it of this process.
    """
    if len(relays) > 1:
        return PortalRelays(relays, certificates)
    (relay,) = relays.values()
    return relay


def _embedded(portals: Sequence[Settings], relays: Mapping[str, Relay]) -> Engine:
    """Return what takes the requests for all *portals*, which share address and limits."""
    common, certificates = portals[0], None
    if len(portals) > 1 and common.listen.tls_certificate is not None:
        certificates = PortalCertificates({each.portal.origin: each.listen for each in portals})
    return EmbeddedEngine(
        _answers(relays, certificates),
        listen=common.listen,
        limits=common.limits,
        listening=inherited_socket(),
        certificates=certificates,
    )


def _relay(settings: Settings, metrics: Metrics, tracing: Tracing | None) -> Relay:
    places, engine = Places.of(settings), settings.edge.engine
    stores = open_stores(settings, wait_seconds=STORE_SECONDS)
    return create_relay(
        settings=settings,
        clock=system_clock,
        sessions=stores.sessions,
        watch=open_watch(
            settings,
            sessions=stores.sessions,
            open_guard=stores.open_guard,
            audit=open_audit(settings, system_clock, on_record=metrics.decision),
            clock=system_clock,
            counts=metrics,
        ),
        signer=AssertionSigner.load_or_create(
            places.assertion_key, settings.portal.origin, settings.portal.audience
        ),
        control_socket=places.control_socket,
        peer_of=_peer_of(settings),
        kind=ForwardAuthRelay if engine == "external" else None,
        counts=metrics,
        tracing=tracing,
    )


if __name__ == "__main__":
    sys.exit(main())
