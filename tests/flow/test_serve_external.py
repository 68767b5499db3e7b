"""The command `cps-gateway serve` behind a proxy that the site keeps, as `render` configures it."""

import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from gateway.clock import system_clock
from gateway.database import Database
from gateway.operator.render_command import front_of
from gateway.session.model import EndReason
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings, Settings
from tests.support.proxies import PROXIES, ProxyName, proxy_program, running_program
from tests.support.relay import (
    PERSON,
    Message,
    RawServer,
    Wire,
    echo,
    new_agent_key,
    raw_request,
    session_key,
)
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

WAIT_SECONDS = 10.0
NAVIGATION = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")


class Gateway:
    """A served gateway behind a proxy, and its sessions within reach."""

    def __init__(self, served: ServedGateway, sessions: SQLiteSessionStore, host: str) -> None:
        self.served = served
        self.sessions = sessions
        self.host = host

    def ask(self, target: str, *fields: str, cookie: bytes | None = None) -> Message:
        with Wire.open(self.served.address) as wire:
            wire.send(raw_request(target, *fields, cookie=cookie, host=self.host))
            return wire.response()


@pytest.fixture(scope="module", params=PROXIES)
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    name: ProxyName = request.param
    proxy_program(name)
    folder = tmp_path_factory.mktemp("own")
    port, own_port = free_port(), free_port()
    with RawServer(echo).on_port() as upstream:
        file = write_settings(
            folder, upstream=upstream, port=port, more='[edge]\nengine = "external"\n'
        )
        text = file.read_text().replace(f"\nport = {port}\n", f"\nport = {own_port}\n")
        file.write_text(text)
        settings = Settings.load(file)
        front = front_of(settings, name, certificate=None, key=None, file=file)
        with served_gateway(file, port) as served, running_program(name, front, folder / "proxy"):
            database = Database(folder / "state" / "gateway.db")
            with closing(database):
                sessions = SQLiteSessionStore(database, SessionSettings())
                yield Gateway(served, sessions, f"localhost:{port}")


def test_what_runs_is_named(gateway: Gateway) -> None:
    assert gateway.served.children == ["control plane", "edge", "monitor", "verdict"]


def test_a_person_is_led_to_a_login_page_that_opens(gateway: Gateway) -> None:
    answer = gateway.ask("/rights?year=2026", *NAVIGATION)
    location = answer.one("Location") or ""
    assert answer.status == 303
    page = gateway.ask(location.removeprefix(f"http://{gateway.host}"), *NAVIGATION)
    assert page.status == 200
    assert "text/html" in (page.one("Content-Type") or "")
    assert (page.one("Set-Cookie") or "").startswith("__Host-cps-login=")
    assert "no-store" in (page.one("Cache-Control") or "")


def test_the_portal_gets_the_keys_that_sign_its_assertions(gateway: Gateway) -> None:
    keys = json.loads(gateway.ask("/_cps/.well-known/jwks.json").body)["keys"]
    assert keys[0]["crv"] == "P-256"


def test_a_session_opens_the_portal_until_it_ends(gateway: Gateway) -> None:
    cookie = gateway.sessions.create(PERSON, new_agent_key(), now=system_clock())
    echoed = json.loads(gateway.ask("/x", cookie=cookie).body)
    fields = {name.lower(): value for name, value in echoed["fields"]}
    assert fields["x-cps-subject"] == PERSON.national_id
    assert fields["x-cps-assertion"].count(".") == 2
    gateway.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
    deadline = time.monotonic() + WAIT_SECONDS
    while (status := gateway.ask("/x", cookie=cookie).status) != 401:
        assert status == 200
        assert time.monotonic() < deadline


def test_internal_paths_do_not_exist_outside(gateway: Gateway) -> None:
    for path in ("/_cps/internal/forward-auth", "/_cps/internal/enter"):
        assert gateway.ask(path).status == 404
