"""The command `cps-gateway serve` with nginx in front: what it survives, renews and leaves."""

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from cps.authtoken.encoding import b64url_encode
from gateway.clock import system_clock
from gateway.database import Database
from gateway.session.model import EndReason
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.support.nginx import nginx_program
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
from tests.support.server_certificate import write_server_files
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
EVENTS = "Accept: text/event-stream"
NGINX = '[edge]\nengine = "nginx"\nrelayed_paths = ["/exports/"]\n'
FEED_SECONDS = 5
"""Ten times what may pass before an end is known; `tests.bench session_end` measures it."""
PATIENCE_SECONDS = 15


class Gateway:
    """A served gateway with nginx in front, and its sessions within reach."""

    def __init__(self, served: ServedGateway, folder: Path, port: int) -> None:
        self.served = served
        self.state = folder / "state"
        self.host = f"localhost:{port}"
        self.sessions = SQLiteSessionStore(Database(self.state / "gateway.db"), SessionSettings())

    def log_in(self) -> bytes:
        return self.sessions.create(PERSON, new_agent_key(), now=system_clock())

    def log_out(self, cookie: bytes) -> float:
        """End a session from this process and return when that was."""
        self.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
        return time.monotonic()

    def request(self, target: str, *fields: str, cookie: bytes | None = None) -> bytes:
        return raw_request(target, *fields, cookie=cookie, host=self.host)

    def ask(self, target: str, *fields: str, cookie: bytes | None = None) -> Message:
        with Wire.open(self.served.address) as wire:
            wire.send(self.request(target, *fields, cookie=cookie))
            return wire.response()

    def until_open(self, cookie: bytes) -> None:
        """Wait until the session opens the portal again; meanwhile nobody gets in."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(ConnectionError, EOFError):
                status = self.ask("/x", cookie=cookie).status
                if status == 200:
                    return
                assert status in (502, 503)
            assert time.monotonic() < deadline, self.served.log
            time.sleep(0.02)

    def nginx_master(self) -> int:
        """Return the process id of nginx."""
        return int((self.state / "nginx" / "nginx.pid").read_text())

    def close(self) -> None:
        self.sessions._database.close()


@contextmanager
def running(folder: Path, upstream: str, more: str = NGINX) -> Iterator[Gateway]:
    nginx_program()
    port = free_port()
    settings = write_settings(folder, upstream=upstream, port=port, more=more)
    with served_gateway(settings, port) as served:
        gateway = Gateway(served, folder, port)
        with closing(gateway):
            yield gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with RawServer(echo).on_port() as upstream, running(folder, upstream) as found:
        yield found


def test_a_person_is_led_to_a_login_page_that_opens(gateway: Gateway) -> None:
    answer = gateway.ask("/rights?nir=1", NAVIGATION)
    assert answer.status == 303
    location = answer.one("Location") or ""
    assert re.fullmatch(r"/_cps/login\?t=[A-Za-z0-9_-]{22}", location)
    page = gateway.ask(location, NAVIGATION, "Sec-Fetch-Dest: document")
    assert page.status == 200
    assert "carte CPS" in page.body.decode()
    assert (page.one("Set-Cookie") or "").startswith("__Host-cps-login=")


def test_a_logout_by_another_process_is_soon_known_here(
    gateway: Gateway,
) -> None:
    cookie = gateway.log_in()
    with Wire.open(gateway.served.address) as wire:
        wire.send(gateway.request("/x", cookie=cookie))
        assert wire.response().status == 200
        ended_at = gateway.log_out(cookie)
        status = 200
        while status == 200:
            wire.send(gateway.request("/x", cookie=cookie))
            status = wire.response().status
    assert status == 401
    assert time.monotonic() - ended_at < FEED_SECONDS


def test_what_it_writes_is_closed_to_others(gateway: Gateway) -> None:
    nginx = gateway.state / "nginx"
    assert stat.S_IMODE(nginx.stat().st_mode) == 0o700
    for name in ("control.sock", "verdict.sock", "relay.sock", "nginx/nginx.conf"):
        assert stat.S_IMODE((gateway.state / name).stat().st_mode) & 0o077 == 0, name
    assert not (nginx / "try").exists()


@pytest.mark.parametrize("name", ["verdict", "edge", "control plane"])
def test_a_child_that_is_killed_comes_back_and_loses_nothing(gateway: Gateway, name: str) -> None:
    cookie = gateway.log_in()
    before = gateway.served.child(name)
    os.kill(before, signal.SIGKILL)
    gateway.served.wait_for_new_child(name, before)
    assert group_members(before) == []
    gateway.until_open(cookie)


def test_without_the_verdict_process_nobody_gets_in(gateway: Gateway) -> None:
    cookie = gateway.log_in()
    pid = gateway.served.child("verdict")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert gateway.ask("/x", cookie=cookie).status == 503
        assert time.monotonic() - began < 5
        # The relay knows for itself who is in.
        assert gateway.ask("/exports/x", cookie=cookie).status == 200
        assert gateway.ask("/exports/x").status == 401
    finally:
        os.kill(pid, signal.SIGCONT)
    gateway.until_open(cookie)


def test_an_nginx_that_is_killed_comes_back(gateway: Gateway) -> None:
    cookie = gateway.log_in()
    before, edge = gateway.nginx_master(), gateway.served.child("edge")
    os.kill(before, signal.SIGKILL)
    gateway.served.wait_for_new_child("edge", edge)
    gateway.until_open(cookie)
    assert gateway.nginx_master() != before
    # Its workers, which nobody led any more, were ended too.
    assert group_members(edge) == []


def test_the_log_has_no_secret(gateway: Gateway) -> None:
    cookie = gateway.log_in()
    code = "ONE-TIME-CODE-OF-THIS-TEST"
    gateway.ask(f"/_cps/callback?code={code}", NAVIGATION, cookie=cookie)
    gateway.ask(f"//x?code={code}", cookie=cookie)
    gateway.ask("/x", f"Bad Header: {code}", cookie=cookie)
    _wait_for(gateway.served, "target with two readings")
    log = gateway.served.log + (gateway.state.parent / "audit.log").read_text()
    assert code not in log
    assert b64url_encode(cookie) not in log
    for line in gateway.served.log.splitlines():
        assert re.match(r"(TEST )?20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) ", line), (
            line
        )


def test_a_signal_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path, "http://127.0.0.1:9") as gateway:
        page = gateway.ask("/", NAVIGATION, cookie=gateway.log_in())
        assert page.status == 502
        assert "le portail ne répond pas" in page.body.decode()
        children = [gateway.served.child(name) for name in gateway.served.children]
        assert {"control plane", "verdict", "edge"} <= set(gateway.served.children)
        assert gateway.served.stop() == 0
    assert not any(group_members(pid) for pid in children)
    left = {path.name for path in (tmp_path / "state").iterdir()}
    assert not left & {"control.sock", "verdict.sock", "relay.sock", "nginx"}
    with socket.create_server(("127.0.0.1", int(gateway.host.partition(":")[2]))):
        pass


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, "http://127.0.0.1:9") as gateway:
        children = [gateway.served.child(name) for name in gateway.served.children]
        gateway.served.stop(signal.SIGKILL)
        wait_until_gone(children)


def test_a_port_in_use_stops_the_start(tmp_path: Path) -> None:
    nginx_program()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port, more=NGINX)
        result = subprocess.run(
            [sys.executable, "-m", "gateway.main", "serve", "--config", str(file)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (result.returncode, result.stdout) == (2, "")
    assert f"listen.port: 127.0.0.1 port {port} cannot be listened on" in result.stderr
    assert "started" not in result.stderr


def _events(wire: Wire) -> None:
    wire.request()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
    wire.rest()


@pytest.mark.parametrize("more", [NGINX, ""], ids=["nginx", "embedded"])
def test_a_logout_by_another_process_cuts_an_open_stream(tmp_path: Path, more: str) -> None:
    with (
        RawServer(_events).on_port() as upstream,
        running(tmp_path, upstream, more) as gateway,
        Wire.open(gateway.served.address) as wire,
    ):
        cookie = gateway.log_in()
        wire.send(gateway.request("/events", EVENTS, cookie=cookie))
        wire.until(b"data: x\n\n")
        ended_at = gateway.log_out(cookie)
        wire.rest()
        assert time.monotonic() - ended_at < FEED_SECONDS


def _shown_certificate(address: str) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return shown


@pytest.mark.parametrize("more", [NGINX, ""], ids=["nginx", "embedded"])
def test_a_certificate_that_was_renewed_is_shown(tmp_path: Path, more: str) -> None:
    nginx_program()
    port = free_port()
    files = write_server_files(tmp_path, "localhost")
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port, more=more)
    text = file.read_text().replace("http://localhost", "https://localhost")
    tls = f'[listen]\ntls_certificate = "{files.certificate}"\ntls_key = "{files.key}"'
    file.write_text(text.replace("[listen]", tls))
    with served_gateway(file, port, scheme="https") as served:
        edge, first = served.child("edge"), _shown_certificate(served.address)
        files.key.write_text("half a renewal")
        served.process.send_signal(signal.SIGHUP)
        _wait_for(served, "goes on as it was")
        assert _shown_certificate(served.address) == first
        write_server_files(tmp_path, "localhost")
        served.process.send_signal(signal.SIGHUP)
        _wait_for(served, "edge reloaded")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _shown_certificate(served.address) == first:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        # Whoever renews it need not know that there is a gateway.
        second = _shown_certificate(served.address)
        write_server_files(tmp_path, "localhost")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _shown_certificate(served.address) == second:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert served.child("edge") == edge


def _wait_for(served: ServedGateway, words: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while words not in served.log:
        assert time.monotonic() < deadline, served.log
        time.sleep(0.02)
