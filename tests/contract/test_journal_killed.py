"""Processes that write the journal are killed in the middle of it, again and again."""

import secrets
import subprocess
import sys
import time
from pathlib import Path

from gateway.clock import system_clock
from gateway.journal.ring import begin_change, finish_change, load_or_create
from tests.support.chains import ChainPlace

ROUNDS = 6
PROCESSES = 2


def start(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.journal_writer", str(folder)],
        stdout=subprocess.PIPE,
    )


def kill_in_the_middle(processes: list["subprocess.Popen[bytes]"]) -> list[str]:
    """Kill both while they write; return what they said was acknowledged."""
    firsts = []
    for process in processes:
        assert process.stdout is not None
        firsts.append(process.stdout.readline())
    time.sleep(secrets.randbelow(100) / 1000)
    for process in processes:
        process.kill()
    rest = b"".join(firsts) + b"".join(process.communicate()[0] for process in processes)
    return [line.decode() for line in rest.split(b"\n")[:-1]]


def test_what_was_acknowledged_is_there_and_the_chain_is_whole(tmp_path: Path) -> None:
    place = ChainPlace(tmp_path / "chain", ring=load_or_create(tmp_path / "key"))
    acknowledged: list[str] = []
    for _ in range(ROUNDS):
        acknowledged += kill_in_the_middle([start(tmp_path) for _ in range(PROCESSES)])
        assert place.verify().faults == []
    written = {str(name).removeprefix("p:") for name in place.values("record")}
    assert len(acknowledged) > ROUNDS * PROCESSES
    assert set(acknowledged) - written == set()
    # What was lost, if anything, nobody was told of: at most what was under way.
    assert len(written) >= len(acknowledged)


def test_a_key_that_changes_while_processes_are_killed_leaves_a_whole_chain(tmp_path: Path) -> None:
    file = tmp_path / "key"
    place = ChainPlace(tmp_path / "chain", ring=load_or_create(file), now=system_clock())
    acknowledged: list[str] = []
    for _ in range(ROUNDS):
        processes = [start(tmp_path) for _ in range(PROCESSES)]
        for process in processes:
            assert process.stdout is not None
            acknowledged.append(process.stdout.readline().decode().strip())
        place.ring = begin_change(file, system_clock())
        acknowledged += kill_in_the_middle(processes)
        place.chain().hand_over()
        place.ring = finish_change(file)
        assert place.faults() == []
    written = {str(name).removeprefix("p:") for name in place.values("record")}
    assert set(acknowledged) - written == set()
    assert place.values("event").count("key_changed") == ROUNDS
    assert "damaged" not in place.values("event")


def test_a_disk_that_is_full_leaves_a_whole_chain(tmp_path: Path) -> None:
    """A limit on the size of files has the system refuse a write in the middle of a line."""
    place = ChainPlace(tmp_path / "chain", ring=load_or_create(tmp_path / "key"))
    script = (
        "import resource, runpy;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9999, 9999));"
        "runpy.run_module('tests.support.journal_writer', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, timeout=60, check=False
    )
    assert b"StoreUnavailableError" in done.stderr
    assert place.verify().faults == []
    written = {str(name).removeprefix("p:") for name in place.values("record")}
    assert {line.decode() for line in done.stdout.splitlines()} <= written
