"""One process says a word to another, and to no one else."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cps.errors import CardBusyError
from cps.virtual import control
from cps.virtual.control import MAX_WORDS_BYTES, ControlSocket, ask
from cps.virtual.errors import VirtualCardError

PORT = 12345
SECONDS = 5.0


class Ear:
    """Hears requests, and says yes to all but one."""

    def __init__(self) -> None:
        self.heard: list[list[str]] = []

    def answer(self, words: list[str]) -> str:
        self.heard.append(words)
        if words == ["refuse"]:
            raise VirtualCardError("not that")
        return "done that"


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def listening(tmp_path: Path, ear: Ear) -> Iterator[ControlSocket]:
    listening = ControlSocket(tmp_path, PORT, ear.answer)
    listening.open()
    yield listening
    listening.close()


@pytest.mark.usefixtures("listening")
def test_a_request_is_answered(tmp_path: Path, ear: Ear) -> None:
    assert ask(tmp_path, PORT, "swap", "other") == "done that"
    assert ask(tmp_path, PORT, "status") == "done that"
    assert ear.heard == [["swap", "other"], ["status"]]


@pytest.mark.usefixtures("listening")
def test_a_refusal_reaches_who_asked(tmp_path: Path) -> None:
    with pytest.raises(VirtualCardError, match="not that"):
        ask(tmp_path, PORT, "refuse")


@pytest.mark.usefixtures("listening")
def test_another_reader_is_another_process(tmp_path: Path) -> None:
    assert ask(tmp_path, PORT + 1, "status") is None


def test_where_nobody_listens_there_is_no_process(tmp_path: Path) -> None:
    assert ask(tmp_path, PORT, "status") is None
    assert ask(tmp_path / "nowhere", PORT, "status") is None


def test_a_reader_is_held_once_at_a_time(
    tmp_path: Path, ear: Ear, listening: ControlSocket
) -> None:
    second = ControlSocket(tmp_path, PORT, ear.answer)
    with pytest.raises(CardBusyError):
        second.open()
    second.close()
    assert ask(tmp_path, PORT, "status") == "done that", "the first one is still there"

    listening.close()
    second.open()
    assert ask(tmp_path, PORT, "status") == "done that"
    second.close()


def test_closing_leaves_no_ear_and_may_be_repeated(
    tmp_path: Path, listening: ControlSocket
) -> None:
    listening.close()
    listening.close()

    assert ask(tmp_path, PORT, "status") is None
    assert [file.name for file in tmp_path.iterdir()] == [f".reader-{PORT}.lock"]


def test_only_its_owner_reaches_it(tmp_path: Path, listening: ControlSocket) -> None:
    mode = (tmp_path / f".reader-{PORT}.socket").stat().st_mode

    assert stat.S_IMODE(mode) == 0o600


def test_a_folder_may_lie_deeper_than_a_socket_address_is_long(tmp_path: Path, ear: Ear) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    listening = ControlSocket(deep, PORT, ear.answer)
    listening.open()

    assert ask(deep, PORT, "status") == "done that"
    listening.close()


def test_what_a_killed_process_left_is_no_process_and_in_nobodys_way(
    tmp_path: Path, ear: Ear
) -> None:
    killed = (
        "import os, pathlib, signal\n"
        "from cps.virtual.control import ControlSocket\n"
        f"ControlSocket(pathlib.Path({str(tmp_path)!r}), {PORT}, str).open()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.run([sys.executable, "-c", killed], check=False)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / f".reader-{PORT}.socket").exists()

    assert ask(tmp_path, PORT, "status") is None
    listening = ControlSocket(tmp_path, PORT, ear.answer)
    listening.open()
    assert ask(tmp_path, PORT, "status") == "done that"
    listening.close()


def _raw(folder: Path) -> socket.socket:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(SECONDS)
        peer.connect(f"/proc/self/fd/{descriptor}/.reader-{PORT}.socket")
        return peer
    finally:
        os.close(descriptor)


@pytest.mark.usefixtures("listening")
def test_who_vanishes_or_says_too_much_is_no_harm(
    tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "REQUEST_SECONDS", 0.1)
    _raw(tmp_path).close()
    with _raw(tmp_path) as talkative:
        talkative.sendall(b"x" * (2 * MAX_WORDS_BYTES))
        assert talkative.recv(100) == b"ok done that\n"
    with _raw(tmp_path) as silent:
        assert silent.recv(100) == b""

    assert ask(tmp_path, PORT, "status") == "done that"
    assert max(len(words[0]) for words in ear.heard if words) == MAX_WORDS_BYTES


def test_a_process_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ANSWER_SECONDS", 0.1)
    go_on = threading.Event()

    def wait(words: list[str]) -> str:
        go_on.wait(SECONDS)
        return "late"

    listening = ControlSocket(tmp_path, PORT, wait)
    listening.open()
    with pytest.raises(VirtualCardError, match="does not answer"):
        ask(tmp_path, PORT, "status")
    go_on.set()
    listening.close()
