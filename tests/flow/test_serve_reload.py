"""New settings while requests go on: nothing is dropped, and a bad file changes nothing."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.database import Database
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.contract.test_engines import accepted
from tests.support.nginx import nginx_program
from tests.support.relay import PERSON, Message, RawServer, Wire, echo, new_agent_key, raw_request
from tests.support.serving import (
    ServedGateway,
    free_port,
    group_members,
    served_gateway,
    write_settings,
)

WAIT_SECONDS = 60
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


def portal(wire: Wire) -> None:
    """Answer with a body's length, and with what comes through a WebSocket."""
    while True:
        request = wire.request()
        if request.one("Upgrade"):
            wire.send(accepted(request.one("Sec-WebSocket-Key") or ""))
            while True:
                _, mask, text = wire.exactly(2), wire.exactly(4), wire.exactly(1)
                wire.send(b"\x81\x01" + bytes([text[0] ^ mask[0]]))
        body = str(len(request.body)).encode()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@dataclass
class Load:
    """Requests of one session, one after another on connections that are kept, until it is told.

    Besides uploads and WebSockets, each for a second, and requests with a made-up cookie.
    """

    answers: int = 0
    faults: list[str] = field(default_factory=list)
    uploads: int = 0
    websockets: int = 0
    closed_between: int = 0
    """Kept connections that ended instead of an answer to a further request."""


