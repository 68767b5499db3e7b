import pytest
from pydantic import ValidationError

from gateway.settings_access import PeopleSettings


def test_people_are_described_by_lists() -> None:
    people = PeopleSettings.model_validate(
        {"card_types": ["CPS"], "professions": [10, 21], "people": ["899900000017"]}
    )
    assert people.card_types == ("CPS",)
    assert people.professions == (10, 21)
    assert people.structures == ()


@pytest.mark.parametrize(
    "table",
    [
        pytest.param({}, id="describes nobody"),
        pytest.param({"people": []}, id="an empty list describes nobody"),
        pytest.param({"card_types": ["VITALE"]}, id="unknown card"),
        pytest.param({"professions": ["10"]}, id="profession as text"),
        pytest.param({"professions": [1000]}, id="profession past the table"),
        pytest.param({"specialities": ["sm54"]}, id="small letters"),
        pytest.param({"people": ["8 999"]}, id="number with a space"),
        pytest.param({"names": ["ESSAI"]}, id="unknown key"),
    ],
)
def test_anything_else_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PeopleSettings.model_validate(table)
