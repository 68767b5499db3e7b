"""`cps card` as a program, at a real reader service, with a person at a real terminal."""

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import cards
from tests.support.card_readers import ChangingCard, Generation
from tests.support.pcsc import VirtualReader

pytestmark = pytest.mark.pcscd

SECONDS = 20.0
AT_TERMINAL = """
import os, sys
from cps.main import main
# Opened by the first process of a session, a terminal is the one that controls it.
os.close(os.open(sys.argv[1], os.O_RDWR))
sys.exit(main(["card", *sys.argv[2:]]))
"""
NEW = "4321"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a program said, and how it ended."""

    code: int
    out: str


@pytest.fixture(scope="module")
def card_at_reader(pcscd: VirtualReader, generation: Generation) -> Iterator[ChangingCard]:
    card = generation.card()
    with pcscd.holding(card):
        yield card


def run(*arguments: str) -> Answered:
    done = subprocess.run(
        [sys.executable, "-m", "cps.main", "card", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=os.environ | {"LC_ALL": "en_GB.UTF-8"},
    )
    return Answered(code=done.returncode, out=done.stdout + done.stderr)


def typing(arguments: list[str], *answers: tuple[str, str]) -> Answered:
    """Run a command at a terminal, where each question that is known gets its answer."""
    terminal, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", AT_TERMINAL, os.ttyname(theirs), *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"LC_ALL": "en_GB.UTF-8"},
        start_new_session=True,
    )
    os.close(theirs)
    seen, waiting = "", list(answers)
    while select.select([terminal], [], [], SECONDS)[0]:
        try:
            seen += os.read(terminal, 4096).decode()
        except OSError:
            break
        if waiting and seen.rstrip().endswith(waiting[0][0]):
            os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
    code = program.wait(SECONDS)
    os.close(terminal)
    assert not waiting, seen
    return Answered(code=code, out=seen)


def test_the_reader_is_listed(card_at_reader: ChangingCard, pcscd: VirtualReader) -> None:
    done = run("readers")
    assert done.code == 0
    assert f"{pcscd.name}: CPS" in done.out


def test_the_card_is_read(card_at_reader: ChangingCard, generation: Generation) -> None:
    done = run("read", "--json")
    assert done.code == 0
    description = json.loads(done.out)
    assert description["serial"] == cards.SERIAL
    assert description["protocol"] == ("T=0" if generation.t0 else "T=1")
    assert description["faults"] == []


def test_the_doctor_finds_nothing_but_the_dates_of_a_test_card(
    card_at_reader: ChangingCard,
) -> None:
    done = run("doctor")
    assert "[ OK ] The smart card service is running." in done.out
    assert f"[ OK ] Serial number of the chip: {cards.SERIAL}." in done.out
    assert "[ OK ] PIN: 3 tries left." in done.out


def test_the_trace_masks_the_pin(card_at_reader: ChangingCard) -> None:
    done = typing(["trace", "--sign"], ("cancels):", cards.PIN.decode()))
    assert done.code == 0
    assert "20 00 01 ** ** ** ** **" in done.out
    assert cards.PIN.decode() not in done.out
    assert cards.PIN.hex(" ").upper() not in done.out


def test_the_pin_is_changed_at_a_terminal(
    card_at_reader: ChangingCard, generation: Generation
) -> None:
    image = generation.image()
    card_at_reader.become(image)
    done = typing(
        ["pin", "change"],
        ("type YES:", "YES"),
        ("Present PIN (nothing is shown):", cards.PIN.decode()),
        ("New PIN (nothing is shown):", NEW),
        ("New PIN, once more:", NEW),
    )
    assert done.code == 0, done.out
    assert image.reference_data[0].digits == NEW.encode()
    assert NEW not in done.out


def test_without_a_terminal_no_code_is_asked(card_at_reader: ChangingCard) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cps.main", "card", "pin", "change"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert done.returncode == 1
    assert "terminal" in done.stderr
