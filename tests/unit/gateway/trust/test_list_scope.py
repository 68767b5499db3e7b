from collections.abc import Iterable
from dataclasses import replace

import pytest
from cryptography import x509

from cps.issuer.hierarchy import Population
from gateway.trust.list_scope import ALL_REASONS, NO_REASONS, covered_reasons
from tests.support import pki
from tests.support.revocation import HOLD, PLACE, REMOVED, STOLEN, points, scope

ISSUER = pki.NAMES.intermediate()
OTHER = replace(pki.NAMES, population=Population.ORGANISATIONS).intermediate()
LAST = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Cards 1")])
CARDS_1 = x509.Name([*ISSUER.rdns, LAST])
SHOUTED = x509.Name(
    [
        x509.RelativeDistinguishedName(
            [x509.NameAttribute(each.oid, str(each.value).upper()) for each in rdn]
        )
        for rdn in CARDS_1.rdns
    ]
)


def covered(
    limits: x509.IssuingDistributionPoint,
    *extensions: x509.Extension[x509.ExtensionType],
    signer: x509.Name = ISSUER,
    without: Iterable[x509.ObjectIdentifier] = (),
) -> frozenset[x509.ReasonFlags]:
    leaf = pki.leaf(extensions=extensions, without=without)
    return covered_reasons(leaf, signer=signer, direct=signer == ISSUER, scope=limits)


def without_points(limits: x509.IssuingDistributionPoint) -> frozenset[x509.ReasonFlags]:
    return covered(limits, without=[x509.CRLDistributionPoints.oid])


def test_all_reasons_are_those_of_the_standard_that_a_list_can_be_limited_to() -> None:
    assert len(ALL_REASONS) == 8
    assert HOLD in ALL_REASONS
    assert REMOVED not in ALL_REASONS


def test_a_list_of_another_authority_speaks_of_none_of_ours() -> None:
    assert covered(scope(only_users=True), signer=OTHER) == NO_REASONS


@pytest.mark.parametrize(
    ("limits", "of_cards", "of_authorities"),
    [
        pytest.param(scope(only_users=True), True, False, id="cards"),
        pytest.param(scope(only_authorities=True), False, True, id="authorities"),
        pytest.param(scope(only_attributes=True), False, False, id="attributes"),
        pytest.param(scope(indirect=True), True, True, id="indirect"),
    ],
)
def test_a_list_may_be_limited_to_a_kind_of_certificates(
    limits: x509.IssuingDistributionPoint, of_cards: bool, of_authorities: bool
) -> None:
    assert bool(without_points(limits)) is of_cards
    authority = covered_reasons(
        pki.hierarchy().intermediate.certificate,
        signer=pki.hierarchy().root.certificate.subject,
        direct=True,
        scope=limits,
    )
    assert bool(authority) is of_authorities


def test_a_certificate_without_basic_constraints_is_no_authoritys() -> None:
    assert covered(scope(only_users=True), without=[x509.BasicConstraints.oid]) == ALL_REASONS


@pytest.mark.parametrize(
    ("limits", "point", "meet"),
    [
        pytest.param(scope(place=PLACE), points(place=PLACE), True, id="same address"),
        pytest.param(scope(place=PLACE), points(place=PLACE + "x"), False, id="other address"),
        pytest.param(scope(place=CARDS_1), points(place=CARDS_1), True, id="same name"),
        pytest.param(scope(place=SHOUTED), points(place=CARDS_1), True, id="name in capitals"),
        pytest.param(scope(place=OTHER), points(place=CARDS_1), False, id="other name"),
        pytest.param(scope(relative=LAST), points(place=CARDS_1), True, id="list relative"),
        pytest.param(scope(place=CARDS_1), points(relative=LAST), True, id="card relative"),
        pytest.param(scope(relative=LAST), points(relative=LAST), True, id="both relative"),
        pytest.param(scope(place=OTHER), points(relative=LAST), False, id="relative elsewhere"),
        pytest.param(scope(place=ISSUER), points(place=PLACE), True, id="the issuer's own name"),
    ],
)
def test_a_list_for_one_place_speaks_of_certificates_that_name_it(
    limits: x509.IssuingDistributionPoint, point: x509.Extension[x509.ExtensionType], meet: bool
) -> None:
    assert covered(limits, point) == (ALL_REASONS if meet else NO_REASONS)


def test_a_list_for_one_place_does_not_speak_of_certificates_that_name_none() -> None:
    assert without_points(scope(place=PLACE)) == NO_REASONS


def test_reasons_are_those_that_both_list_and_certificate_name() -> None:
    limits = scope(place=PLACE, reasons=[STOLEN, HOLD])
    assert covered(limits, points(place=PLACE)) == {STOLEN, HOLD}
    assert covered(limits, points(place=PLACE, reasons=[HOLD])) == {HOLD}
    assert covered(scope(place=PLACE), points(place=PLACE, reasons=[HOLD])) == {HOLD}
    some = x509.ReasonFlags.superseded
    assert covered(limits, points(place=PLACE, reasons=[some])) == NO_REASONS


@pytest.mark.parametrize(
    ("limits", "point", "meet"),
    [
        pytest.param(scope(indirect=True), points(crl_issuer=OTHER), True, id="named"),
        pytest.param(scope(only_users=True), points(crl_issuer=OTHER), False, id="not indirect"),
        pytest.param(scope(indirect=True), points(place=PLACE), False, id="not named"),
        pytest.param(scope(indirect=True), points(crl_issuer=CARDS_1), False, id="other named"),
        pytest.param(
            scope(indirect=True, place=PLACE),
            points(crl_issuer=OTHER, place=PLACE),
            True,
            id="named, same place",
        ),
        pytest.param(
            scope(indirect=True, place=PLACE),
            points(crl_issuer=OTHER, place=PLACE + "x"),
            False,
            id="named, other place",
        ),
        pytest.param(
            scope(indirect=True, place=OTHER),
            points(crl_issuer=OTHER),
            True,
            id="its name as place",
        ),
        pytest.param(
            scope(indirect=True, relative=LAST),
            points(crl_issuer=OTHER, relative=LAST),
            True,
            id="named, relative to its name",
        ),
    ],
)
def test_an_indirect_list_speaks_of_certificates_that_name_its_signer(
    limits: x509.IssuingDistributionPoint, point: x509.Extension[x509.ExtensionType], meet: bool
) -> None:
    found = covered(limits, point, signer=OTHER)
    assert found == (ALL_REASONS if meet else NO_REASONS)
