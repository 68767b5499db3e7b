import asyncio
import errno
import itertools
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
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

    def __init__(
        self, *kinds: str, programs: Sequence[Program] = (), renewal: "OneRenewal | None" = None
    ) -> None:
        self.said: list[str] = []
        self.supervisor = Supervisor(
            programs or _programs(*kinds), ready="ready here", renewal=renewal
        )

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


class OneRenewal:
    """Wants other programs when it is asked, and knows what became of that."""

    def __init__(self, *programs: Program, can_take_over: bool = True) -> None:
        self.programs = programs
        self.can_take_over = can_take_over
        self.was_accepted: bool | None = None

    async def next_programs(self) -> Sequence[Program]:
        return self.programs

    def certificates(self) -> tuple[int, ...]:
        return ()

    def accepted(self) -> bool:
        if self.can_take_over:
            self.was_accepted = True
        return self.can_take_over

    def refused(self) -> None:
        self.was_accepted = False


def _refuse_processes(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Have the system give out no more than so many processes from now on."""
    start: Callable[..., Awaitable[asyncio.subprocess.Process]] = asyncio.create_subprocess_exec
    given = itertools.count()

    async def refusing(*arguments: object, **options: object) -> asyncio.subprocess.Process:
        if next(given) >= after:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return await start(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refusing)


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


def test_a_child_that_ends_before_it_reads_its_order_stops_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone = Program(name="gone", module="tests.support.no_such_module", order=b"x")
    run = Run(programs=[gone])
    assert run.until(lambda: None) == supervisor.EXIT_FAILED
    assert run.said == []
    assert "gone did not start, exit code 1" in caplog.text


def test_a_first_child_that_the_system_refuses_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run("good", "helper")
    _refuse_processes(monkeypatch, after=1)
    assert run.until(lambda: None) == supervisor.EXIT_FAILED
    assert "1 helper cannot be started" in caplog.text
    run.assert_nothing_left()


@pytest.mark.parametrize("given", [0, 1], ids=["the first", "the second"])
def test_new_children_that_the_system_refuses_leave_the_old_ones_running(
    given: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    renewal = OneRenewal(*_programs("helper", "good"))
    run = Run("good", renewal=renewal)
    before: list[int] = []

    def renew() -> None:
        before.extend(run.pids)
        _refuse_processes(monkeypatch, after=given)
        _interrupt(signal.SIGHUP)
        asyncio.get_running_loop().create_task(wait_for_the_answer())

    async def wait_for_the_answer() -> None:
        async with asyncio.timeout(10):
            while renewal.was_accepted is None:
                await asyncio.sleep(0.01)
        assert run.pids == before
        assert [len(group_members(pid)) for pid in before] == [1]
        _interrupt()

    assert run.until(renew) == 0
    assert renewal.was_accepted is False
    assert f"{given} {('helper', 'good')[given]} cannot be started" in caplog.text
    run.assert_nothing_left()


def test_new_children_that_cannot_take_over_leave_the_old_ones_running() -> None:
    renewal = OneRenewal(*_programs("helper", "good"), can_take_over=False)
    run = Run("good", renewal=renewal)
    before: list[int] = []

    def renew() -> None:
        before.extend(run.pids)
        _interrupt(signal.SIGHUP)
        asyncio.get_running_loop().create_task(wait_for_the_answer())

    async def wait_for_the_answer() -> None:
        async with asyncio.timeout(10):
            while renewal.was_accepted is None:
                await asyncio.sleep(0.01)
        assert run.pids == before
        assert [len(group_members(pid)) for pid in before] == [1]
        _interrupt()

    assert run.until(renew) == 0
    assert renewal.was_accepted is False
    run.assert_nothing_left()


def test_a_child_that_must_be_alone_is_tried_again_where_the_system_refuses_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (alone,) = (replace(each, is_alone=True) for each in _programs("good"))
    renewal = OneRenewal(replace(alone, name="the next"))
    run = Run(programs=[alone], renewal=renewal)
    start = asyncio.create_subprocess_exec

    def renew() -> None:
        _refuse_processes(monkeypatch, after=0)
        _interrupt(signal.SIGHUP)
        asyncio.get_running_loop().create_task(give_processes_again())

    async def give_processes_again() -> None:
        async with asyncio.timeout(10):
            while "the next is not started; again in" not in caplog.text:
                await asyncio.sleep(0.01)
            monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
            while not run.pids:
                await asyncio.sleep(0.01)
        _interrupt()

    assert run.until(renew) == 0
    run.assert_nothing_left()


def test_a_child_that_cannot_be_started_again_is_tried_until_the_gateway_gives_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "MAX_QUICK_DEATHS", 3)
    run = Run("good", "dies")
    assert run.until(lambda: _refuse_processes(monkeypatch, after=0)) == supervisor.EXIT_FAILED
    assert caplog.text.count("1 dies cannot be started") == 3
    assert "1 dies does not stay alive, giving up" in caplog.text
    run.assert_nothing_left()
