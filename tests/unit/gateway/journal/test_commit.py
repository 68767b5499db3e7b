import threading
from collections.abc import Sequence

import pytest

from gateway.errors import StoreUnavailableError
from gateway.journal import commit
from gateway.journal.commit import GroupCommit
from gateway.journal.line import Fields


class SlowDisk:
    """Keeps what it gets, once it is let."""

    def __init__(self) -> None:
        self.may_write = threading.Event()
        self.is_writing = threading.Event()
        self.batches: list[list[Fields]] = []
        self.fault: Exception | None = None

    def write(self, records: Sequence[Fields]) -> None:
        self.is_writing.set()
        assert self.may_write.wait(5)
        if self.fault is not None:
            raise self.fault
        self.batches.append(list(records))


def test_lines_that_come_meanwhile_are_written_together() -> None:
    disk = SlowDisk()
    group = GroupCommit(disk.write, name="journal")
    first = group.submit({"number": 0})
    assert disk.is_writing.wait(5)
    others = [group.submit({"number": number}) for number in range(1, 10)]
    assert not first.done()
    disk.may_write.set()
    for done in (first, *others):
        done.result(5)
    assert [len(batch) for batch in disk.batches] == [1, 9]
    group.close()


def test_whoever_stops_waiting_does_not_stop_the_line() -> None:
    disk = SlowDisk()
    group = GroupCommit(disk.write, name="journal")
    assert not group.submit({"number": 0}).cancel()
    disk.may_write.set()
    group.close()
    assert disk.batches == [[{"number": 0}]]


def test_a_failure_reaches_everybody_who_waits_and_the_next_may_succeed() -> None:
    disk = SlowDisk()
    disk.may_write.set()
    disk.fault = StoreUnavailableError("full")
    group = GroupCommit(disk.write, name="journal")
    with pytest.raises(StoreUnavailableError):
        group.submit({"number": 0}).result(5)
    disk.fault = None
    group.submit({"number": 1}).result(5)
    assert disk.batches == [[{"number": 1}]]
    group.close()


def test_a_field_that_no_line_holds_fails_nobody_else() -> None:
    group = GroupCommit(SlowDisk().write, name="journal")
    with pytest.raises(TypeError):
        group.submit({"n": 1})
    group.close()


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "MAX_WAITING", 2)
    disk = SlowDisk()
    group = GroupCommit(disk.write, name="journal")
    group.submit({"number": 0})
    assert disk.is_writing.wait(5)
    waiting = [group.submit({"number": number}) for number in (1, 2)]
    with pytest.raises(StoreUnavailableError, match="too many"):
        group.submit({"number": 3}).result(5)
    disk.may_write.set()
    for done in waiting:
        done.result(5)
    group.close()


def test_nothing_is_taken_after_the_end() -> None:
    group = GroupCommit(SlowDisk().write, name="journal")
    group.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        group.submit({"number": 0}).result(5)
