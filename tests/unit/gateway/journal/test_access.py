import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from gateway.errors import StoreUnavailableError
from gateway.journal.access import Access, AccessJournal, RecordNames
from gateway.journal.line import MAX_TEXT_CHARS
from tests.support.chains import ChainPlace

ACCESS = Access(
    who="899900000013",
    card="2899000001",
    session="0123456789abcdef",
    client="192.0.2.7",
    route="rights",
    method="GET",
    record="1850175000001",
)


@pytest.fixture
def place(tmp_path: Path) -> ChainPlace:
    return ChainPlace(tmp_path / "chain")


def run(
    place: ChainPlace,
    work: Callable[[AccessJournal], Coroutine[Any, Any, None]],
    *,
    refuses: bool = True,
    told: list[str] | None = None,
) -> None:
    journal = AccessJournal(
        place.chain(),
        RecordNames(place.keys, "hashed"),
        lambda: place.now,
        refuses=refuses,
        on_failure=(told if told is not None else []).append,
    )
    try:
        asyncio.run(work(journal))
    finally:
        journal.close()


def test_an_access_is_one_line_with_all_that_is_asked_for_later(place: ChainPlace) -> None:
    async def work(journal: AccessJournal) -> None:
        await journal.record(ACCESS, status=200, effect="slow")
        assert len(place.lines()) == 2

    run(place, work)
    assert place.lines()[1].fields == {
        "at": "2026-11-23T09:30:00.000Z",
        "event": "access",
        "who": "899900000013",
        "card": "2899000001",
        "session": "0123456789abcdef",
        "client": "192.0.2.7",
        "route": "rights",
        "method": "GET",
        "record": f"h:{place.key.records.hash('1850175000001')}",
        "status": 200,
        "effect": "slow",
    }


def test_an_access_without_an_answer_is_written_too(place: ChainPlace) -> None:
    async def work(journal: AccessJournal) -> None:
        journal.note(ACCESS)

    run(place, work)
    assert place.values("status") == [None]


def test_a_browser_that_hangs_up_does_not_stop_the_line(place: ChainPlace) -> None:
    async def work(journal: AccessJournal) -> None:
        task = asyncio.create_task(journal.record(ACCESS, status=200))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(place, work)
    assert place.values("status") == [200]


def test_what_cannot_be_written_is_refused_until_it_can(
    place: ChainPlace, mocker: MockerFixture
) -> None:
    told: list[str] = []

    async def work(journal: AccessJournal) -> None:
        await journal.require_ready()
        mocker.patch("os.fdatasync", side_effect=OSError(28, "disk full"))
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="disk full"):
                await journal.record(ACCESS, status=200)
            with pytest.raises(StoreUnavailableError, match="disk full"):
                await journal.require_ready()
        mocker.stopall()
        await journal.require_ready()
        await journal.record(ACCESS, status=201)

    run(place, work, told=told)
    assert len(told) == 1
    assert place.values("event") == ["checkpoint", "resumed", "access"]


def test_by_setting_it_goes_on_with_an_alarm(place: ChainPlace, mocker: MockerFixture) -> None:
    told: list[str] = []

    async def work(journal: AccessJournal) -> None:
        mocker.patch("os.fdatasync", side_effect=OSError(28, "disk full"))
        await journal.record(ACCESS, status=200)
        await journal.require_ready()

    run(place, work, refuses=False, told=told)
    assert len(told) == 1
    assert place.paths() == []


def test_records_are_named_as_the_settings_say(place: ChainPlace) -> None:
    hashed, plain = RecordNames(place.keys, "hashed"), RecordNames(place.keys, "plain")
    assert hashed.name("185") == f"h:{place.key.records.hash('185')}"
    assert plain.name("185") == "p:185"
    assert hashed.all_names("185") == [hashed.name("185"), plain.name("185")]


def test_two_long_records_have_two_names(place: ChainPlace) -> None:
    plain = RecordNames(place.keys, "plain")
    one, other = "x" * MAX_TEXT_CHARS + "1", "x" * MAX_TEXT_CHARS + "2"
    assert plain.name(one) != plain.name(other)
    assert len(plain.name(one)) <= MAX_TEXT_CHARS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 85 01 75 000 001", "1850175000001"),
        ("00123", "123"),
        ("ABC-7", "abc-7"),
        ("１２３", "123"),
        ("\u0661\u0662\u0663", "123"),
        ("12\t3\n", "123"),
        ("000", "0"),
    ],
    ids=[
        "spaces",
        "zeros",
        "capitals",
        "wide digits",
        "Arabic digits",
        "other white space",
        "nothing but zeros",
    ],
)
def test_spellings_that_a_portal_may_read_as_one_have_one_name(
    place: ChainPlace, one: str, other: str
) -> None:
    for mode in ("hashed", "plain"):
        names = RecordNames(place.keys, "hashed" if mode == "hashed" else "plain")
        assert names.name(one) == names.name(other)


def test_other_records_have_other_names(place: ChainPlace) -> None:
    names = RecordNames(place.keys, "hashed")
    assert len({names.name(record) for record in ("12-3", "1-23", "123", "1230", "a", "0a")}) == 6
