from pathlib import Path

import pytest

from cps.demo import people


def test_every_number_is_unique_and_of_a_commune_that_does_not_exist() -> None:
    numbers = [person.nir for person in people.made_up_people()]
    assert len(set(numbers)) == people.PEOPLE
    assert all(len(number) == 13 and number[7:10] == "000" for number in numbers)


def test_people_are_the_same_at_every_start() -> None:
    assert list(people.made_up_people(5)) == list(people.made_up_people(5))


@pytest.mark.parametrize(
    ("nir", "key"),
    [
        pytest.param("0000000000000", 97, id="remainder 0 gives 97"),
        pytest.param("0000000000096", 1, id="remainder 96 gives 1"),
        pytest.param("2550875000123", 97 - 2550875000123 % 97, id="ordinary"),
    ],
)
def test_check_key(nir: str, key: int) -> None:
    assert people.check_key(nir) == key


def test_a_person_is_found_by_number_and_nobody_by_another(tmp_path: Path) -> None:
    database = tmp_path / "insured.sqlite"
    people.create_database(database)
    expected = next(people.made_up_people())
    assert people.find(database, expected.nir) == expected
    assert people.find(database, "0000000000000") is None
