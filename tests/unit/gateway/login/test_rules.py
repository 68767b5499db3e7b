from dataclasses import replace

import pytest

from cps.authtoken.codes import ErrorCode
from gateway.identity import CardKind, VerifiedIdentity
from gateway.login.rules import AccessRules
from gateway.settings import LoginSettings
from tests.support.trust import refuses

DOCTOR = VerifiedIdentity(
    national_id="899900000011",
    family_name="EXEMPLE",
    given_name="CAMILLE",
    profession=10,
    card_type=CardKind.CPS,
    card_number="2899000001",
    organisation=None,
    organisation_id=None,
    certificate_serial="01",
    certificate_sha256="00",
    not_after=0,
)
CLERK = replace(DOCTOR, card_type=CardKind.CPE, profession=None)


def test_any_profession_enters_where_none_is_named() -> None:
    rules = AccessRules(card_types={CardKind.CPS, CardKind.CPE})
    rules.require_access(DOCTOR)
    rules.require_access(CLERK)


def test_a_named_profession_enters() -> None:
    AccessRules(card_types={CardKind.CPS}, professions={10, 60}).require_access(DOCTOR)


def test_another_profession_is_not_authorised() -> None:
    with refuses(ErrorCode.NOT_AUTHORISED):
        AccessRules(card_types={CardKind.CPS}, professions={60}).require_access(DOCTOR)


def test_who_has_no_profession_is_not_authorised_where_one_is_wanted() -> None:
    with refuses(ErrorCode.NOT_AUTHORISED):
        AccessRules(card_types={CardKind.CPE}, professions={60}).require_access(CLERK)


@pytest.mark.parametrize("kind", [CardKind.CPF, CardKind.CPE, CardKind.CPA])
def test_a_card_type_that_is_not_named_is_refused(kind: CardKind) -> None:
    with refuses(ErrorCode.CERT_TYPE):
        AccessRules(card_types={CardKind.CPS}).require_access(replace(DOCTOR, card_type=kind))


def test_without_card_types_nobody_enters() -> None:
    with refuses(ErrorCode.CERT_TYPE):
        AccessRules(card_types=()).require_access(DOCTOR)


def test_the_settings_name_types_and_professions() -> None:
    rules = AccessRules.of(LoginSettings(card_types=("CPS", "CPE"), professions=(10, 60)))
    assert rules == AccessRules(
        card_types=frozenset({CardKind.CPS, CardKind.CPE}), professions=frozenset({10, 60})
    )


def test_the_default_is_the_cps_with_any_profession() -> None:
    rules = AccessRules.of(LoginSettings())
    assert rules.card_types == {CardKind.CPS}
    assert not rules.professions


@pytest.mark.parametrize("name", ["CPS", "CPF", "CPE", "CPA"])
def test_every_name_in_the_settings_is_a_card_type(name: str) -> None:
    rules = AccessRules.of(LoginSettings.model_validate({"card_types": [name]}))
    assert rules.card_types == {CardKind[name]}
