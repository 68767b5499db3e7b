import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from prometheus_client import CollectorRegistry, Gauge

from gateway.monitor.recheck import Recheck
from gateway.monitor.recording import Recording
from gateway.monitor.server import MonitorServer
from gateway.monitor.standing import Health, Standing
from gateway.session.memory import MemorySessionStore
from gateway.settings import SessionSettings
from gateway.trust.crl import RevocationLists
from tests.support.gateway_fakes import FakeClock, RecordingAudit
from tests.support.serving import free_port
from tests.support.trust import trust_store


@dataclass
class Found(Standing):
    """A standing that a test chooses."""

    problems: tuple[str, ...] = ()
    looks: list[None] = field(default_factory=list)
    record_problem: str | None = None

    def health(self) -> Health:
        self.looks.append(None)
        return Health(problems=self.problems, counts=None, store_seconds=0.0)


Ask = Callable[[str, str], Awaitable[tuple[int, bytes]]]


def run(
    tmp_path: Path,
    talk: Callable[[Ask], Awaitable[None]],
    *,
    found: Found | None = None,
    port: tuple[str, int] | None = None,
    by_port: bool = False,
) -> None:
    clock, store = FakeClock(), MemorySessionStore(SessionSettings())
    registry = CollectorRegistry()
    Gauge("cps_test", "A number.", registry=registry).set(3)
    standing = found or Found()
    path = tmp_path / "monitor.sock"

    async def main() -> None:
        server = MonitorServer(
            standing,
            Recording(store, RecordingAudit(), standing, clock),
            Recheck(store, RevocationLists((), trust_store(), grace_until=None), clock),
            registries=lambda: (registry,),
            socket=path,
            port=port,
        )
        await server.start()
        try:
            assert path.stat().st_mode & 0o777 == 0o600
            connector = aiohttp.TCPConnector() if by_port else aiohttp.UnixConnector(str(path))
            base = f"http://{port[0]}:{port[1]}" if by_port and port else "http://monitor"
            async with aiohttp.ClientSession(connector=connector) as session:

                async def ask(path: str, method: str = "GET") -> tuple[int, bytes]:
                    async with session.request(method, base + path) as answer:
                        return answer.status, await answer.read()

                await talk(ask)
        finally:
            await server.stop()

    asyncio.run(main())


def test_ready_is_200_and_not_ready_503_with_the_reasons(tmp_path: Path) -> None:
    found = Found()

    async def talk(ask: Ask) -> None:
        status, body = await ask("/readyz", "GET")
        assert (status, json.loads(body)) == (200, {"ready": True, "problems": []})

    run(tmp_path, talk, found=found)
    found.problems = ("no revocation list in force for CN=X",)

    async def talk_again(ask: Ask) -> None:
        status, body = await ask("/readyz", "GET")
        assert status == 503
        assert json.loads(body)["problems"] == list(found.problems)

    run(tmp_path, talk_again, found=found)


def test_many_questions_cost_one_look(tmp_path: Path) -> None:
    found = Found()

    async def talk(ask: Ask) -> None:
        await asyncio.gather(*(ask("/readyz", "GET") for _ in range(20)))

    run(tmp_path, talk, found=found)
    assert len(found.looks) == 1


def test_alive_says_nothing_of_the_store(tmp_path: Path) -> None:
    found = Found(problems=("store away",))

    async def talk(ask: Ask) -> None:
        assert (await ask("/healthz", "GET"))[0] == 200

    run(tmp_path, talk, found=found)
    assert found.looks == []


def test_metrics_are_in_the_format_of_prometheus(tmp_path: Path) -> None:
    async def talk(ask: Ask) -> None:
        status, body = await ask("/metrics", "GET")
        assert status == 200
        assert b"cps_test 3.0\n" in body

    run(tmp_path, talk)


def test_anything_else_is_refused(tmp_path: Path) -> None:
    async def talk(ask: Ask) -> None:
        assert (await ask("/", "GET"))[0] == 404
        assert (await ask("/readyz", "POST"))[0] == 405
        assert (await ask("/metrics/../../etc", "GET"))[0] == 404

    run(tmp_path, talk)


def test_a_port_answers_too_where_one_is_named(tmp_path: Path) -> None:
    async def talk(ask: Ask) -> None:
        assert (await ask("/healthz", "GET"))[0] == 200

    run(tmp_path, talk, port=("127.0.0.1", free_port()), by_port=True)
