"""``cps virtual insert`` as its own process, with a real pcscd around it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cps.atr import CPS3_CONTACT_ATR, CPS4_ATR
from cps.errors import CardResetError, TransportError
from cps.simulator.image import CardImage
from cps.transport.connection import ReaderState
from tests.support import cards
from tests.support.pcsc import VirtualReader

pytestmark = pytest.mark.pcscd

SECONDS = 10.0
WRONG_PIN = bytes.fromhex("00 20 00 01 04 39393939")
PIN = bytes.fromhex("00 20 00 01 04 31323334")
STATUS = bytes.fromhex("00 20 00 01 00")

Insert = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    cards.image().write(tmp_path / "first.json")
    cards.cps4_image().write(tmp_path / "second.json")
    return tmp_path


@pytest.fixture
def insert(home: Path, pcscd: VirtualReader) -> Iterator[Insert]:
    """Give a function that starts ``cps virtual insert NAME``; all are ended after the test."""
    processes: list[subprocess.Popen[str]] = []
    virtual = [sys.executable, "-m", "cps.main", "virtual"]

    def start(name: str, *options: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*virtual, "insert", "--home", str(home), name, *options],
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
    assert error.startswith("cps virtual: first is in the virtual reader: `cps virtual remove`")
    await_presence(pcscd, present=True)


def test_a_card_of_another_folder_is_told_so_too(
    pcscd: VirtualReader, insert: Insert, tmp_path: Path
) -> None:
    assert said(insert("first")) == "inserted first"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cards.image().write(elsewhere / "third.json")

    third = insert("third", "--home", str(elsewhere))
    _, error = third.communicate(timeout=SECONDS)

    assert third.returncode == 1
    assert error == "cps virtual: another card is in the virtual reader\n"
    await_presence(pcscd, present=True)


def test_the_same_card_twice_is_told_that_it_runs_already(home: Path, insert: Insert) -> None:
    assert said(insert("first")) == "inserted first"

    again = insert("first", "--port", "35964")
    _, error = again.communicate(timeout=SECONDS)

    assert again.returncode == 1
    assert error.endswith("first.json: another process runs this card\n")


def command(home: Path, *arguments: str) -> str:
    """Return what ``cps virtual`` says that succeeds."""
    virtual = [sys.executable, "-m", "cps.main", "virtual"]
    done = subprocess.run(
        [*virtual, *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=3 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_process_takes_the_card_out(
    pcscd: VirtualReader, insert: Insert, home: Path
) -> None:
    process = insert("first")
    assert said(process) == "inserted first"
    await_presence(pcscd, present=True)

    assert command(home, "remove") == "removed first\n"

    assert process.wait(SECONDS) == 0
    await_presence(pcscd, present=False)
    command(home, "block", "first")


def test_another_process_swaps_the_card_and_pcsc_sees_both(
    pcscd: VirtualReader, insert: Insert, home: Path
) -> None:
    from cps.transport.pcsc import PCSCTerminal

    def state() -> ReaderState:
        return next(each for each in PCSCTerminal().readers() if each.name == pcscd.name)

    process = insert("first")
    said(process)
    await_presence(pcscd, present=True)
    before = state()

    assert command(home, "swap", "second") == "removed first\ninserted second\n"

    await_presence(pcscd, present=True)
    after = state()
    assert before.atr == CPS3_CONTACT_ATR
    assert after.atr == CPS4_ATR
    assert after.events > before.events
    assert "second" in next(
        line for line in command(home, "list").splitlines() if "in the reader" in line
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0


def test_a_card_reset_as_another_program_may_has_forgotten_the_pin(
    pcscd: VirtualReader, insert: Insert, home: Path
) -> None:
    from cps.transport.pcsc import PCSCTerminal

    process = insert("first")
    said(process)
    await_presence(pcscd, present=True)
    connection = PCSCTerminal().connect(pcscd.name)
    assert connection.transmit(PIN) == b"\x90\x00"

    assert command(home, "reset") == "reset first\n"

    with pytest.raises(CardResetError):
        connection.transmit(STATUS)
    connection.close()
    assert transmit(pcscd, STATUS) == b"\x63\xc3"


def test_a_card_pulled_out_in_the_middle_of_a_command_has_counted_the_try(
    pcscd: VirtualReader, insert: Insert, home: Path
) -> None:
    process = insert("first", "--fault", "removed-during@2")
    said(process)
    await_presence(pcscd, present=True)
    assert transmit(pcscd, STATUS) == b"\x63\xc3"

    with pytest.raises(TransportError):
        transmit(pcscd, WRONG_PIN)

    assert process.wait(SECONDS) == 0
    assert CardImage.read(home / "first.json").reference_data[0].tries_left == 2
