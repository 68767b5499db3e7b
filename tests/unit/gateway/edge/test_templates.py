import pytest

from gateway.edge.templates import fill


def test_each_place_gets_its_value() -> None:
    assert fill("a <<one>> <<two>> <<one>>", {"one": "1", "two": "<<one>>"}) == "a 1 <<one>> 1"


def test_a_place_without_a_value_is_a_defect() -> None:
    with pytest.raises(KeyError):
        fill("<<one>>", {})


def test_a_value_without_a_place_is_a_defect() -> None:
    with pytest.raises(ValueError, match="two"):
        fill("<<one>>", {"one": "1", "two": "2"})
