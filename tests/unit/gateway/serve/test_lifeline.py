import os
import signal
import socket
import threading

import pytest
from pytest_mock import MockerFixture

from gateway.serve import lifeline
from gateway.serve.lifeline import END_OF_ORDER, READY, Lifeline


def test_the_supervisor_hears_that_the_child_is_ready() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        tie = Lifeline(os.dup(theirs.fileno()))
        tie.say_ready()
        assert ours.recv(100) == READY
        tie._socket.close()


def test_what_is_said_again_and_again_to_nobody_is_not_waited_with() -> None:
    """A worker that is killed is replaced, however often, and each new one says it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        tie = Lifeline(os.dup(theirs.fileno()))

        def say() -> None:
            for _ in range(1000):
                tie.say_ready()

        speaker = threading.Thread(target=say, daemon=True)
        speaker.start()
        speaker.join(5)
        assert not speaker.is_alive()
        assert ours.recv(len(READY)) == READY
        tie._socket.close()


def test_the_child_gets_its_order_whole() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        tie = Lifeline(os.dup(theirs.fileno()))
        sender = threading.Thread(target=ours.sendall, args=(b"x" * 300_000 + END_OF_ORDER,))
        sender.start()
        assert tie.read_order() == b"x" * 300_000 + END_OF_ORDER
        sender.join()
        tie._socket.close()


@pytest.mark.parametrize("sent", [b"", b"half an order"], ids=["nothing", "half"])
def test_a_child_without_a_whole_order_does_nothing(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        tie = Lifeline(os.dup(theirs.fileno()))
        ours.sendall(sent)
        ours.close()
        with pytest.raises(ConnectionError):
            tie.read_order()
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
