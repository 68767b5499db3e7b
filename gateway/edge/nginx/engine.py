"""The nginx engine: nginx in front, the relay in this process for what lives long, both watched."""

import asyncio
import os
import re
import resource
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from gateway.edge.embedded import RETIRE_SECONDS, RelayBehindNginx
from gateway.edge.engine import Answers
from gateway.edge.headers import CLIENT_HEADER
from gateway.edge.nginx.config import write_configuration as write
from gateway.edge.nginx.process import NginxProcess
from gateway.edge.nginx.program import find_program
from gateway.edge.nginx.rehearsal import rehearse
from gateway.edge.nginx.site import Behind, Placed, Site, open_verdicts
from gateway.edge.system_authorities import system_authorities
from gateway.edge.tls import tls_context
from gateway.errors import ConfigurationError
from gateway.settings import Settings

MAX_CONNECTIONS = 16_384
"""Connections of one worker of nginx, of all kinds; a request under way takes up to three."""
STOP_SECONDS = 3
"""Time for answers under way when the gateway stops."""
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
"""File systems that are never on a disk."""

_FEWEST_CONNECTIONS = 256
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._@+-]+")


class NginxEngine:
    """An :class:`gateway.edge.engine.Engine` for many requests."""

    def __init__(
        self,
        relay: Answers,
        *,
        portals: Sequence[Placed],
        folder: Path,
        relay_socket: Path,
        listening: socket.socket | None = None,
    ) -> None:
        """Take what answers for all portals, on the running event loop.

        :param portals: at least one; what settings they share is the first one's.
        :param folder: nginx's own, made anew.
        :param relay_socket: where the relay is to be asked by nginx.
        :param listening: a socket on which nginx is to wait; default: one of its own.
        :raises ConfigurationError: for settings that nginx cannot follow, or no nginx fit for use.
        """
        common = portals[0].settings
        self._program = find_program(common.edge.nginx_program)
        self._site = site_of(portals, folder=folder, relay_socket=relay_socket)
        self._relay = RelayBehindNginx(relay, socket=relay_socket, limits=common.limits)
        self._listening = listening
        self._retires = False
        self._nginx = NginxProcess(self._program, folder, listening=listening)

    @property
    def address(self) -> str:
        return self._site.listen[0]

    async def start(self) -> None:
        shutil.rmtree(self._site.folder, ignore_errors=True)
        self._site.folder.mkdir(mode=0o700)
        for behind in self._site.portals:
            behind.verdicts.parent.mkdir(mode=0o700, exist_ok=True)
        configuration = write(self._site)
        await rehearse(self._program, self._site)
        if self._listening is None:
            _require_free(self._site.common)
        await self._relay.start()
        await self._nginx.start(configuration)

    async def run(self) -> None:
        work = asyncio.create_task(self._relay.run())
        end = asyncio.create_task(self._nginx.ended())
        try:
            await asyncio.wait((work, end), return_when=asyncio.FIRST_COMPLETED)
            if end.done() and not self._retires:
                raise ConnectionError(f"nginx ended with {end.result()}")
            # Also without nginx: what the relay still answers must end with its session.
            await work
        finally:
            for task in (work, end):
                task.cancel()
            await asyncio.gather(work, end, return_exceptions=True)

    async def reload(self) -> None:
        for behind in self._site.portals:
            tls_context(behind.settings.listen)
        await self._nginx.reload()

    async def retire(self) -> None:
        """Take no new connection, and wait until those there are have ended, for some time."""
        self._retires = True
        await asyncio.gather(self._nginx.stop(seconds=RETIRE_SECONDS), self._relay.retire())

    async def stop(self) -> None:
        await asyncio.gather(self._nginx.stop(seconds=STOP_SECONDS), self._relay.stop())


