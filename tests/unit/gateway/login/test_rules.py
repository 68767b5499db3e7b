from dataclasses import replace

import pytest

from cps.authtoken.codes import ErrorCode
from gateway.identity import CardKind, VerifiedIdentity
from gateway.login.rules import AccessRules, People
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
    certificate_issuer="cd" * 32,
    certificate_sha256="00",
    not_after=0,
)
CLERK = replace(
    DOCTOR,
    card_type=CardKind.CPE,
    profession=None,
    national_id="30B9900001/CPET0001",
    organisation="HOPITAL IMAGINAIRE",
    organisation_id="10B9900001",
)
SURGEON = replace(DOCTOR, national_id="899900000029", specialities=("SM54", "SCH10"))
EVERYBODY = frozenset(CardKind)
EMPTY = People(
    card_types=frozenset(),
    professions=frozenset(),
    specialities=frozenset(),
    structures=frozenset(),
    national_ids=frozenset(),
)


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


MATCHES = [
    (People(card_types={CardKind.CPS}), DOCTOR, True),
    (People(card_types={CardKind.CPE}), DOCTOR, False),
    (People(professions={10, 60}), DOCTOR, True),
    (People(professions={60}), DOCTOR, False),
    (People(professions={10}), CLERK, False),
    (People(specialities={"SCH10"}), SURGEON, True),
    (People(specialities={"SM26"}), SURGEON, False),
    (People(specialities={"SM26"}), DOCTOR, False),
    (People(structures={"10B9900001"}), CLERK, True),
    (People(structures={"10B9900002"}), CLERK, False),
    (People(structures={"10B9900001"}), DOCTOR, False),
    (People(national_ids={DOCTOR.national_id}), DOCTOR, True),
    (People(national_ids={"99900000011"}), DOCTOR, False),
    (People(professions={10}, specialities={"SM54"}), SURGEON, True),
    (People(professions={60}, specialities={"SM54"}), SURGEON, False),
    (People(professions={10}, specialities={"SM26"}), SURGEON, False),
    (People(), DOCTOR, False),
]


@pytest.mark.parametrize(("people", "identity", "described"), MATCHES)
def test_somebody_is_described_by_every_list_that_is_given(
    people: People, identity: VerifiedIdentity, described: bool
) -> None:
    assert people.include(identity) is described


def test_whoever_no_table_allows_is_not_authorised() -> None:
    rules = AccessRules(
        card_types=EVERYBODY,
        allow=(People(specialities={"SM54"}), People(structures={"10B9900001"})),
    )
    rules.require_access(SURGEON)
    rules.require_access(CLERK)
    with refuses(ErrorCode.NOT_AUTHORISED):
        rules.require_access(DOCTOR)


def test_whoever_a_table_denies_is_not_authorised_whatever_allows_it() -> None:
    rules = AccessRules(
        card_types=EVERYBODY,
        professions={10},
        allow=(People(national_ids={DOCTOR.national_id, SURGEON.national_id}),),
        deny=(People(structures={"10B9900001"}), People(national_ids={DOCTOR.national_id})),
    )
    rules.require_access(SURGEON)
    for denied in (DOCTOR, CLERK):
        with refuses(ErrorCode.NOT_AUTHORISED):
            rules.require_access(denied)


def test_a_table_does_not_let_in_a_kind_of_card_that_is_not_let_in() -> None:
    rules = AccessRules(card_types={CardKind.CPS}, allow=(People(structures={"10B9900001"}),))
    with refuses(ErrorCode.CERT_TYPE):
        rules.require_access(CLERK)


def test_a_table_does_not_let_in_a_profession_that_is_not_let_in() -> None:
    rules = AccessRules(card_types=EVERYBODY, professions={60}, allow=(People(professions={10}),))
    with refuses(ErrorCode.NOT_AUTHORISED):
        rules.require_access(DOCTOR)


def test_the_settings_describe_people() -> None:
    login = LoginSettings.model_validate(
        {
            "allow": [
                {"card_types": ["CPS"], "professions": [10], "specialities": ["SM54"]},
                {"structures": ["10B9900001"]},
            ],
            "deny": [{"people": ["899900000011"]}],
        }
    )
    rules = AccessRules.of(login)
    assert rules.allow == (
        People(
            card_types=frozenset({CardKind.CPS}),
            professions=frozenset({10}),
            specialities=frozenset({"SM54"}),
            structures=frozenset(),
            national_ids=frozenset(),
        ),
        replace(EMPTY, structures=frozenset({"10B9900001"})),
    )
    assert rules.deny == (replace(EMPTY, national_ids=frozenset({"899900000011"})),)
