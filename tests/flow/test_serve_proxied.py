"""`cps-gateway serve` behind the PROXY protocol: new settings, several portals."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.database import Database
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.support.nginx import nginx_program
from tests.support.proxy_protocol import binary_header, text_header
from tests.support.relay import PERSON, RawServer, Wire, echo, new_agent_key, raw_request
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

BROWSER = "192.0.2.7"
PROXIED = '[listen]\ntrusted_proxies = ["127.0.0.1"]\nproxy_protocol = true\n'
SECONDS = 30


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def peer_told(wire: Wire) -> str:
    """Return the browser's address as the portal was told."""
    answer = wire.response()
    assert answer.status == 200
    fields = {name.lower(): value for name, value in json.loads(answer.body)["fields"]}
    peer = str(fields["x-forwarded-for"])
    node = f'"[{peer}]"' if ":" in peer else peer
    assert f"for={node};" in fields["forwarded"]
    return peer


@contextmanager
def session_in(state: Path) -> Iterator[bytes]:
    """Give the cookie of a new session."""
    with closing(Database(state / "gateway.db")) as database:
        sessions = SQLiteSessionStore(database, SessionSettings())
        yield sessions.create(PERSON, new_agent_key(), now=system_clock())


@pytest.mark.parametrize("engine", ["embedded", "nginx"])
def test_a_reload_turns_the_protocol_on_and_off_for_new_connections(
    tmp_path: Path, engine: str
) -> None:
    if engine == "nginx":
        nginx_program()
    port = free_port()
    with RawServer(echo).on_port() as upstream:
        more = f'[edge]\nengine = "{engine}"'
        file = write_settings(tmp_path, upstream=upstream, port=port, more=more)
        with served_gateway(file, port) as served, session_in(tmp_path / "state") as cookie:
            request = raw_request("/x", cookie=cookie, host=f"localhost:{port}")

            def reload(old: str, new: str) -> None:
                count = served.log.count("the new configuration holds")
                change(file, old, new)
                served.process.send_signal(signal.SIGHUP)
                until(lambda: served.log.count("the new configuration holds") > count)

            for old, new, header, peer in (
                ("[listen]\n", PROXIED, text_header(BROWSER), BROWSER),
                (PROXIED, "[listen]\n", b"", "127.0.0.1"),
            ):
                reload(old, new)
                with Wire.open(served.address) as wire:
                    wire.send(header + request)
                    assert peer_told(wire) == peer
                wrong = b"" if header else text_header(BROWSER)
                with Wire.open(served.address) as wire:
                    wire.send(wrong + request)
                    assert b"200 OK" not in wire.rest()


def test_each_browser_behind_the_proxy_is_counted_for_itself(tmp_path: Path) -> None:
    port = free_port()
    more = "[rate]\nlogin_per_minute = 1"
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port, more=more)
    change(file, "[listen]\n", PROXIED)
    with served_gateway(file, port) as served:

        def status(source: str, *fields: str) -> int:
            with Wire.open(served.address) as wire:
                page = raw_request("/_cps/login", *fields, host=f"localhost:{port}")
                wire.send(text_header(source) + page)
                return wire.response().status

        # A few times, since a minute may end between two.
        lies = (f"X-Forwarded-For: 198.51.100.{number}" for number in range(5))
        assert 429 in {status(BROWSER, lie) for lie in lies}
        assert status("192.0.2.8") == 200


@pytest.fixture(params=["embedded", "nginx"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ServedGateway, int]]:
    """Serve two portals, at `localhost` and at `127.0.0.1`, behind a proxy."""
    if request.param == "nginx":
        nginx_program()
    port = free_port()
    with RawServer(echo).on_port() as upstream:
        more = f'[edge]\nengine = "{request.param}"'
        file = write_settings(tmp_path, upstream=upstream, port=port, more=more)
        text = file.read_text(encoding="utf-8").replace("[listen]\n", PROXIED)
        begin, end = text.index("[portal]"), text.index("[listen]")
        portals = "".join(
            f"""
[[portals]]
name = "{name}"
origin = "http://{host}:{port}"
upstream = "{upstream}"
label = "Portail {name}"
"""
            for name, host in (("a", "localhost"), ("b", "127.0.0.1"))
        )
        file.write_text(text[:begin] + text[end:] + portals, encoding="utf-8")
        also = f" http://127.0.0.1:{port}"
        with served_gateway(file, port, also=also) as served:
            yield served, port


def test_portals_share_the_proxies(two: tuple[ServedGateway, int], tmp_path: Path) -> None:
    served, port = two
    for name, host in (("a", "localhost"), ("b", "127.0.0.1")):
        with session_in(tmp_path / "state" / "portals" / name) as cookie:
            request = raw_request("/x", cookie=cookie, host=f"{host}:{port}")
            for header, told in (
                (text_header(BROWSER), BROWSER),
                # One browser on IPv4 has one name, however the proxy writes it.
                (text_header(f"::ffff:{BROWSER}"), BROWSER),
                (binary_header(f"::ffff:{BROWSER}"), BROWSER),
                (text_header("2001:db8::7"), "2001:db8::7"),
            ):
                with Wire.open(served.address) as wire:
                    wire.send(header + request)
                    assert peer_told(wire) == told
            with Wire.open(served.address) as wire:
                wire.send(request)
                assert wire.rest() == b""
