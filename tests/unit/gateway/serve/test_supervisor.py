import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.serve import child, supervisor
from gateway.serve.child import Program
from gateway.serve.supervisor import Supervisor
from tests.support.serving import group_members


def _programs(*kinds: str) -> list[Program]:
    return [
        Program(name=f"{number} {kind}", module="tests.support.fake_child", order=kind.encode())
        for number, kind in enumerate(kinds)
    ]


class Run:
    """One run of a supervisor: what it said, and the processes that it started."""

    def __init__(self, *kinds: str) -> None:
        self.said: list[str] = []
        self.supervisor = Supervisor(_programs(*kinds), ready="ready here")

    def until(self, act: Callable[[], object]) -> int:
        """Run until the end; *act* is called once the supervisor said that it is ready."""

        def say(line: str) -> None:
            self.said.append(line)
            asyncio.get_running_loop().call_soon(act)

        return asyncio.run(self.supervisor.run(say))

    @property
    def pids(self) -> list[int]:
        return [running.pid for running in self.supervisor._children.values()]

    def assert_nothing_left(self) -> None:
        assert [group_members(pid) for pid in self.pids] == [[] for _ in self.pids]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(child, "STOP_SECONDS", 0.2)
    monkeypatch.chdir(Path(__file__).parents[4])


def _interrupt(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_ends_everything_in_order(number: signal.Signals) -> None:
    run = Run("good", "helper")
    assert run.until(lambda: _interrupt(number)) == 0
    assert run.said == ["ready here"]
    assert len(run.pids) == 2
    run.assert_nothing_left()


def test_a_child_that_ignores_the_signal_is_killed() -> None:
    run = Run("deaf")
    assert run.until(_interrupt) == 0
    run.assert_nothing_left()


def test_a_child_that_ends_is_started_again_and_leaves_nothing() -> None:
    run = Run("helper", "good")
    first: list[int] = []

    def kill_first() -> None:
        first.extend(run.pids)
        os.kill(first[0], signal.SIGKILL)
        asyncio.get_running_loop().create_task(wait_for_another())

    async def wait_for_another() -> None:
        async with asyncio.timeout(5):
            while run.pids[0] == first[0]:
                await asyncio.sleep(0.01)
        _interrupt()

    assert run.until(kill_first) == 0
    assert run.pids[1] == first[1]
    assert group_members(first[0]) == []
    run.assert_nothing_left()


def test_a_child_that_keeps_dying_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "MAX_QUICK_DEATHS", 2)
    run = Run("good", "dies")
    assert run.until(lambda: None) == supervisor.EXIT_FAILED
    run.assert_nothing_left()


def test_a_child_that_does_not_start_stops_the_start() -> None:
    run = Run("good", "fails")
    assert run.until(lambda: None) == supervisor.EXIT_CONFIGURATION
    assert run.said == []
    run.assert_nothing_left()


def test_a_child_that_never_answers_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "START_SECONDS", 0.2)
    run = Run("mute")
    assert run.until(lambda: None) == supervisor.EXIT_FAILED
    assert run.said == []
    run.assert_nothing_left()
