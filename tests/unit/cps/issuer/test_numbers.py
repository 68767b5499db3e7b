import pytest

from cps.issuer.numbers import luhn_digit, rpps_national_id


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        pytest.param("7992739871", "3", id="the textbook's example"),
        pytest.param("9970036624", "0", id="RPPS number of a test person"),
        pytest.param("802500000112345678", "9", id="issuer and chip serial number"),
        pytest.param("0", "0", id="zero"),
    ],
)
def test_luhn_digit_of_known_numbers(digits: str, expected: str) -> None:
    assert luhn_digit(digits) == expected


@pytest.mark.parametrize(
    "digits", ["", "12a", "١٢", "1 2"], ids=["empty", "letter", "arabic", "gap"]
)
def test_luhn_digit_refuses_what_is_not_a_number(digits: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        luhn_digit(digits)


def test_rpps_national_id_is_eight_the_number_and_its_check_digit() -> None:
    assert rpps_national_id("9990000001") == "899900000011"


@pytest.mark.parametrize("stem", ["999000000", "99900000011"], ids=["short", "long"])
def test_rpps_national_id_refuses_another_length(stem: str) -> None:
    with pytest.raises(ValueError, match="10 digits"):
        rpps_national_id(stem)
