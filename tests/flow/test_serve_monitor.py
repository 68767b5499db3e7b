"""What the monitor of a served gateway tells, and records."""

import http.client
import json
import shutil
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.database import Database
from gateway.operator.health_command import run_health
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.support.relay import PERSON, RawServer, Wire, echo, new_agent_key, raw_request
from tests.support.serving import free_port, served_gateway, write_settings


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("localhost", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def lines(file: Path, event: str) -> list[dict[str, object]]:
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    return [entry for entry in entries if entry["event"] == event]


def _log_in(folder: Path) -> bytes:
    with closing(Database(folder / "state" / "gateway.db")) as database:
        store = SQLiteSessionStore(database, SessionSettings())
        return store.create(PERSON, new_agent_key(), now=system_clock())


def test_a_gateway_tells_how_it_stands_and_records_what_nobody_asked_for(tmp_path: Path) -> None:
    port, watched = free_port(), free_port()
    more = f"[monitor]\nport = {watched}\n[session]\nidle_seconds = 60\ntouch_seconds = 1"
    settings = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port, more=more)
    with served_gateway(settings, port) as served:
        assert ask(watched, "/healthz") == (200, '{"alive": true}')
        assert ask(watched, "/readyz")[0] == 200
        assert run_health(settings) == 0
        assert ask(port, "/metrics")[0] == 401, "never on the public side"
        database = Database(tmp_path / "state" / "gateway.db")
        sessions = SQLiteSessionStore(database, SessionSettings())
        now = system_clock()
        sessions.create(PERSON, new_agent_key(), now=now - timedelta(seconds=59))
        deadline = time.monotonic() + 20
        while not lines(tmp_path / "audit.log", "session_ended"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        database.close()
        (ended,) = lines(tmp_path / "audit.log", "session_ended")
        assert (ended["reason"], ended["national_id"]) == ("idle", PERSON.national_id)
        ask(port, "/_cps/login")
        with Wire.open(served.address) as wire:
            cookie = _log_in(tmp_path)
            wire.send(raw_request("/x", cookie=cookie, host=f"localhost:{port}"))
            assert wire.response().status == 502
        numbers = ask(watched, "/metrics")[1]
        assert 'cps_sessions_ended_total{reason="idle"} 1.0' in numbers
        assert 'cps_control_seconds_count{status="2xx",view="login.login"} 1.0' in numbers
        assert 'cps_portal_seconds_count{result="unavailable"} 1.0' in numbers
        assert "cps_ready 1.0" in numbers
        assert served.stop() == 0
    (loaded,) = lines(tmp_path / "audit.log", "configuration_loaded")
    assert loaded["file"] == str(settings)
    assert lines(tmp_path / "audit.log", "gateway_stopped")[0]["exit_code"] == 0


def test_lists_that_are_over_make_it_not_ready(tmp_path: Path) -> None:
    port, watched = free_port(), free_port()
    more = f"[monitor]\nport = {watched}"
    settings = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port, more=more)
    (tmp_path / "middle.crl").unlink()
    (tmp_path / "middle.crl").write_bytes(b"broken")
    with served_gateway(settings, port):
        status, body = ask(watched, "/readyz")
        assert status == 503
        assert "no revocation list in force for" in body
        assert run_health(settings) == 1


@pytest.mark.skipif(
    shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="nginx is not installed"
)
def test_behind_nginx_verdicts_sensitive_routes_and_lines_are_counted(tmp_path: Path) -> None:
    port, watched = free_port(), free_port()
    more = (
        f'[monitor]\nport = {watched}\n[edge]\nengine = "nginx"\n'
        '[[guard.routes]]\nname = "rights"\npath = "/rights/{record}"\n'
    )
    with RawServer(echo).on_port() as upstream:
        settings = write_settings(tmp_path, upstream=upstream, port=port, more=more)
        with served_gateway(settings, port) as served:
            cookie = _log_in(tmp_path)
            for target in ("/x", "/rights/7"):
                with Wire.open(served.address) as wire:
                    wire.send(raw_request(target, cookie=cookie, host=f"localhost:{port}"))
                    assert wire.response().status == 200
            wanted = {
                'cps_verdicts_total{result="let_in"} 1.0',
                'cps_sensitive_requests_total{effect="none"} 1.0',
                'cps_journal_lines_total{result="written"} 1.0',
                "cps_journal_waiting 0.0",
                "cps_guard_record_share_count 1.0",
                "cps_guard_blocked 0.0",
            }
            deadline = time.monotonic() + 20
            while missing := wanted - set(ask(watched, "/metrics")[1].splitlines()):
                assert time.monotonic() < deadline, missing
                time.sleep(0.1)
