"""Several processes answer logins: limits hold for all, and the end of one loses nothing."""

import http.client
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from tests.support.quick_login import CLAIM, PAGE, TOKEN, QuickLogin
from tests.support.serving import (
    ServedGateway,
    free_port,
    group_members,
    served_gateway,
    write_settings,
)

PROCESSES = 2
LIMIT = 25
ASKED = 4 * LIMIT
LOGINS = 12
PATIENCE = 30.0


class ControlPlane(http.client.HTTPConnection):
    """One connection to the control plane's own socket, which one of its processes takes."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def gateway(tmp_path: Path, port: int) -> Iterator[ServedGateway]:
    more = f"[login]\nprocesses = {PROCESSES}\n[rate]\nlogin_per_minute = {LIMIT}\n"
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port, more=more)
    with served_gateway(file, port) as served:
        yield served


def workers(gateway: ServedGateway) -> set[int]:
    """Return the processes that answer, without the one that forked them."""
    leader = gateway.child("control plane")
    return set(group_members(leader)) - {leader}


def control_socket(folder: Path) -> Path:
    (found,) = folder.rglob("a/control.sock")
    return found


def test_a_limit_holds_for_all_processes_together(gateway: ServedGateway, tmp_path: Path) -> None:
    path = control_socket(tmp_path)

    def ask(number: int) -> int:
        # Each by a connection of its own: whichever process is free takes it.
        with closing(ControlPlane(path)) as connection:
            address = f"2001:db8::{number:x}"  # All of one network, which is counted as one.
            connection.request("GET", PAGE, headers={"X-CPS-Client": address})
            return connection.getresponse().status

    assert len(workers(gateway)) == PROCESSES
    _stay_within_one_minute()
    with ThreadPoolExecutor(16) as pool:
        statuses = Counter(pool.map(ask, range(ASKED)))
    assert statuses == {200: LIMIT, 429: ASKED - LIMIT}


def _stay_within_one_minute() -> None:
    """Wait for the next minute where this one is nearly over."""
    left = 60 - system_clock().timestamp() % 60
    if left < 10:
        time.sleep(left)


def test_a_process_killed_loses_no_login_that_was_answered(
    gateway: ServedGateway, port: int
) -> None:
    origin, before = f"http://localhost:{port}", workers(gateway)
    accepted = [_accepted(port, origin) for _ in range(LOGINS)]
    os.kill(min(before), signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while len(workers(gateway) - {min(before)}) < PROCESSES:
        assert time.monotonic() < deadline, gateway.log
        time.sleep(0.05)
    for login, cookie in accepted:
        status, fields, _ = _ask(port, "GET", login.callback, headers={"Cookie": cookie})
        assert status == 303
        assert any(SESSION_COOKIE in value for value in fields.get_all("Set-Cookie", []))
    # The supervisor has not noticed: one process went on meanwhile.
    assert "control plane ended" not in gateway.log


def test_those_who_do_not_read_their_answers_keep_nobody_waiting(
    gateway: ServedGateway, port: int
) -> None:
    silent = []
    for _ in range(4 * PROCESSES):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        head = f"GET /_cps/base.css HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
        connection.sendall(head.encode() * 40)
        silent.append(connection)
    try:
        started = time.monotonic()
        status, _, _ = _ask(port, "GET", PAGE)
        assert status == 200
        assert time.monotonic() - started < PATIENCE / 3
    finally:
        for connection in silent:
            connection.close()


def _accepted(port: int, origin: str) -> tuple[QuickLogin, str]:
    """Return a login as far as its code, and the cookie of its browser."""
    login = QuickLogin()
    _, fields, page = _ask(port, "GET", PAGE)
    (cookie,) = (
        value.partition(";")[0]
        for value in fields.get_all("Set-Cookie", [])
        if value.startswith(LOGIN_COOKIE)
    )
    login.read_page(page.decode())
    login.read_claimed(_ask(port, "POST", CLAIM, login.claim())[2])
    login.read_accepted(_ask(port, "POST", TOKEN, login.token(origin))[2])
    return login, cookie


def _ask(
    port: int, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    kind = {"Content-Type": "application/json"} if body else {}
    with closing(http.client.HTTPConnection("localhost", port, timeout=PATIENCE)) as connection:
        connection.request(method, target, body or None, {**kind, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
