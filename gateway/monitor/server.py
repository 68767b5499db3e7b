"""The monitor's server: ``/healthz``, ``/readyz``, ``/metrics``, on a socket and perhaps a port."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.monitor.recheck import Recheck
from gateway.monitor.recording import Recording
from gateway.monitor.standing import Health, Standing

SOCKET_MODE = 0o600
KEEP_SECONDS = 1.0
"""How long what was found is told again, so that questions cost no more than one look a second."""
STOP_SECONDS = 1.0
MAX_LINE_BYTES = 4096
"""Longest line of a request."""

_log = logging.getLogger("gateway.monitor")


class MonitorServer:
    """Answers whoever watches the gateway; ends what must end meanwhile, and keeps the record."""

    def __init__(
        self,
        standing: Standing,
        recording: Recording,
        recheck: Recheck,
        *,
        registries: Callable[[], tuple[CollectorRegistry, ...]],
        socket: Path,
        port: tuple[str, int] | None,
    ) -> None:
        """Take what is told.

        :param registries: what metrics are read from, at each look.
        :param socket: a Unix socket for the gateway's own user.
        :param port: an address and a port besides, ``None`` for neither.
        """
        self._standing = standing
        self._recording = recording
        self._recheck = recheck
        self._registries = registries
        self._socket = socket
        self._port = port
        self._runner: web.ServerRunner | None = None
        # One thread looks: a store that is slow holds up those who ask, and nothing else.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="standing")
        self._looked_at = float("-inf")
        self._health: Health | None = None
        self._looking = asyncio.Lock()

    @property
    def address(self) -> str:
        if self._port is None:
            return str(self._socket)
        host, port = self._port
        return f"{self._socket} and {f'[{host}]' if ':' in host else host}:{port}"

    async def start(self) -> None:
        """Listen.

        :raises OSError: where the socket cannot be made, or the port is taken.
        """
        server = web.Server(
            self._answer,
            access_log=None,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        self._socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self._socket)).start()
        self._socket.chmod(SOCKET_MODE)
        if self._port is not None:
            await web.TCPSite(self._runner, *self._port).start()

    async def run(self) -> None:
        """End the sessions of revoked cards, and record ends, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recording.run())
            group.create_task(self._recheck.run())

    async def reload(self) -> None:
        """Do nothing: there are no certificates here."""

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return web.Response(
                status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"}
            )
        match request.path:
            case "/healthz":
                return web.json_response({"alive": True})
            case "/readyz":
                return await self._ready()
            case "/metrics":
                return await self._metrics()
            case _:
                return web.Response(status=HTTPStatus.NOT_FOUND)

    async def _ready(self) -> web.Response:
        loop = asyncio.get_running_loop()
        async with self._looking:
            if self._health is None or loop.time() - self._looked_at >= KEEP_SECONDS:
                self._health = await loop.run_in_executor(self._executor, self._standing.health)
                self._looked_at = loop.time()
        problems = list(self._health.problems)
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        return web.json_response({"ready": not problems, "problems": problems}, status=status)

    async def _metrics(self) -> web.Response:
        def read() -> bytes:
            return b"".join(generate_latest(each) for each in self._registries())

        async with self._looking:
            content = await asyncio.get_running_loop().run_in_executor(self._executor, read)
        return web.Response(body=content, headers={"Content-Type": CONTENT_TYPE_LATEST})
