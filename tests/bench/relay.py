"""What the gateway costs a request: each engine beside plain nginx on the same portal."""

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from cps.authtoken.encoding import b64url_encode
from gateway.clock import system_clock
from gateway.session.cookie import SESSION_COOKIE
from gateway.settings import Settings
from gateway.stores import open_stores
from tests.bench.load import CONNECTIONS, WRK, Load, load
from tests.bench.servers import (
    NGINX,
    Server,
    cpu_seconds,
    memory_megabytes,
    plain_proxy,
    portal,
    process_megabytes,
)
from tests.support.logins import DOCTOR, agent_key
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

# Short and many: other programs on the machine then disturb some rounds and not the median.
ROUNDS = 9
LARGE_ROUNDS = 5
SECONDS = 1
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
LARGE_CONNECTIONS = 16
LARGE_TARGET = 0.70
PEERS = {
    "mod_auth_openidc": Path("/usr/lib/apache2/modules/mod_auth_openidc.so"),
    "LemonLDAP::NG": Path("/usr/share/lemonldap-ng"),
}
"""Others that do this job, and where Debian puts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One way of running the gateway."""

    name: str
    settings: str
    target: float | None
    """Share of plain nginx that is wanted, 1 kB answers."""


PLANES = (
    Plane(name="nginx, each verdict asked", settings='[edge]\nengine = "nginx"', target=0.50),
    Plane(
        name="nginx, verdict kept 2 s",
        settings='[edge]\nengine = "nginx"\nverdict_cache_seconds = 2',
        target=0.80,
    ),
    Plane(name="embedded, 2 processes", settings="[edge]\nworkers = 2", target=0.12),
    Plane(name="embedded, 1 process", settings="", target=None),
)


def main() -> None:
    """Print requests per second, latency, processor time and memory of each."""
    with ExitStack() as stack:
        place = IN_MEMORY if IN_MEMORY.is_dir() else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place)))
        behind = stack.enter_context(portal(folder / "portal"))
        base = behind
        if NGINX is not None:
            base = stack.enter_context(plain_proxy(folder / "plain", behind.address))
        _say_what_is_measured()
        for number, plane in enumerate(PLANES):
            if NGINX is None and "nginx" in plane.settings:
                print(f"  {plane.name:26} skipped: no nginx on this machine")
                continue
            with _gateway(folder / str(number), behind.address, plane) as (gateway, url, cookie):
                _measure(plane, gateway, base, url, cookie)
        for name, file in PEERS.items():
            print(f"  {name:26} {'not measured here' if file.exists() else 'not installed'}")


def _say_what_is_measured() -> None:
    tool = "wrk" if WRK else "a Python loop (wrk is not installed), which itself is the limit"
    base = "plain nginx before the same portal" if NGINX else "the portal itself: no nginx here"
    print(f"Gateway: {CONNECTIONS} connections, load by {tool}; baseline: {base}")
    print(f"  medians of {ROUNDS} rounds of {SECONDS} s, each between two of the baseline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The gateway under load, beside the baseline."""

    ratio: float
    load: Load
    cost: float
    """Seconds of processors for a request."""
    base_cost: float


def _rounds(
    groups: list[int], base: Server, url: str, cookie: dict[str, str], target: str, **size: int
) -> Iterator[Round]:
    before = load(f"http://{base.address}{target}", {}, seconds=SECONDS, **size)
    while True:
        used = sum(map(cpu_seconds, groups))
        ours = load(f"{url}{target}", cookie, seconds=SECONDS, **size)
        cost = (sum(map(cpu_seconds, groups)) - used) / ours.requests
        used = cpu_seconds(base.group)
        after = load(f"http://{base.address}{target}", {}, seconds=SECONDS, **size)
        yield Round(
            ratio=2 * ours.rate / (before.rate + after.rate),
            load=ours,
            cost=cost,
            base_cost=(cpu_seconds(base.group) - used) / after.requests,
        )
        before = after


def _measure(
    plane: Plane, gateway: ServedGateway, base: Server, url: str, cookie: dict[str, str]
) -> None:
    groups = [gateway.child(name) for name in gateway.children]
    idle = _memory(gateway)
    for name, target, rounds, wanted, size in (
        ("1 kB", "/1k", ROUNDS, plane.target, {}),
        ("1 MB", "/1m", LARGE_ROUNDS, LARGE_TARGET, {"connections": LARGE_CONNECTIONS}),
    ):
        found = sorted(
            islice(_rounds(groups, base, url, cookie, target, **size), rounds),
            key=lambda each: each.ratio,
        )
        middle = found[len(found) // 2]
        cost = statistics.median(each.cost for each in found) * 1e6
        base_cost = statistics.median(each.base_cost for each in found) * 1e6
        print(
            f"  {plane.name if name == '1 kB' else '':26} {name}"
            f"  {middle.load.rate:6.0f} requests/s  ratio {middle.ratio:.2f}"
            f"{f' (wanted {wanted:.2f})' if wanted else '':14}"
            f"  p50 {middle.load.p50 * 1e3:5.1f} ms  p99 {middle.load.p99 * 1e3:5.1f} ms"
            f"  CPU {cost:4.0f} µs/request (plain {base_cost:.0f})"
        )
    print(f"  {'':26} memory idle {_told(idle)}")
    print(f"  {'':26} memory after the load {_told(_memory(gateway))}")


def _memory(gateway: ServedGateway) -> dict[str, float]:
    """Return the megabytes of each process, with its own children."""
    held = {name: memory_megabytes(gateway.child(name)) for name in gateway.children}
    return {"supervisor": process_megabytes(gateway.process.pid), **held}


def _told(held: dict[str, float]) -> str:
    parts = ", ".join(f"{name} {size:.0f}" for name, size in held.items())
    return f"{sum(held.values()):.0f} MB ({parts})"


@contextmanager
def _gateway(
    folder: Path, address: str, plane: Plane
) -> Iterator[tuple[ServedGateway, str, dict[str, str]]]:
    folder.mkdir()
    port = free_port()
    file = write_settings(folder, upstream=f"http://{address}", port=port, more=plane.settings)
    with served_gateway(file, port) as gateway:
        yield gateway, f"http://localhost:{port}", session_cookie(file)
    shutil.rmtree(folder)


def session_cookie(settings_file: Path) -> dict[str, str]:
    """Open a session in the gateway's own store and return the header that carries it."""
    stores = open_stores(Settings.load(settings_file))
    now = system_clock() - timedelta(seconds=1)
    value = stores.sessions.create(DOCTOR, agent_key(), now=now)
    stores.close()
    return {"Cookie": f"{SESSION_COOKIE}={b64url_encode(value)}"}


if __name__ == "__main__":
    main()
