"""What the gateway costs a request: the same upstream asked directly and through `serve`."""

import asyncio
import statistics
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from time import perf_counter

import aiohttp

from cps.authtoken.encoding import b64url_encode
from gateway.clock import system_clock
from gateway.database import Database
from gateway.serve.places import Places
from gateway.session.cookie import SESSION_COOKIE
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import Settings
from tests.support.logins import DOCTOR, agent_key
from tests.support.serving import free_port, resident_megabytes, served_gateway, write_settings

CONNECTIONS = 16
SECONDS = 3.0
UPSTREAM = """
from aiohttp import web
async def answer(request): return web.Response(body=b"x" * 1024)
app = web.Application(); app.router.add_get("/", answer)
web.run_app(app, host="127.0.0.1", port={port}, print=lambda *_: print("ready", flush=True))
"""


def main() -> None:
    """Print requests per second and latency, and the memory of each process."""
    port, upstream_port = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory() as name,
        Popen([sys.executable, "-c", UPSTREAM.format(port=upstream_port)], stdout=PIPE) as upstream,
    ):
        try:
            assert upstream.stdout is not None
            upstream.stdout.readline()
            direct = f"http://127.0.0.1:{upstream_port}"
            settings = write_settings(Path(name), upstream=direct, port=port)
            with served_gateway(settings, port) as gateway:
                cookie = _session_cookie(settings)
                print(f"Relay: 1 kB answers, {CONNECTIONS} connections, one load generator")
                base, _ = asyncio.run(_load(f"{direct}/", {}))
                rate, latency = asyncio.run(_load(f"http://localhost:{port}/", cookie))
                print(f"  upstream alone   {base:7.0f} requests/s   baseline")
                print(f"  through gateway  {rate:7.0f} requests/s   ratio {rate / base:.2f}")
                print(f"  p50 {latency[49] * 1e3:.1f} ms, p99 {latency[98] * 1e3:.1f} ms")
                print("Memory, resident")
                print(f"  supervisor     {resident_megabytes(gateway.process.pid):5.0f} MB")
                for child in ("control plane", "edge"):
                    print(f"  {child:13}  {resident_megabytes(gateway.child(child)):5.0f} MB")
        finally:
            upstream.terminate()


def _session_cookie(settings_file: Path) -> dict[str, str]:
    settings = Settings.load(settings_file)
    database = Database(Places.of(settings).database)
    store = SQLiteSessionStore(database, settings.session)
    now = system_clock() - timedelta(seconds=1)
    value = store.create(DOCTOR, agent_key(), now=now)
    database.close()
    return {"Cookie": f"{SESSION_COOKIE}={b64url_encode(value)}"}


async def _load(url: str, headers: dict[str, str]) -> tuple[float, list[float]]:
    """Return requests per second and the hundredths of the latency, seconds."""
    latencies: list[float] = []
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
    ) as client:
        started = perf_counter()

        async def ask() -> None:
            while perf_counter() - started < SECONDS:
                began = perf_counter()
                async with client.get(url, allow_redirects=False) as answer:
                    await answer.read()
                    assert answer.status == 200, answer.status
                latencies.append(perf_counter() - began)

        await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
        seconds = perf_counter() - started
    return len(latencies) / seconds, statistics.quantiles(latencies, n=100)


if __name__ == "__main__":
    main()
