import json
from dataclasses import replace

import pytest

from gateway.errors import StoreUnavailableError
from gateway.identity import CardKind, VerifiedIdentity
from gateway.session.model import EndReason
from gateway.session.record import (
    agent_key_from_text,
    agent_key_to_text,
    identity_from_text,
    identity_to_text,
    national_id_in,
    reason_from_text,
)
from tests.support.logins import DOCTOR, EMPLOYEE, agent_key


@pytest.mark.parametrize(
    "identity",
    [
        DOCTOR,
        EMPLOYEE,
        replace(DOCTOR, specialities=("SM54", "ZZ99"), upn_mismatch="(absent)"),
        replace(DOCTOR, card_type=CardKind.CPF, profession=None, future_profession=10),
    ],
    ids=["doctor", "employee", "specialist", "in training"],
)
def test_an_identity_is_read_as_written(identity: VerifiedIdentity) -> None:
    assert identity_from_text(identity_to_text(identity)) == identity


def test_an_identity_of_an_older_version_is_read() -> None:
    members = json.loads(identity_to_text(DOCTOR))
    for added in ("specialities", "future_profession"):
        del members[added]
    assert identity_from_text(json.dumps(members)) == DOCTOR


def test_an_agent_key_is_read_as_written() -> None:
    key = agent_key()
    assert agent_key_from_text(agent_key_to_text(key)) == key


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut"),
        pytest.param("[]", id="no object"),
        pytest.param("{}", id="nothing in it"),
        pytest.param(identity_to_text(DOCTOR)[:-1], id="truncated"),
        pytest.param(
            json.dumps({**json.loads(identity_to_text(DOCTOR)), "admin": True}), id="more members"
        ),
        pytest.param(
            json.dumps({**json.loads(identity_to_text(DOCTOR)), "card_type": 9}), id="card type"
        ),
    ],
)
def test_a_damaged_identity_lets_nobody_in(text: str) -> None:
    with pytest.raises(StoreUnavailableError):
        identity_from_text(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{}", id="nothing in it"),
        pytest.param(agent_key_to_text(agent_key()).replace("P-256", "P-384"), id="other curve"),
    ],
)
def test_a_damaged_agent_key_lets_nobody_in(text: str) -> None:
    with pytest.raises(StoreUnavailableError):
        agent_key_from_text(text)


@pytest.mark.parametrize("reason", EndReason)
def test_a_reason_is_read_as_written(reason: EndReason) -> None:
    assert reason_from_text(str(reason)) is reason


def test_a_reason_of_a_newer_gateway_is_none_of_ours() -> None:
    assert reason_from_text("abducted") is None


def test_whose_an_identity_is_can_be_read_alone() -> None:
    assert national_id_in(identity_to_text(DOCTOR)) == DOCTOR.national_id


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_an_identity_that_cannot_be_read_is_nobodys(text: str) -> None:
    assert national_id_in(text) == ""
