"""The command `cps-gateway serve`, as a process: what it answers, survives, and leaves."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cps.authtoken.encoding import b64url_encode
from gateway.clock import system_clock
from gateway.database import Database
from gateway.session.model import EndReason
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
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
from tests.support.serving import (
    ROOT,
    ServedGateway,
    free_port,
    group_members,
    served_gateway,
    wait_until_gone,
    write_settings,
)

NAVIGATION = "Sec-Fetch-Mode: navigate"
EXIT_CONFIGURATION = 2


class Gateway:
    """A served gateway with a portal behind it, and its sessions within reach."""

    def __init__(self, served: ServedGateway, folder: Path, port: int) -> None:
        self.served = served
        self.state = folder / "state"
        self.host = f"localhost:{port}"
        self.sessions = SQLiteSessionStore(Database(self.state / "gateway.db"), SessionSettings())

    def log_in(self) -> bytes:
        """Open a session in the gateway's own database and return its cookie."""
        return self.sessions.create(PERSON, new_agent_key(), now=system_clock())

    def request(self, target: str, *fields: str, cookie: bytes | None = None) -> bytes:
        """Return the bytes of a GET to this gateway."""
        return raw_request(target, *fields, cookie=cookie, host=self.host)

    def ask(self, target: str, *fields: str, cookie: bytes | None = None) -> Message:
        """Send a GET on a new connection and return the answer."""
        with Wire.open(self.served.address) as wire:
            wire.send(self.request(target, *fields, cookie=cookie))
            return wire.response()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder, port = tmp_path_factory.mktemp("gateway"), free_port()
    with RawServer(echo).on_port() as upstream:
        settings = write_settings(folder, upstream=upstream, port=port)
        with served_gateway(settings, port) as served:
            running = Gateway(served, folder, port)
            yield running
            running.sessions._database.close()


def test_a_person_is_led_to_a_login_page_that_opens(gateway: Gateway) -> None:
    answer = gateway.ask("/rights?nir=1", NAVIGATION)
    assert answer.status == 303
    location = answer.one("Location")
    assert location is not None
    assert re.fullmatch(r"/_cps/login\?t=[A-Za-z0-9_-]{22}", location)
    page = gateway.ask(location, NAVIGATION, "Sec-Fetch-Dest: document")
    assert page.status == 200
    assert "carte CPS" in page.body.decode()
    assert (page.one("Set-Cookie") or "").startswith("__Host-cps-login=")


def test_the_internal_path_is_closed_outside_and_open_inside(gateway: Gateway) -> None:
    assert gateway.ask("/_cps/internal/enter").status == 404
    assert gateway.ask("/_cps/.well-known/jwks.json").status == 200


def test_a_session_in_the_database_opens_the_portal(gateway: Gateway) -> None:
    cookie = gateway.log_in()
    answer = gateway.ask("/x", cookie=cookie)
    fields = dict(json.loads(answer.body)["fields"])
    assert fields["X-CPS-Subject"] == PERSON.national_id
    assert fields["X-CPS-Assertion"].count(".") == 2
    gateway.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
    assert gateway.ask("/x", cookie=cookie).status == 401


def test_folders_sockets_and_keys_are_closed_to_others(gateway: Gateway) -> None:
    assert stat.S_IMODE(gateway.state.stat().st_mode) == 0o700
    there = [file for file in gateway.state.iterdir() if file.exists()]
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in there}
    assert {"control.sock", "monitor.sock", "gateway.db", "assertion-key.pem"} <= modes.keys()
    assert {modes.pop("metrics"), modes.pop("a")} == {0o700}
    assert set(modes.values()) == {0o600}


def test_a_second_gateway_with_the_same_folder_is_refused(gateway: Gateway) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gateway.main", "serve", "--config", "gateway.toml"],
        cwd=gateway.state.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == EXIT_CONFIGURATION
    assert "runtime_dir: another gateway uses" in result.stderr
    assert gateway.ask("/").status == 401


@pytest.mark.parametrize("name", ["control plane", "edge"])
def test_a_child_that_is_killed_comes_back_and_loses_nothing(gateway: Gateway, name: str) -> None:
    cookie = gateway.log_in()
    location = gateway.ask("/kept?page=1", NAVIGATION).one("Location")
    assert location is not None
    before = gateway.served.child(name)
    os.kill(before, signal.SIGKILL)
    gateway.served.wait_for_new_child(name, before)
    assert group_members(before) == []
    answer = _until_answered(gateway, "/_cps/session", cookie)
    assert answer.status == 200
    assert gateway.ask("/x", cookie=cookie).status == 200
    assert gateway.ask(location, NAVIGATION, "Sec-Fetch-Dest: document").status == 200


