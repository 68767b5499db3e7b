"""Two gateways that share a Redis server, as two machines do: a session ends on both at once."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.session.model import EndReason, SessionStore
from gateway.settings import Settings
from gateway.stores import open_stores
from tests.support.engines import ENGINES
from tests.support.logins import DOCTOR, agent_key
from tests.support.nginx import nginx_program
from tests.support.redis_servers import RedisProcess, redis_process
from tests.support.relay import RawServer, Wire, raw_request, session_key
from tests.support.serving import free_port, served_gateway, write_settings

PATIENCE = 5.0
"""Far more than the 0.2 s that `python -m tests.bench session_end` measures: machines are busy."""

LONG_PATIENCE = 50.0
"""Ten times what a store may be silent before streams are cut."""


def _portal(wire: Wire) -> None:
    while True:
        if wire.request().target == "/events":
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
            wire.rest()
            return
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def redis() -> Iterator[RedisProcess]:
    pytest.importorskip("redis")
    with redis_process() as process:
        yield process


class Machines:
    """Two gateways of one portal, each on a port of its own."""

    def __init__(self, host: str, addresses: list[str], sessions: SessionStore) -> None:
        self.host = host
        self.addresses = addresses
        self.sessions = sessions

    def status(self, address: str, cookie: bytes) -> int:
        with Wire.open(address) as wire:
            wire.send(raw_request("/x", cookie=cookie, host=self.host))
            return wire.response().status

    def wait_for(self, status: int, address: str, cookie: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.status(address, cookie) != status:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@contextmanager
def machines(folder: Path, engine: str, redis: RedisProcess) -> Iterator[Machines]:
    if engine == "nginx":
        nginx_program()
    with ExitStack() as stack:
        upstream = stack.enter_context(RawServer(_portal).on_port())
        origin_port, addresses = free_port(), []
        more = (
            f'[edge]\nengine = "{engine}"\n'
            f'[store]\nengine = "redis"\nredis_url = "unix://{redis.socket}"\n'
        )
        for name in ("a", "b"):
            place, port = folder / name, free_port()
            place.mkdir()
            file = write_settings(place, upstream=upstream, port=origin_port, more=more)
            file.write_text(file.read_text().replace(f"\nport = {origin_port}", f"\nport = {port}"))
            stack.enter_context(served_gateway(file, origin_port))
            addresses.append(f"127.0.0.1:{port}")
        stores = open_stores(Settings.load(file))
        stack.callback(stores.close)
        yield Machines(f"localhost:{origin_port}", addresses, stores.sessions)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_ends_on_one_machine_ends_on_the_other(
    tmp_path: Path, engine: str, redis: RedisProcess
) -> None:
    with machines(tmp_path, engine, redis) as both:
        cookie = both.sessions.create(DOCTOR, agent_key(), now=system_clock())
        with ExitStack() as stack:
            streams = [stack.enter_context(Wire.open(address)) for address in both.addresses]
            for stream in streams:
                events = "Accept: text/event-stream"
                stream.send(raw_request("/events", events, cookie=cookie, host=both.host))
                stream.until(b"data: x\n\n\r\n")
            for address in both.addresses:
                assert both.status(address, cookie) == 200
            both.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
            began = time.monotonic()
            for stream in streams:
                stream.rest()
            assert time.monotonic() - began < PATIENCE
            for address in both.addresses:
                both.wait_for(401, address, cookie)


@pytest.mark.parametrize("engine", ENGINES)
def test_nobody_gets_in_while_the_store_is_away_and_streams_are_cut(
    tmp_path: Path, engine: str, redis: RedisProcess
) -> None:
    with machines(tmp_path, engine, redis) as both:
        cookie = both.sessions.create(DOCTOR, agent_key(), now=system_clock())
        address = both.addresses[0]
        with Wire.open(address) as stream:
            events = "Accept: text/event-stream"
            stream.send(raw_request("/events", events, cookie=cookie, host=both.host))
            stream.until(b"data: x\n\n\r\n")
            assert both.status(address, cookie) == 200
            redis.stop()
            both.wait_for(503, address, cookie)
            # After 5 s nobody can say any more that its session lives.
            assert not stream.is_silent(LONG_PATIENCE)
            assert both.status(address, cookie) == 503
