"""The administrators' page through everything that may stand in front of a portal."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from gateway.clock import system_clock
from gateway.database import Database
from gateway.identity import VerifiedIdentity
from gateway.operator.render_command import front_of
from gateway.session.recorder import session_name
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings, Settings
from gateway.web.admin_access import form_seal
from tests.support.engines import ENGINES
from tests.support.nginx import nginx_program
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
from tests.support.serving import free_port, served_gateway, write_settings

ADMINISTRATOR = replace(PERSON, national_id="899900000021")
OLD = timedelta(minutes=6)
"""Above the five minutes of ``admin.fresh``."""
FEED_SECONDS = 10.0
"""Far above what passes before an end is known everywhere."""
NAVIGATION = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html")
OWN_FORM = (*NAVIGATION, "Sec-Fetch-Site: same-origin", "Origin: null")
OTHER_FORM = (*NAVIGATION, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example")
FORM_TYPE = "Content-Type: application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A served gateway, and its sessions within reach."""

    address: str
    audit: Path
    sessions: SQLiteSessionStore

    @property
    def host(self) -> str:
        return f"localhost:{self.address.rpartition(':')[2]}"

    def log_in(self, person: VerifiedIdentity, *, ago: timedelta = timedelta()) -> bytes:
        return self.sessions.create(person, new_agent_key(), now=system_clock() - ago)

    def ask(self, target: str, *fields: str, cookie: bytes | None = None) -> Message:
        return self._send(raw_request(target, *fields, cookie=cookie, host=self.host))

    def submit(self, body: bytes, *fields: str, cookie: bytes) -> Message:
        sent = (*fields, FORM_TYPE)
        body += f"&seal={form_seal(session_key(cookie))}".encode()
        target = "/_cps/admin/end"
        return self._send(
            raw_request(target, *sent, method="POST", cookie=cookie, body=body, host=self.host)
        )

    def _send(self, request: bytes) -> Message:
        with Wire.open(self.address) as wire:
            wire.send(request)
            return wire.response()


@pytest.fixture(scope="module", params=[*ENGINES, *(f"own {name}" for name in PROXIES)])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    front: str = request.param
    folder = tmp_path_factory.mktemp("admin")
    port, own_port = free_port(), free_port()
    is_own = front not in ENGINES
    if front == "nginx":
        nginx_program()
    name = cast("ProxyName", front.removeprefix("own "))
    if is_own:
        proxy_program(name)
    more = f"""
[edge]
engine = "{"external" if is_own else front}"
[admin]
identities = ["{ADMINISTRATOR.national_id}"]
"""
    with ExitStack() as stack:
        upstream = stack.enter_context(RawServer(echo).on_port())
        file = write_settings(folder, upstream=upstream, port=port, more=more)
        if is_own:
            text = file.read_text().replace(f"\nport = {port}\n", f"\nport = {own_port}\n")
            file.write_text(text)
        served = stack.enter_context(served_gateway(file, port))
        if is_own:
            config = front_of(Settings.load(file), name, certificate=None, key=None, file=file)
            stack.enter_context(running_program(name, config, folder / "proxy"))
        database = stack.enter_context(closing(Database(folder / "state" / "gateway.db")))
        yield Gateway(
            address=served.address,
            audit=folder / "audit.log",
            sessions=SQLiteSessionStore(database, SessionSettings()),
        )


def test_the_page_is_for_administrators_with_a_fresh_signature(gateway: Gateway) -> None:
    anonymous = gateway.ask("/_cps/admin", *NAVIGATION)
    assert anonymous.status == 303
    assert "/_cps/login?t=" in (anonymous.one("Location") or "")
    old = gateway.log_in(ADMINISTRATOR, ago=OLD)
    assert gateway.ask("/_cps/admin", *NAVIGATION, cookie=old).status == 303
    forged = f"X-CPS-Subject: {ADMINISTRATOR.national_id}"
    assert gateway.ask("/_cps/admin", *NAVIGATION, forged).status == 303
    somebody = gateway.log_in(PERSON)
    assert gateway.ask("/_cps/admin", *NAVIGATION, forged, cookie=somebody).status == 404
    page = gateway.ask("/_cps/admin", *NAVIGATION, cookie=gateway.log_in(ADMINISTRATOR))
    assert page.status == 200
    assert "Sessions ouvertes" in page.body.decode()


def test_an_administrator_ends_sessions_everywhere_and_at_once(gateway: Gateway) -> None:
    person = replace(PERSON, national_id="899900000039")
    cookies = [gateway.log_in(person), gateway.log_in(person)]
    administrator = gateway.log_in(ADMINISTRATOR)
    body = f"identity={person.national_id}".encode()
    assert gateway.ask("/x", cookie=cookies[0]).status == 200

    assert gateway.submit(body, *OTHER_FORM, cookie=administrator).status == 403
    question = gateway.submit(body, *OWN_FORM, cookie=administrator)
    assert "Fermer 2 sessions" in question.body.decode()
    assert gateway.ask("/x", cookie=cookies[1]).status == 200

    done = gateway.submit(body + b"&confirmed=yes", *OWN_FORM, cookie=administrator)
    assert done.status == 200
    deadline = time.monotonic() + FEED_SECONDS
    for cookie in cookies:
        while (status := gateway.ask("/x", cookie=cookie).status) != 401:
            assert status == 200
            assert time.monotonic() < deadline
    lines = map(json.loads, gateway.audit.read_text(encoding="ascii").splitlines())
    (act,) = (each for each in lines if each["event"] == "sessions_ended_by_administrator")
    assert act["administrator"] == ADMINISTRATOR.national_id
    assert sorted(act["sessions"]) == sorted(
        session_name(session_key(cookie)) for cookie in cookies
    )
    assert act["client"] == "127.0.0.1"