def _until_answered(gateway: Gateway, target: str, cookie: bytes) -> Message:
    """Ask until the gateway answers with something else than 503."""
    deadline = time.monotonic() + 10
    while True:
        try:
            answer = gateway.ask(target, cookie=cookie)
        except (ConnectionError, EOFError):
            answer = None
        if answer is not None and answer.status != 503:
            return answer
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_edited_file_changes_nothing_before_the_next_start(gateway: Gateway) -> None:
    file = gateway.state.parent / "gateway.toml"
    text = file.read_text()
    pid = gateway.served.child("edge")
    try:
        file.write_text("half an ed")
        os.kill(pid, signal.SIGKILL)
        gateway.served.wait_for_new_child("edge", pid)
        assert _until_answered(gateway, "/x", gateway.log_in()).status == 200
    finally:
        file.write_text(text)


def test_without_the_control_plane_sessions_go_on_and_nobody_new_gets_in(gateway: Gateway) -> None:
    cookie = gateway.log_in()
    pid = gateway.served.child("control plane")
    for member in group_members(pid):
        os.kill(member, signal.SIGKILL)
    assert gateway.ask("/x", cookie=cookie).status == 200
    assert gateway.ask("/x").status == 401
    gateway.served.wait_for_new_child("control plane", pid)
    assert _until_answered(gateway, "/_cps/session", cookie).status == 200


def test_the_log_has_no_secret(gateway: Gateway) -> None:
    cookie = gateway.log_in()
    code = "ONE-TIME-CODE-OF-THIS-TEST"
    gateway.ask(f"/_cps/callback?code={code}", NAVIGATION, cookie=cookie)
    gateway.ask(f"//x?code={code}", cookie=cookie)
    gateway.ask("/x", f"Bad Header: {code}", cookie=cookie)
    log = gateway.served.log + (gateway.state.parent / "audit.log").read_text()
    assert code not in log
    assert b64url_encode(cookie) not in log
    for line in gateway.served.log.splitlines():
        # The settings of these tests are those of a test environment, and every line says so.
        form = r"TEST 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) "
        assert re.match(form, line), line


def _endless(wire: Wire) -> None:
    wire.request()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
    wire.rest()


def test_a_logout_by_another_process_cuts_an_open_stream(tmp_path: Path) -> None:
    port = free_port()
    with RawServer(_endless).on_port() as upstream:
        settings = write_settings(tmp_path, upstream=upstream, port=port)
        with served_gateway(settings, port) as served:
            gateway = Gateway(served, tmp_path, port)
            with closing(gateway.sessions._database), Wire.open(served.address) as wire:
                cookie = gateway.log_in()
                wire.send(gateway.request("/events", cookie=cookie))
                wire.until(b"data: x\n\n")
                gateway.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
                began = time.monotonic()
                wire.rest()
                # Ten times what is promised, because other programs use the machine too.
                assert time.monotonic() - began < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_ends_it_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    settings = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port)
    with served_gateway(settings, port) as served:
        gateway = Gateway(served, tmp_path, port)
        with closing(gateway.sessions._database):
            page = gateway.ask("/", NAVIGATION, cookie=gateway.log_in())
        assert page.status == 502
        assert "le portail ne répond pas" in page.body.decode()
        children = [served.child(name) for name in ("control plane", "edge")]
        assert len(group_members(children[0])) == 2
        assert served.stop(number) == 0
    assert [group_members(pid) for pid in children] == [[], []]
    assert not (tmp_path / "state" / "control.sock").exists()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    port = free_port()
    settings = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port)
    with served_gateway(settings, port) as served:
        children = [served.child(name) for name in ("control plane", "edge")]
        served.stop(signal.SIGKILL)
        wait_until_gone(children)
    # What is left of the dead one does not keep the next one from starting.
    with served_gateway(settings, port) as served:
        assert served.stop() == 0


def test_a_port_in_use_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port)
        result = subprocess.run(
            [sys.executable, "-m", "gateway.main", "serve", "--config", str(settings)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == EXIT_CONFIGURATION
    assert result.stdout == ""
    assert f"listen.port: 127.0.0.1 port {port} cannot be listened on" in result.stderr
    assert "started" not in result.stderr