async def try_out(program: Path, site: Site, folder: Path) -> None:
    """Find out whether nginx could do what *site* says, and would do it safely; nothing stays.

    :param folder: an empty one to try it in.
    :raises ConfigurationError: with what nginx says, or what got through.
    """
    tried = site.in_folder(folder)
    process = NginxProcess(program, folder)
    process.write(write(tried))
    await process.check()
    await rehearse(program, tried)


def site_of(portals: Sequence[Placed], *, folder: Path, relay_socket: Path) -> Site:
    """Return what nginx is to do for these portals.

    :param portals: at least one; what settings they share is the first one's.
    :raises ConfigurationError: for settings that nginx cannot follow.
    """
    common = portals[0].settings
    listen = common.listen
    _require_plain("runtime_dir", folder)
    if common.edge.verdict_cache_seconds and not is_in_memory(folder.parent):
        reason = (
            f"needs runtime_dir in memory, and {folder.parent} is on a disk: names of sessions are"
            " in the cache; a folder below /run is right"
        )
        raise ConfigurationError("settings", "edge.verdict_cache_seconds", reason)
    host = f"[{listen.address}]" if ":" in listen.address else listen.address
    return Site(
        folder=folder,
        listen=(f"{host}:{listen.port}",),
        portals=tuple(map(_behind, portals)),
        refuses_handshakes=True,
        client_field=CLIENT_HEADER,
        relay_socket=relay_socket,
        connections=_connections(beside=open_verdicts(portals)),
        # Its workers would be somebody's who cannot enter the folder; root's they are only where
        # the whole gateway is run by root.
        user="root" if os.geteuid() == 0 else None,
        refusal_log="/dev/stdout",
        proxies=listen.trusted_proxies if listen.proxy_protocol else (),
    )


def _behind(placed: Placed) -> Behind:
    """Return what nginx is to do for one portal.

    :raises ConfigurationError: for settings that nginx cannot follow.
    """
    settings, listen = placed.settings, placed.settings.listen
    for key, path in (
        ("listen.tls_certificate", listen.tls_certificate),
        ("listen.tls_key", listen.tls_key),
    ):
        _require_plain(key, path)
    tls_context(listen)
    upstream = urlsplit(settings.portal.upstream)
    is_https = upstream.scheme == "https"
    return Behind(
        settings=settings,
        tls=(
            None
            if listen.tls_certificate is None or listen.tls_key is None
            else (listen.tls_certificate, listen.tls_key)
        ),
        portal=f"{_host_of(upstream.hostname or '')}:{upstream.port or (443 if is_https else 80)}",
        portal_tls=upstream.hostname if is_https else None,
        authorities=system_authorities() if is_https else None,
        verdict_socket=placed.verdict_socket,
        control_socket=placed.control_socket,
        verdicts=placed.verdicts,
    )


def _require_plain(key: str, path: Path | None) -> None:
    """Refuse a path that a configuration could read as something else.

    :raises ConfigurationError: naming *key*.
    """
    if path is not None and not _PLAIN_PATH.fullmatch(str(path)):
        reason = f"{path}: nginx wants a path of letters, digits and /._@+-"
        raise ConfigurationError("settings", key, reason)


def is_in_memory(folder: Path) -> bool:
    """Return whether what is written in *folder* stays in memory. Source: proc(5), mountinfo."""
    while not folder.exists():
        folder = folder.parent
    device = folder.stat().st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        mount, _, kind = line.partition(" - ")
        if mount.split()[2] == name:
            return kind.split()[0] in IN_MEMORY
    return False


def _host_of(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _connections(*, beside: int) -> int:
    """Return how many connections a worker may have, with two files for each.

    :param beside: files that it has open besides.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(_FEWEST_CONNECTIONS, min(MAX_CONNECTIONS, (hard - beside) // 2))


def _require_free(settings: Settings) -> None:
    """Refuse an address at once that is taken; nginx would try for seconds, and say less.

    :raises OSError: naming the address.
    """
    address, port = settings.listen.address, settings.listen.port
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
