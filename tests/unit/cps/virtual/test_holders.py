"""Whom a card may name, by its kind."""

import pytest

from cps.issuer.hierarchy import Gamme
from cps.issuer.leaf import Holder
from cps.issuer.numbers import luhn_digit
from cps.virtual.errors import VirtualCardError
from cps.virtual.holders import MAX_NAME_LENGTH, CardKind, make_holder


def holder(kind: CardKind, **changes: object) -> Holder:
    values: dict[str, object] = {
        "family_name": "EXEMPLE",
        "given_name": "CAMILLE",
        "profession": None if kind.gamme is Gamme.STANDARD else 10,
        "rpps": None,
        "number": "000001",
    }
    return make_holder(kind=kind, **(values | changes))  # type: ignore[arg-type]  # as named


def test_a_professional_has_a_profession_and_a_number_of_nobody() -> None:
    made = holder(CardKind.CPS, profession=60)

    assert (made.title, made.profession, made.future_profession) == ("Infirmier", 60, None)
    assert made.national_id.startswith("89990000001")
    assert luhn_digit(made.national_id[1:-1]) == made.national_id[-1]
    assert made.structure is None


def test_one_in_training_has_the_profession_before_them() -> None:
    made = holder(CardKind.CPF, profession=40)

    assert (made.title, made.profession, made.future_profession) == (
        "Chirurgien-dentiste",
        None,
        40,
    )


@pytest.mark.parametrize("kind", [CardKind.CPE, CardKind.CPA])
def test_an_employee_has_an_employer_and_no_profession(kind: CardKind) -> None:
    made = holder(kind)

    assert made.national_id == f"30B9900001/{kind}T000001"
    assert made.structure is not None
    assert (made.profession, made.future_profession) == (None, None)


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        (CardKind.CPS, {"profession": None}, "a CPS names a profession"),
        (CardKind.CPS, {"profession": 9999}, "no profession has the code 9999"),
        (CardKind.CPF, {"profession": 60}, "one of the codes 10, 21, 40, 50"),
        (CardKind.CPE, {"profession": 10}, "a CPE names neither"),
        (CardKind.CPA, {"rpps": "99900000011"}, "a CPA names neither"),
        (CardKind.CPS, {"rpps": "9990000001"}, "has 11 digits"),
        (CardKind.CPS, {"rpps": "9990000001x"}, "has 11 digits"),
        (CardKind.CPS, {"rpps": "99900000012"}, "check digit is wrong"),
        (CardKind.CPS, {"family_name": ""}, "family name has 1 to"),
        (CardKind.CPS, {"family_name": " A"}, "family name has 1 to"),
        (CardKind.CPS, {"given_name": "A" * (MAX_NAME_LENGTH + 1)}, "given name has 1 to"),
        (CardKind.CPE, {"given_name": "A\nB"}, "given name has 1 to"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_no_such_card_can_have_is_refused(
    kind: CardKind, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(VirtualCardError, match=reason):
        holder(kind, **change)


def test_each_kind_has_its_code_and_its_family_of_authorities() -> None:
    assert [kind.code for kind in CardKind] == [0, 1, 2, 3]
    assert [CardKind.of_code(kind.code) for kind in CardKind] == list(CardKind)
    assert [kind.gamme for kind in CardKind] == [Gamme.FORT] * 2 + [Gamme.STANDARD] * 2
    with pytest.raises(ValueError, match="code 4"):
        CardKind.of_code(4)
