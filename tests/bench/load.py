"""Load on one address: wrk where it is installed, else a loop of Python that says so."""

import asyncio
import re
import shutil
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import aiohttp

CONNECTIONS = 48
WRK = shutil.which("wrk")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came back in one round."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def load(
    url: str, headers: Mapping[str, str], *, seconds: float, connections: int = CONNECTIONS
) -> Load:
    """Ask for *url* as fast as it goes; every answer must be good."""
    if WRK is None:
        return asyncio.run(_python_load(url, headers, seconds, connections))
    lines = [f"-H{name}: {value}" for name, value in headers.items()]
    said = subprocess.run(
        [WRK, "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", *lines, url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Non-2xx" not in said, said
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    assert found is not None, said
    return Load(
        requests=int(found[1]),
        seconds=float(found[2]),
        p50=_percentile("50", said),
        p99=_percentile("99", said),
    )


def _percentile(name: str, said: str) -> float:
    found = re.search(rf"(?m)^\s+{name}%\s+([\d.]+)(us|ms|s)$", said)
    assert found is not None, said
    return float(found[1]) * _UNITS[found[2]]


async def _python_load(
    url: str, headers: Mapping[str, str], seconds: float, connections: int
) -> Load:
    latencies: list[float] = []
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as client:
        started = perf_counter()

        async def ask() -> None:
            while perf_counter() - started < seconds:
                began = perf_counter()
                async with client.get(url, allow_redirects=False) as answer:
                    await answer.read()
                    assert answer.status == 200, answer.status
                latencies.append(perf_counter() - began)

        await asyncio.gather(*(ask() for _ in range(connections)))
        spent = perf_counter() - started
    hundredths = statistics.quantiles(latencies, n=100)
    return Load(requests=len(latencies), seconds=spent, p50=hundredths[49], p99=hundredths[98])
