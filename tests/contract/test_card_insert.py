"""``cps virtual insert`` as its own process, with a real pcscd around it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cps.simulator.image import CardImage
from tests.support import cards
from tests.support.pcsc import VirtualReader

pytestmark = pytest.mark.pcscd

SECONDS = 10.0
WRONG_PIN = bytes.fromhex("00 20 00 01 04 39393939")

Insert = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        cards.image().write(tmp_path / f"{name}.json")
    return tmp_path


@pytest.fixture
def insert(home: Path, pcscd: VirtualReader) -> Iterator[Insert]:
    """Give a function that starts ``cps virtual insert NAME``; all are ended after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(name: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "cps.main", "virtual", "insert", "--home", str(home), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    try:
        yield start
    finally:
        for process in processes:
            process.kill()
            process.communicate(timeout=SECONDS)
        await_presence(pcscd, present=False)


def said(process: "subprocess.Popen[str]") -> str:
    """Return the next line the process says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def await_presence(reader: VirtualReader, *, present: bool) -> None:
    deadline = time.monotonic() + SECONDS
    while reader.present() is not present:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def transmit(reader: VirtualReader, command: bytes) -> bytes:
    from cps.transport.pcsc import PCSCTerminal

    connection = PCSCTerminal().connect(reader.name)
    try:
        return connection.transmit(command)
    finally:
        connection.close()


def test_the_card_is_there_from_inserted_to_the_signal(
    pcscd: VirtualReader, insert: Insert, home: Path
) -> None:
    process = insert("first")
    assert said(process) == "inserted first"
    await_presence(pcscd, present=True)
    assert transmit(pcscd, WRONG_PIN) == b"\x63\xc2"

    process.send_signal(signal.SIGTERM)

    assert said(process) == "removed first"
    assert process.wait(SECONDS) == 0
    await_presence(pcscd, present=False)
    assert CardImage.read(home / "first.json").reference_data[0].tries_left == 2


def test_a_killed_card_is_removed_and_gives_no_try_back(
    pcscd: VirtualReader, insert: Insert
) -> None:
    process = insert("first")
    said(process)
    await_presence(pcscd, present=True)
    assert transmit(pcscd, WRONG_PIN) == b"\x63\xc2"
    process.kill()
    process.wait(SECONDS)
    await_presence(pcscd, present=False)

    assert said(insert("first")) == "inserted first"
    await_presence(pcscd, present=True)
    assert transmit(pcscd, WRONG_PIN) == b"\x63\xc1"


def test_a_second_card_is_told_that_the_reader_is_taken(
    pcscd: VirtualReader, insert: Insert
) -> None:
    assert said(insert("first")) == "inserted first"

    second = insert("second")
    _, error = second.communicate(timeout=SECONDS)

    assert second.returncode == 1
    assert error == "cps virtual: another card is in the virtual reader\n"
    await_presence(pcscd, present=True)


def test_the_same_card_twice_is_told_that_it_runs_already(insert: Insert) -> None:
    assert said(insert("first")) == "inserted first"

    again = insert("first")
    _, error = again.communicate(timeout=SECONDS)

    assert again.returncode == 1
    assert error.endswith("first.json: another process runs this card\n")
