"""The guard and the journal in the real processes: two workers, or nginx and the relay."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.database import Database
from gateway.main import main
from gateway.session.sqlite import SQLiteSessionStore
from gateway.settings import SessionSettings
from tests.support.relay import PERSON, RawServer, Wire, echo, new_agent_key, raw_request
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

LIMIT = 30
GUARD = f"""
[edge]
{{edge}}

[[guard.routes]]
name = "rights"
path = "/rights/{{{{record}}}}"

[[guard.rules]]
count = "records"
limit = {LIMIT}
per = "hour"
effect = "block"
"""
ENGINES = {
    "two workers": "workers = 2",
    "nginx": 'engine = "nginx"\nworkers = 2',
}


class Gateway:
    """A served gateway, its sessions within reach, and its commands."""

    def __init__(self, served: ServedGateway, file: Path, port: int) -> None:
        self.served = served
        self.file = file
        self.host = f"localhost:{port}"

    def log_in(self) -> bytes:
        with closing(Database(self.file.parent / "state" / "gateway.db")) as database:
            sessions = SQLiteSessionStore(database, SessionSettings())
            return sessions.create(PERSON, new_agent_key(), now=system_clock())

    def ask(self, target: str, cookie: bytes) -> int:
        """Ask on a new connection; return the status, 0 where it is cut."""
        try:
            with Wire.open(self.served.address) as wire:
                wire.send(raw_request(target, cookie=cookie, host=self.host))
                return wire.response().status
        except (EOFError, OSError):
            return 0

    def run(self, *arguments: str) -> int:
        return main([*arguments, "--config", str(self.file)])

    def audit(self) -> list[dict[str, object]]:
        lines = (self.file.parent / "audit.log").read_text(encoding="ascii").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(params=ENGINES)
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    if request.param == "nginx" and shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    with RawServer(echo).on_port() as upstream:
        more = GUARD.format(edge=ENGINES[request.param])
        file = write_settings(tmp_path, upstream=upstream, port=port, more=more)
        with served_gateway(file, port) as served:
            yield Gateway(served, file, port)


def test_all_processes_count_together_and_what_they_wrote_is_whole(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    cookie = gateway.log_in()
    given = []
    for number in range(LIMIT + 5):
        if number == LIMIT // 2:
            # A process that dies in the middle loses no count and no line.
            before = gateway.served.child("edge")
            os.kill(before, signal.SIGKILL)
            gateway.served.wait_for_new_child("edge", before)
        record = str(number * 7919)
        for _ in range(100):
            status = gateway.ask(f"/rights/{record}", cookie)
            if status not in (0, 502, 503):
                break
        if status == 200:
            given.append(record)
    assert len(given) == LIMIT - 1
    assert gateway.ask("/", cookie) == 401

    assert gateway.run("audit", "verify") == 0
    assert gateway.run("guard", "blocked") == 0
    assert f"{PERSON.national_id}  " in capsys.readouterr().out
    assert gateway.run("audit", "touched", "--identity", PERSON.national_id) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{LIMIT - 1} records in ")
    assert [event["effect"] for event in gateway.audit() if event["event"] == "guard"] == ["block"]

    # Every process goes on with another key, and what was written before is still found.
    assert gateway.run("audit", "rotate-key") == 0
    assert gateway.run("guard", "clear", "--identity", PERSON.national_id) == 0
    assert gateway.ask("/rights/7", gateway.log_in()) == 200
    assert gateway.run("audit", "verify") == 0
    capsys.readouterr()
    assert gateway.run("audit", "who", "--record", "7") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 cards; 0 requests refused"
    assert gateway.run("audit", "who", "--record", given[0]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 cards; ")
