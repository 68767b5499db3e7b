from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.session.model import Session
from gateway.session.recorder import session_name
from gateway.session.selection import Selection, find
from gateway.settings import SessionSettings
from tests.support.logins import DOCTOR, EMPLOYEE, MOMENT, agent_key

OTHER_CARD = replace(DOCTOR, card_number="2899000002")


class CountingStore(MemorySessionStore):
    """Counts the sessions that were read one by one."""

    def __init__(self) -> None:
        super().__init__(SessionSettings())
        self.read = 0

    def living(self, *, now: datetime) -> Iterator[Session]:
        for each in super().living(now=now):
            self.read += 1
            yield each


@pytest.fixture
def store() -> CountingStore:
    """A store with three sessions of the doctor, one by another card, and one of an employee."""
    store, key = CountingStore(), agent_key()
    people = (DOCTOR, EMPLOYEE, OTHER_CARD, DOCTOR)
    for age, person in enumerate(people):
        store.create(person, key, now=MOMENT + timedelta(seconds=age))
    return store


@pytest.mark.parametrize(
    ("selection", "ages"),
    [
        pytest.param(Selection(), [0, 1, 2, 3], id="all"),
        pytest.param(Selection(identity=DOCTOR.national_id), [0, 2, 3], id="of a person"),
        pytest.param(Selection(card="2899000002"), [2], id="of a card"),
        pytest.param(
            Selection(identity=DOCTOR.national_id, card="2899000001"), [0, 3], id="of both"
        ),
        pytest.param(
            Selection(identity=EMPLOYEE.national_id, card="2899000002"), [], id="of neither"
        ),
        pytest.param(Selection(identity=""), [], id="of an empty number"),
        pytest.param(Selection(identity="89999000001"), [], id="of half a number"),
    ],
)
def test_those_are_found_that_are_meant(
    store: CountingStore, selection: Selection, ages: list[int]
) -> None:
    found = find(store, selection, now=MOMENT, most=10)
    assert [(each.created_at - MOMENT).seconds for each in found.sessions] == ages
    assert found.count == len(ages)


def test_one_is_found_by_its_name_alone(store: CountingStore) -> None:
    key = cookie_hash(store.create(DOCTOR, agent_key(), now=MOMENT))
    found = find(store, Selection(name=session_name(key)), now=MOMENT, most=10)
    assert [each.key for each in found.sessions] == [key]
    assert not find(store, Selection(name=key.hex()), now=MOMENT, most=10).sessions


@pytest.mark.parametrize(("first", "ages"), [(0, [0, 1]), (2, [2, 3]), (3, [3]), (4, []), (9, [])])
def test_no_more_are_kept_than_asked_for_and_all_are_counted(
    store: CountingStore, first: int, ages: list[int]
) -> None:
    found = find(store, Selection(), now=MOMENT, first=first, most=2)
    assert [(each.created_at - MOMENT).seconds for each in found.sessions] == ages
    assert found.count == 4


def test_those_of_one_person_are_counted_to_the_last(store: CountingStore) -> None:
    found = find(store, Selection(identity=DOCTOR.national_id), now=MOMENT, most=1)
    assert (len(found.sessions), found.count) == (1, 3)


def test_where_all_are_meant_no_more_are_read_than_needed(store: CountingStore) -> None:
    find(store, Selection(), now=MOMENT, most=2)
    assert store.read == 3


def test_those_that_are_over_are_not_found(store: CountingStore) -> None:
    later = MOMENT + timedelta(seconds=3601)
    assert find(store, Selection(), now=later, most=10).count == 2
