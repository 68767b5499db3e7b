"""What a flood at the login pages costs those who are in: `python -m tests.bench.flood`."""

import asyncio
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path
from subprocess import PIPE, Popen
from time import perf_counter

import aiohttp

from tests.bench.relay import session_cookie
from tests.bench.servers import UPSTREAM
from tests.support.serving import free_port, served_gateway, write_settings

PEOPLE = 8
"""Connections of people who are in; each asks for a page every 20 ms."""
FLOODERS = 48
SECONDS = 6.0
_PAUSE = 0.02
_PATHS = (("GET", "/_cps/login"), ("POST", "/_cps/agent/claim"), ("POST", "/_cps/agent/token"))


def main() -> None:
    """Print what open sessions wait: alone, in a flood that is counted out, and in one let in."""
    for title, more in (
        ("limits as they are by default", ""),
        (
            "no limits that matter",
            "[rate]\n"
            + "".join(f"{k}_per_minute = 1000000\n" for k in ("login", "claim", "token")),
        ),
    ):
        port, upstream_port = free_port(), free_port()
        with (
            tempfile.TemporaryDirectory() as name,
            Popen(
                [sys.executable, "-c", UPSTREAM.format(port=upstream_port)], stdout=PIPE
            ) as upstream,
        ):
            try:
                assert upstream.stdout is not None
                upstream.stdout.readline()
                settings = write_settings(
                    Path(name), upstream=f"http://127.0.0.1:{upstream_port}", port=port, more=more
                )
                with served_gateway(settings, port):
                    print(title)
                    asyncio.run(_measure(f"http://localhost:{port}", session_cookie(settings)))
            finally:
                upstream.terminate()


async def _measure(origin: str, cookie: dict[str, str]) -> None:
    _report("open sessions alone", await _people(origin, cookie))
    # A process of its own, so that what people wait is not waited for in the load generator.
    flood = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.flood", origin, stdin=PIPE, stdout=PIPE
    )
    await asyncio.sleep(1)
    _report("in the flood", await _people(origin, cookie))
    told, _ = await flood.communicate(b"")
    print(f"  flood: {told.decode().strip()}")


async def _flood_until_told(origin: str) -> None:
    started = perf_counter()
    flood = [asyncio.create_task(_flood(origin, n)) for n in range(FLOODERS)]
    await asyncio.to_thread(sys.stdin.read)
    for task in flood:
        task.cancel()
    statuses = sum(await asyncio.gather(*flood), Counter[int]())
    rate = sum(statuses.values()) / (perf_counter() - started)
    print(f"{rate:.0f} requests/s, {dict(statuses)}")


async def _people(origin: str, cookie: dict[str, str]) -> list[float]:
    latencies: list[float] = []
    async with aiohttp.ClientSession(headers=cookie, cookie_jar=aiohttp.DummyCookieJar()) as client:
        started = perf_counter()

        async def ask() -> None:
            while perf_counter() - started < SECONDS:
                began = perf_counter()
                async with client.get(f"{origin}/") as answer:
                    await answer.read()
                    assert answer.status == 200, answer.status
                latencies.append(perf_counter() - began)
                await asyncio.sleep(_PAUSE)

        await asyncio.gather(*(ask() for _ in range(PEOPLE)))
    return latencies


async def _flood(origin: str, number: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    method, path = _PATHS[number % len(_PATHS)]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        try:
            while True:
                async with client.request(method, origin + path) as answer:
                    await answer.read()
                    statuses[answer.status] += 1
        except asyncio.CancelledError:
            return statuses


def _report(title: str, latencies: list[float]) -> None:
    hundredths = statistics.quantiles(latencies, n=100)
    print(
        f"  {title:22} {len(latencies) / SECONDS:5.0f} requests/s,"
        f" p50 {hundredths[49] * 1e3:.1f} ms, p99 {hundredths[98] * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_flood_until_told(sys.argv[1]))
    else:
        main()
