"""Why there may be no virtual reader, each reason with its words; the reader itself is tested with
a real service in ``tests/contract``."""

import fcntl
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("smartcard", reason="pyscard is not installed")

from cps.errors import NoServiceError
from cps.transport import pcsc
from cps.transport.connection import ReaderState
from cps.virtual import reader
from cps.virtual.reader import ReaderUnavailableError, virtual_reader


class Service:
    """A PC/SC service that shows some readers, or does not run."""

    def __init__(self, *states: ReaderState, runs: bool = True) -> None:
        self._states = states
        self._runs = runs

    def readers(self) -> Sequence[ReaderState]:
        if not self._runs:
            raise NoServiceError("PC/SC is not running")
        return self._states


def state(name: str, *, present: bool = False) -> ReaderState:
    return ReaderState(name=name, present=present, atr=b"", events=0)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the lock of this machine's reader out of it, and wait for nothing."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("LOCK_SECONDS", "SERVICE_SECONDS", "POLL_SECONDS"):
        monkeypatch.setattr(reader, name, 0.0)


def offered(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    monkeypatch.setattr(pcsc, "PCSCTerminal", lambda: service)


def reason(tmp_path: Path) -> str:
    with pytest.raises(ReaderUnavailableError) as caught, virtual_reader(tmp_path / "log"):
        pass
    return str(caught.value)


def test_the_first_virtual_reader_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("Virtual PCD 00 01", "Some Reader 00 00", "Virtual PCD 00 00")
    offered(monkeypatch, Service(*(state(name) for name in names)))

    with virtual_reader(tmp_path / "log") as found:
        assert found.name == "Virtual PCD 00 00"
        assert not found.present()


def test_without_pyscard_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    assert reason(tmp_path) == "pyscard is not installed"


def test_a_service_without_the_driver_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(monkeypatch, Service(state("Some Reader 00 00")))

    assert "install vsmartcard-vpcd" in reason(tmp_path)


def test_a_card_of_somebody_else_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(monkeypatch, Service(state("Virtual PCD 00 00", present=True)))

    assert reason(tmp_path) == "another program has a card in the virtual reader"


def test_a_service_that_does_not_run_is_started_by_root_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(monkeypatch, Service(runs=False))
    monkeypatch.setattr(shutil, "which", lambda name, path: "/usr/sbin/pcscd")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert reason(tmp_path) == "pcscd does not run, and only root can start it"


def test_a_service_that_is_not_installed_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(monkeypatch, Service(runs=False))
    monkeypatch.setattr(shutil, "which", lambda name, path: None)

    assert reason(tmp_path) == "pcscd is not installed"


class _LateService(Service):
    """Without a reader until it was started often enough, as where another has its port."""

    def __init__(self, starts: Path, *, needed: int) -> None:
        super().__init__()
        self._starts, self._needed = starts, needed

    def readers(self) -> Sequence[ReaderState]:
        count = len(self._starts.read_text().splitlines()) if self._starts.exists() else 0
        if not count:
            raise NoServiceError("PC/SC is not running")
        return [state("Virtual PCD 00 00")] if count >= self._needed else []


def _start_pcscd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, needed: int) -> Path:
    starts, program = tmp_path / "starts", tmp_path / "pcscd"
    program.write_text(f"#!/bin/sh\necho x >> {starts}\nexec sleep 60\n")
    program.chmod(0o700)
    offered(monkeypatch, _LateService(starts, needed=needed))
    monkeypatch.setattr(shutil, "which", lambda name, path: str(program))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(reader, "SERVICE_SECONDS", 0.3)
    monkeypatch.setattr(reader, "POLL_SECONDS", 0.01)
    return starts


def test_a_service_whose_port_was_taken_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = _start_pcscd(tmp_path, monkeypatch, needed=2)

    with virtual_reader(tmp_path / "log") as found:
        assert found.name == "Virtual PCD 00 00"
    assert starts.read_text() == "x\nx\n"


def test_a_service_is_not_started_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = _start_pcscd(tmp_path, monkeypatch, needed=99)
    monkeypatch.setattr(reader, "SERVICE_TRIES", 2)

    assert "has no reader" in reason(tmp_path)
    assert starts.read_text() == "x\nx\n"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[None]:
    with (tmp_path / "cps-virtual-reader.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("held")
def test_another_session_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch, Service(state("Virtual PCD 00 00")))

    assert reason(tmp_path) == "another test run holds the virtual reader"


def test_the_lock_of_another_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch, Service(state("Virtual PCD 00 00")))
    (tmp_path / "cps-virtual-reader.lock").mkdir()

    assert "cannot be locked" in reason(tmp_path)