@contextmanager
def loaded(served: ServedGateway, host: str, cookie: bytes, *, connections: int) -> Iterator[Load]:
    """Ask all the time while the block runs."""
    load, stop = Load(), threading.Event()

    def again(work: Callable[[Wire], None]) -> None:
        while not stop.is_set():
            try:
                with Wire.open(served.address) as wire:
                    work(wire)
            except (OSError, EOFError, AssertionError) as exc:
                load.faults.append(f"{work.__name__}: {exc!r}")

    def upload(wire: Wire) -> None:
        fields = ("Content-Length: 10", "Connection: close")
        wire.send(raw_request("/x", *fields, method="POST", cookie=cookie, host=host))
        for _ in range(10):
            time.sleep(0.1)
            wire.send(b"x")
        assert wire.response().body == b"10"
        load.uploads += 1

    def exchange(wire: Wire) -> None:
        wire.send(
            raw_request("/socket", *UPGRADE, f"Origin: http://{host}", cookie=cookie, host=host)
        )
        assert b" 101 " in wire.until(b"\r\n\r\n")
        for _ in range(10):
            wire.send(b"\x81\x81\0\0\0\0a")
            assert wire.exactly(3) == b"\x81\x01a"
            time.sleep(0.1)
        load.websockets += 1

    def knock(wire: Wire) -> None:
        wire.send(raw_request("/x", "Connection: close", cookie=b"A" * 32, host=host))
        assert wire.response().status == 401
        time.sleep(0.01)

    def converse(wire: Wire) -> None:
        """Ask until the connection is said to end."""
        answer: Message | None = None
        while not stop.is_set():
            wire.send(raw_request("/x", cookie=cookie, host=host))
            try:
                answer = wire.response()
            except (OSError, EOFError):
                if answer is None:
                    raise
                load.closed_between += 1
                return
            if answer.status != 200:
                load.faults.append(str(answer.status))
            load.answers += 1
            if answer.one("Connection") == "close":
                return

    works = [converse] * connections + [upload, exchange, knock]
    threads = [threading.Thread(target=again, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def until(condition: object) -> None:
    """Wait until *condition*, a function, is true."""
    assert callable(condition)
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def events(folder: Path, name: str) -> list[dict[str, object]]:
    lines = (folder / "audit.log").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["event"] == name]


def change(file: Path, old: str, new: str) -> None:
    """Change the settings file in one step."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    draft = file.with_suffix(".draft")
    draft.write_text(text.replace(old, new), encoding="utf-8")
    draft.replace(file)


@pytest.mark.parametrize("engine", ["embedded", "nginx"])
def test_new_settings_take_over_without_a_request_or_a_session_lost(
    tmp_path: Path, engine: str
) -> None:
    if engine == "nginx":
        nginx_program()
    port = free_port()
    with RawServer(portal).on_port() as upstream:
        file = write_settings(
            tmp_path, upstream=upstream, port=port, more=f'[edge]\nengine = "{engine}"'
        )
        with served_gateway(file, port) as served:
            database = Database(tmp_path / "state" / "gateway.db")
            sessions = SQLiteSessionStore(database, SessionSettings())
            cookie = sessions.create(PERSON, new_agent_key(), now=system_clock())
            before = {name: served.child(name) for name in served.children}
            host = f"localhost:{port}"
            with closing(database), loaded(served, host, cookie, connections=4) as load:
                for label in ("Autre nom", "Encore un nom")[: 2 if engine == "embedded" else 1]:
                    change(file, 'label = "', f'label = "{label} ')
                    count = served.log.count("the new configuration holds")
                    served.process.send_signal(signal.SIGHUP)
                    until(lambda n=count: served.log.count("the new configuration holds") > n)
            assert load.faults == []
            if engine == "embedded":
                # nginx closes kept connections between two requests; browsers then ask again.
                # Source: RFC 9112 §9.3.1.
                assert load.closed_between == 0
            assert load.answers > 20
            assert load.uploads > 1
            assert load.websockets > 1
            for name, pid in before.items():
                assert served.child(name) != pid
                assert group_members(pid) == []
            with Wire.open(served.address) as wire:
                wire.send(raw_request("/_cps/session", cookie=cookie, host=host))
                page = wire.response()
            assert page.status == 200
            assert "Autre nom" in page.body.decode()
            assert len(events(tmp_path, "configuration_loaded")) > 1
            assert served.stop() == 0
    left = {entry.name for entry in (tmp_path / "state").iterdir()}
    assert not left & {"a", "b", "control.sock", "monitor.sock", "metrics", "nginx"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        pytest.param('label = "', "label = 3 # ", "portal.label: text is wanted", id="wrong type"),
        pytest.param("[portal]", "[portal", "is not TOML", id="half an edit"),
        pytest.param('state_dir = "state"', 'state_dir = "other"', "start again", id="state_dir"),
        pytest.param('"root.pem"', '"middle.pem"', "trust.anchors", id="no anchor"),
    ],
)
def test_a_file_with_a_fault_changes_nothing_and_says_so(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    port = free_port()
    with RawServer(echo).on_port() as upstream:
        file = write_settings(tmp_path, upstream=upstream, port=port)
        with served_gateway(file, port) as served:
            before = {name: served.child(name) for name in served.children}
            change(file, old, new)
            served.process.send_signal(signal.SIGHUP)
            until(lambda: "the configuration stays as it was" in served.log)
            assert reason in served.log
            until(lambda: events(tmp_path, "configuration_refused"))
            (refused,) = events(tmp_path, "configuration_refused")
            assert reason in str(refused["faults"])
            assert {name: served.child(name) for name in served.children} == before
            with Wire.open(served.address) as wire:
                wire.send(raw_request("/x", host=f"localhost:{port}"))
                assert wire.response().status == 401
            assert served.stop() == 0


def test_a_long_answer_is_finished_by_the_process_that_began_it(tmp_path: Path) -> None:
    going = threading.Event()

    def slow(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        going.wait(WAIT_SECONDS)
        wire.send(b"67890")
        wire.rest()

    port = free_port()
    with RawServer(slow).on_port() as upstream:
        file = write_settings(tmp_path, upstream=upstream, port=port)
        with served_gateway(file, port) as served:
            database = Database(tmp_path / "state" / "gateway.db")
            sessions = SQLiteSessionStore(database, SessionSettings())
            cookie = sessions.create(PERSON, new_agent_key(), now=system_clock())
            edge = served.child("edge")
            with closing(database), Wire.open(served.address) as wire:
                wire.send(raw_request("/x", cookie=cookie, host=f"localhost:{port}"))
                wire.until(b"12345")
                change(file, 'label = "', 'label = "Autre ')
                served.process.send_signal(signal.SIGHUP)
                served.wait_for_new_child("edge", edge)
                with Wire.open(served.address) as other:
                    other.send(raw_request("/_cps/login", host=f"localhost:{port}"))
                    assert other.response().status == 200
                going.set()
                wire.until(b"67890")
            until(lambda: "the new configuration holds" in served.log)
            assert served.stop() == 0
