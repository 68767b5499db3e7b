import errno
import fcntl
import json
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from gateway.errors import StoreUnavailableError
from gateway.journal import chain as chain_module
from gateway.journal.chain import MAX_PURGED
from gateway.journal.checkpoint import CHECKPOINT_LINES
from gateway.journal.line import START, digest_of
from tests.support.chains import ChainPlace


@pytest.fixture
def place(tmp_path: Path) -> ChainPlace:
    return ChainPlace(tmp_path / "chain")


def test_each_line_names_its_number_and_the_hash_of_the_one_before(place: ChainPlace) -> None:
    place.chain().append([{"event": "a"}, {"event": "b"}])
    contents = place.paths()[0].read_bytes().splitlines()
    lines = [json.loads(content) for content in contents]
    assert [line["event"] for line in lines] == ["checkpoint", "a", "b"]
    assert [line["n"] for line in lines] == [1, 2, 3]
    digests = [START.digest, *(digest_of(content) for content in contents)]
    assert [line["prev"] for line in lines] == digests[:-1]
    assert place.faults() == []


def test_files_and_folder_are_closed_to_other_users(place: ChainPlace) -> None:
    place.chain().append([{"event": "a"}])
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in place.folder.iterdir()} == {0o600}


def test_several_processes_continue_one_chain(place: ChainPlace) -> None:
    one, other = place.chain(), place.chain()
    for number in range(4):
        (one if number % 2 else other).append([{"number": number}])
    assert place.values("number") == [0, 1, 2, 3]
    assert place.verify().faults == []
    assert place.verify().checkpoints == 1


def test_threads_and_processes_that_write_at_once_make_one_chain(place: ChainPlace) -> None:
    chains = [place.chain(), place.chain()]

    def write(thread: int) -> None:
        for number in range(20):
            chains[thread % 2].append([{"thread": thread, "number": number}])

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(place.values("number")) == 80
    assert place.faults() == []


def test_a_checkpoint_comes_after_enough_lines(place: ChainPlace) -> None:
    chain = place.chain()
    for _ in range(3):
        chain.append([{"event": "a"}] * (CHECKPOINT_LINES // 2))
    assert place.verify().checkpoints == 2


def test_a_full_file_is_followed_by_another(place: ChainPlace) -> None:
    place.file_bytes = 1000
    chain = place.chain()
    for number in range(20):
        chain.append([{"number": number}])
    assert len(place.paths()) > 2
    assert place.values("number") == list(range(20))
    assert place.faults() == []


def test_a_new_day_begins_a_new_file(place: ChainPlace) -> None:
    chain = place.chain()
    chain.append([{"event": "a"}])
    place.now += timedelta(days=1)
    chain.append([{"event": "b"}])
    assert [path.name[-14:-6] for path in place.paths()] == ["20261123", "20261124"]
    assert place.full == place.paths()[:1]
    assert place.faults() == []


def test_a_file_whose_time_is_over_goes_and_the_chain_says_so(place: ChainPlace) -> None:
    place.retention = timedelta(days=2)
    chain = place.chain()
    for _ in range(6):
        chain.append([{"event": "a"}])
        place.now += timedelta(days=1)
    assert [path.name[-14:-6] for path in place.paths()] == [
        "20261125",
        "20261126",
        "20261127",
        "20261128",
    ]
    assert place.values("through") == [2, 4]
    assert place.faults() == []


def write_a_day(place: ChainPlace) -> None:
    place.chain().append([{"event": "a"}])
    place.now += timedelta(days=1)


@pytest.mark.parametrize("days", [-10_000, -400], ids=["battery dead", "last year"])
def test_a_clock_that_was_set_back_removes_nothing(place: ChainPlace, days: int) -> None:
    write_a_day(place)
    right = place.now
    place.now += timedelta(days=days)
    place.chain().append([{"event": "a"}])
    place.now = right
    for _ in range(3):
        write_a_day(place)
    assert len(place.paths()) == 5
    assert place.faults() == []


def test_a_clock_that_is_ahead_for_once_costs_no_more_than_the_oldest_files(
    place: ChainPlace,
) -> None:
    for _ in range(10):
        write_a_day(place)
    right = place.now
    place.now += timedelta(days=4000)
    place.chain().append([{"event": "a"}])
    place.now = right
    write_a_day(place)
    assert len(place.paths()) == 10 - MAX_PURGED + 2
    assert place.faults() == []


def test_files_of_a_clock_that_was_ahead_go_in_their_turn(place: ChainPlace) -> None:
    place.retention = timedelta(days=2)
    write_a_day(place)
    right = place.now
    place.now += timedelta(days=4000)
    write_a_day(place)
    place.now = right
    for _ in range(8):
        write_a_day(place)
    assert [path.name[-14:-6] for path in place.paths()] == [
        "20261128",
        "20261129",
        "20261130",
        "20261201",
    ]
    assert place.faults() == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["disk full", "disk broken"])
def test_what_cannot_be_written_is_not_there_and_the_chain_goes_on(
    place: ChainPlace, mocker: MockerFixture, code: int
) -> None:
    chain = place.chain()
    chain.append([{"number": 1}])
    mocker.patch.object(os, "fdatasync", side_effect=OSError(code, os.strerror(code)))
    with pytest.raises(StoreUnavailableError, match=os.strerror(code)):
        chain.append([{"number": 2}])
    mocker.stopall()
    chain.append([{"number": 3}])
    assert place.values("number") == [1, 3]
    assert place.faults() == []


def test_a_disk_that_takes_half_a_line_leaves_none(
    place: ChainPlace, mocker: MockerFixture
) -> None:
    chain = place.chain()
    chain.append([{"number": 1}])
    real, calls = os.write, []

    def half(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: len(data) // 2])

    mocker.patch.object(os, "write", side_effect=half)
    with pytest.raises(StoreUnavailableError, match="No space left"):
        chain.append([{"number": 2}])
    mocker.stopall()
    place.chain().append([{"number": 3}])
    assert place.values("number") == [1, 3]
    assert place.faults() == []


def test_a_first_file_that_cannot_be_written_is_not_left_behind(
    place: ChainPlace, mocker: MockerFixture
) -> None:
    mocker.patch.object(os, "fdatasync", side_effect=OSError(errno.ENOSPC, "full"))
    with pytest.raises(StoreUnavailableError):
        place.chain().append([{"number": 1}])
    mocker.stopall()
    assert place.paths() == []
    place.chain().append([{"number": 2}])
    assert place.faults() == []


def test_a_process_that_stands_still_with_the_lock_holds_nobody_up(
    place: ChainPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "LOCK_SECONDS", 0.05)
    place.chain().append([{"number": 1}])
    with (place.folder / "lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailableError, match="keeps the lock"):
            place.chain().append([{"number": 2}])
    place.chain().append([{"number": 3}])
    assert place.values("number") == [1, 3]


def test_a_field_that_no_line_can_hold_is_refused(place: ChainPlace) -> None:
    with pytest.raises(TypeError):
        place.chain().append([{"n": 7}])
    assert place.paths() == []
