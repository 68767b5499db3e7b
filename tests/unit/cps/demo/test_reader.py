"""How the demo comes by a reader, and that it goes on without one; a real service is driven in
``tests/e2e``."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("smartcard", reason="pyscard is not installed")

from cps.demo import reader
from cps.demo.processes import Program, Programs
from cps.demo.reader import find_reader
from cps.errors import NoServiceError, TransportError
from cps.transport import pcsc
from cps.transport.connection import ReaderState

VIRTUAL = ReaderState(name="Virtual PCD 00 00", present=False, atr=b"", events=0)
OCCUPIED = ReaderState(name="Virtual PCD 00 00", present=True, atr=b"\x3b", events=1)
OTHER = ReaderState(name="Some Reader 00 00", present=False, atr=b"", events=0)
Answer = Sequence[ReaderState] | TransportError


class CountingPrograms(Programs):
    """The demo's programs, and how often one was started."""

    def __init__(self, logs: Path) -> None:
        super().__init__(logs)
        self.starts = 0

    def adopt(self, name: str, argv: Sequence[str]) -> Program:
        self.starts += 1
        return super().adopt(name, argv)


class Service:
    """A PC/SC service with an answer of its own for each number of times that it was started."""

    def __init__(self, programs: CountingPrograms, *answers: Answer) -> None:
        self._programs = programs
        self._answers = answers

    def readers(self) -> Sequence[ReaderState]:
        answer = self._answers[min(self._programs.starts, len(self._answers) - 1)]
        if isinstance(answer, TransportError):
            raise answer
        return answer


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[CountingPrograms]:
    with CountingPrograms(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def pcscd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in pcscd's place, and wait for nothing."""
    program = tmp_path / "fake-pcscd"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr(reader, "PCSCD", program)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(reader, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(reader, "POLL_SECONDS", 0.01)
    return program


def find(
    programs: CountingPrograms, monkeypatch: pytest.MonkeyPatch, service: Service
) -> tuple[bool, list[str]]:
    monkeypatch.setattr(pcsc, "PCSCTerminal", lambda: service)
    said: list[str] = []
    return find_reader(programs, said.append), said


NO_SERVICE = NoServiceError("PC/SC is not running")


def test_an_empty_virtual_reader_of_a_service_that_runs_is_taken(
    programs: CountingPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(programs, monkeypatch, Service(programs, [OTHER, VIRTUAL])) == (True, [])
    assert programs.starts == 0


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        pytest.param([OTHER], "restart it to load vsmartcard-vpcd", id="no-virtual-reader"),
        pytest.param([OCCUPIED], "holds a card already", id="a-card-in-it"),
        pytest.param(TransportError("80100001"), "cannot be used: 80100001", id="out-of-order"),
    ],
)
def test_a_service_that_is_no_use_is_left_alone_and_the_demo_says_why(
    programs: CountingPrograms,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    word: str,
) -> None:
    found, said = find(programs, monkeypatch, Service(programs, answer))

    assert not found
    assert len(said) == 1
    assert word in said[0]
    assert programs.starts == 0


def test_pcscd_is_started_where_none_runs(
    programs: CountingPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, said = find(programs, monkeypatch, Service(programs, NO_SERVICE, [VIRTUAL]))

    assert found
    assert said == ["no PC/SC service ran: started pcscd for the demo"]
    programs.require_alive()


def test_a_pcscd_whose_port_was_taken_is_started_again(
    programs: CountingPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, said = find(programs, monkeypatch, Service(programs, NO_SERVICE, [OTHER], [VIRTUAL]))

    assert found
    assert programs.starts == 2
    assert said == ["no PC/SC service ran: started pcscd for the demo"]
    # Of the first one nothing is left that the demo would wait for.
    programs.require_alive()


def test_a_pcscd_that_never_shows_the_reader_is_given_up(
    programs: CountingPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SERVICE_TRIES", 2)

    found, said = find(programs, monkeypatch, Service(programs, NO_SERVICE, [OTHER]))

    assert not found
    assert programs.starts == 2
    assert [line for line in said if "TCP port 35963" in line] == said != []
    programs.require_alive()


def test_a_pcscd_that_ends_at_once_is_not_waited_for(
    programs: CountingPrograms, pcscd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pcscd.write_text("#!/bin/sh\nexit 1\n")
    monkeypatch.setattr(reader, "SERVICE_TRIES", 1)
    monkeypatch.setattr(reader, "SERVICE_SECONDS", 3600.0)

    found, _ = find(programs, monkeypatch, Service(programs, NO_SERVICE))

    assert not found


@pytest.mark.parametrize("user", [pytest.param(1000, id="no-root"), pytest.param(0, id="no-pcscd")])
def test_pcscd_is_not_started_where_it_cannot_be(
    programs: CountingPrograms, pcscd: Path, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if user == 0:
        monkeypatch.setattr(reader, "PCSCD", pcscd.with_name("absent"))

    found, said = find(programs, monkeypatch, Service(programs, NO_SERVICE))

    assert not found
    assert "only root can start pcscd" in said[0]
    assert programs.starts == 0


def test_without_pyscard_the_demo_goes_on(
    programs: CountingPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cps.transport.pcsc", None)

    said: list[str] = []
    assert not find_reader(programs, said.append)
    assert "pyscard is not installed" in said[0]
