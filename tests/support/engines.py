"""Both engines to test, each whole and between raw sockets."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast
from urllib.parse import urlsplit

from gateway.clock import Clock, system_clock
from gateway.edge.book import SessionBook
from gateway.edge.nginx.engine import NginxEngine
from gateway.edge.nginx.site import VERDICTS_FOLDER, Placed
from gateway.edge.peer import peer_named_by_front
from gateway.edge.portals import PortalRelays
from gateway.edge.relay import Signer, create_relay
from gateway.edge.verdict import Verdicts, VerdictServer
from gateway.edge.verdict_cache import VerdictCache
from gateway.session.limits import SessionLimits
from gateway.session.memory import MemorySessionStore
from gateway.session.model import SessionStore
from gateway.settings import Settings
from gateway.settings_edge import EdgeSettings
from tests.support.loop_thread import loop_thread
from tests.support.nginx import nginx_program
from tests.support.proxies import ProxyName, for_proxy, running_proxy
from tests.support.relay import (
    FakeSigner,
    RawServer,
    RunningRelay,
    fake_control_plane,
    relay_settings,
    running_relay,
)
from tests.support.serving import free_port

EngineName = Literal["embedded", "nginx"]
ENGINES: tuple[EngineName, ...] = ("embedded", "nginx")
FrontName = (
    EngineName | Literal["own nginx", "own haproxy", "own caddy", "own traefik", "own envoy"]
)
"""What may stand in front: an engine of ours, or the proxy of a site."""
OWN_PROXIES: tuple[FrontName, ...] = (
    "own nginx",
    "own haproxy",
    "own caddy",
    "own traefik",
    "own envoy",
)
START_SECONDS = 10


def for_nginx(settings: Settings, **edge: object) -> Settings:
    """Return *settings* with the nginx engine, on a port that is free."""
    listen = settings.listen.model_copy(update={"port": free_port()})
    chosen = EdgeSettings.model_validate({"engine": "nginx", **edge})
    return settings.model_copy(update={"listen": listen, "edge": chosen})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A portal to test, and what stands behind nginx for it."""

    settings: Settings
    folder: Path
    """Of its sockets; its path must be short."""
    control_socket: Path
    sessions: SessionStore

    @property
    def placed(self) -> Placed:
        """Where nginx finds it."""
        return Placed(
            settings=self.settings,
            verdict_socket=self.folder / "verdict.sock",
            control_socket=self.control_socket,
            verdicts=self.folder / "nginx" / VERDICTS_FOLDER,
        )


@contextmanager
def running_nginx(
    settings: Settings,
    folder: Path,
    control_socket: Path,
    sessions: SessionStore | None = None,
    *,
    clock: Clock = system_clock,
    signer: Signer | None = None,
    has_verdicts: bool = True,
) -> Iterator[RunningRelay]:
    """Run nginx, the verdict server and the relay behind it until the block ends.

    :param folder: of the sockets; its path must be short.
    :param has_verdicts: false where the test itself answers on ``verdict.sock``, or nobody.
    """
    store = sessions or MemorySessionStore(settings.session)
    portal = Tried(settings=settings, folder=folder, control_socket=control_socket, sessions=store)
    with running_nginx_of(
        (portal,), folder, clock=clock, signer=signer or FakeSigner(), has_verdicts=has_verdicts
    ) as (address, stop):
        yield RunningRelay(address, store, stop)


@contextmanager
def running_nginx_of(
    portals: Sequence[Tried],
    folder: Path,
    *,
    clock: Clock = system_clock,
    signer: Signer,
    has_verdicts: bool = True,
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Run nginx before *portals* until the block ends; give its address, and what stops it.

    :param folder: of what they share; its path must be short.
    """
    nginx_program()

    async def run(until_stopped: Callable[[str], Awaitable[None]]) -> None:
        relays = {
            each.settings.portal.origin: create_relay(
                settings=each.settings,
                clock=clock,
                sessions=each.sessions,
                signer=signer,
                control_socket=each.control_socket,
                peer_of=peer_named_by_front,
            )
            for each in portals
        }
        engine = NginxEngine(
            PortalRelays(relays, None) if len(relays) > 1 else next(iter(relays.values())),
            portals=[each.placed for each in portals],
            folder=folder / "nginx",
            relay_socket=folder / "relay.sock",
        )
        servers = [_verdict_server(each, clock, signer) for each in portals if has_verdicts]
        parts: tuple[VerdictServer | NginxEngine, ...] = (*servers, engine)
        for part in parts:
            await part.start()
        work = [asyncio.create_task(part.run()) for part in parts]
        await until_stopped(engine.address)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        for part in reversed(parts):
            await part.stop()

    with loop_thread(run) as running:
        yield running


def _verdict_server(portal: Tried, clock: Clock, signer: Signer) -> VerdictServer:
    placed, settings = portal.placed, portal.settings
    book = SessionBook(portal.sessions, clock, SessionLimits.of(settings.session))
    seconds, cache = settings.edge.verdict_cache_seconds, None
    if seconds:
        host = urlsplit(settings.portal.origin).netloc
        cache = VerdictCache(placed.verdicts, host=host, seconds=seconds)
    return VerdictServer(book, Verdicts(book, signer, clock, cache), placed.verdict_socket)


def portal_and_engine(
    engine: FrontName,
    folder: Path,
    portal: RawServer,
    *,
    edge: Mapping[str, object] = MappingProxyType({}),
    limits: Mapping[str, float] = MappingProxyType({}),
) -> AbstractContextManager[RunningRelay]:
    """Run *portal*, a fake control plane and an engine between them and the tests.

    :param edge: settings of the nginx engine.
    :param limits: of the table ``limits``, unchecked.
    """

    @contextmanager
    def running() -> Iterator[RunningRelay]:
        control = RawServer(fake_control_plane)
        with (
            portal.on_port() as upstream,
            control.on_socket(folder / "control.sock") as control_socket,
        ):
            settings = relay_settings(folder, upstream=upstream, **limits)
            with running_front(engine, settings, folder, control_socket, edge) as relay:
                yield relay

    return running()


def running_front(
    engine: FrontName,
    settings: Settings,
    folder: Path,
    control_socket: Path,
    edge: Mapping[str, object] = MappingProxyType({}),
) -> AbstractContextManager[RunningRelay]:
    """Run what stands in front, with what it asks, until the block ends.

    :param folder: of the sockets; its path must be short.
    :param edge: settings of nginx and of a site's proxy.
    """
    if engine == "embedded":
        return running_relay(settings, control_socket)
    if engine == "nginx":
        return running_nginx(for_nginx(settings, **edge), folder, control_socket)
    name = cast("ProxyName", engine.removeprefix("own "))
    return running_proxy(name, for_proxy(settings, **edge), folder, control_socket)
