import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import ANY

import pytest

from cps.portal.assertion import AssertionVerifier, Professional
from cps.portal.errors import AssertionRefusedError, KeysUnavailableError
from cps.portal.keys import KeySource
from gateway.assertion import AssertionSigner
from gateway.session.model import Session
from tests.support.assertions import AUDIENCE, FORGERIES, GATEWAY, INSTANT, NOW, Issuer
from tests.support.logins import DOCTOR, EMPLOYEE, MOMENT, agent_key


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def verifier(key_set: Callable[[], bytes], now: datetime = NOW) -> AssertionVerifier:
    return AssertionVerifier(GATEWAY, AUDIENCE, keys=KeySource(key_set), clock=lambda: now)


def test_a_genuine_assertion_names_the_professional(issuer: Issuer) -> None:
    professional = verifier(issuer.key_set).require_professional(issuer.sign())
    assert professional == Professional(
        national_id="899900000017",
        given_name="CAMILLE",
        family_name="ESSAI",
        card_type="CPS",
        profession=10,
        logged_in_at=datetime.fromtimestamp(INSTANT - 100, UTC),
    )


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_anything_else_is_refused(issuer: Issuer, forge: Callable[[Issuer], str]) -> None:
    asked = verifier(issuer.key_set)
    with pytest.raises(AssertionRefusedError):
        asked.require_professional(forge(issuer))
    # The next one is not affected.
    asked.require_professional(issuer.sign())


def test_none_at_all_is_told_apart(issuer: Issuer) -> None:
    with pytest.raises(AssertionRefusedError, match="around the gateway"):
        verifier(issuer.key_set).require_professional(None)


@pytest.mark.parametrize(
    "roles",
    ["10", [], ["10^1.2.250.1.213.1.1.5.5", "21^1.2.250.1.213.1.1.5.5"], [10], ["10^1.2.3"]],
    ids=["text", "none", "two", "number", "another table"],
)
def test_a_profession_that_is_none_is_refused(issuer: Issuer, roles: object) -> None:
    with pytest.raises(AssertionRefusedError, match="SubjectRole"):
        verifier(issuer.key_set).require_professional(issuer.sign(SubjectRole=roles))


@pytest.mark.parametrize("seconds", [-5, 0, 64], ids=str)
def test_clocks_may_differ_a_little(issuer: Issuer, seconds: int) -> None:
    now = NOW + timedelta(seconds=seconds)
    verifier(issuer.key_set, now).require_professional(issuer.sign())


@pytest.mark.parametrize("seconds", [-6, 65], ids=str)
def test_clocks_may_not_differ_much(issuer: Issuer, seconds: int) -> None:
    now = NOW + timedelta(seconds=seconds)
    with pytest.raises(AssertionRefusedError):
        verifier(issuer.key_set, now).require_professional(issuer.sign())


def test_nothing_is_fetched_for_what_has_not_the_form() -> None:
    def fetch() -> bytes:
        raise AssertionError("the network was asked")

    with pytest.raises(AssertionRefusedError):
        verifier(fetch).require_professional("x" * 5000)


def test_without_the_gateways_keys_nobody_is_believed(issuer: Issuer) -> None:
    asked = AssertionVerifier("http://127.0.0.1:9", AUDIENCE)
    with pytest.raises(KeysUnavailableError, match="cannot be fetched"):
        asked.require_professional(issuer.sign())


@pytest.mark.parametrize("identity", [DOCTOR, EMPLOYEE], ids=["doctor", "employee"])
def test_what_the_gateway_signs_is_understood(tmp_path: Path, identity: object) -> None:
    assert isinstance(identity, type(DOCTOR))
    signer = AssertionSigner.load_or_create(tmp_path / "key.pem", GATEWAY, AUDIENCE)
    session = Session(
        key=b"k" * 32,
        identity=identity,
        agent_key=agent_key(),
        created_at=MOMENT,
        seen_at=MOMENT,
    )
    asked = verifier(lambda: json.dumps(signer.jwks(MOMENT)).encode(), MOMENT)
    assert asked.require_professional(signer.assertion(session, MOMENT)) == Professional(
        national_id=identity.national_id,
        given_name=identity.given_name,
        family_name=identity.family_name,
        card_type=identity.card_type.name,
        profession=identity.profession,
        organisation=identity.organisation,
        organisation_id=identity.organisation_id,
        logged_in_at=ANY,
    )
