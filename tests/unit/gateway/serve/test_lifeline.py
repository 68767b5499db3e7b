import os
import signal
import socket
import threading

import pytest
from pytest_mock import MockerFixture

from gateway.serve import lifeline
from gateway.serve.lifeline import READY, Lifeline


def test_the_supervisor_hears_that_the_child_is_ready() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        tie = Lifeline(os.dup(theirs.fileno()))
        tie.say_ready()
        assert ours.recv(100) == READY
        tie._socket.close()


def test_the_group_ends_with_the_supervisor(
    mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's call is faked: a real one would end the tests."""
    monkeypatch.setattr(lifeline, "GRACE_SECONDS", 0.01)
    killed = threading.Event()
    calls: list[tuple[int, int]] = []

    def killpg(group: int, number: int) -> None:
        calls.append((group, number))
        if number == signal.SIGKILL:
            killed.set()

    mocker.patch("gateway.serve.lifeline.os.killpg", killpg)
    ours, theirs = socket.socketpair()
    tie = Lifeline(theirs.detach())
    tie.follow()
    assert calls == []
    ours.close()
    assert killed.wait(2)
    tie._socket.close()
    assert calls == [(0, signal.SIGTERM), (0, signal.SIGKILL)]
