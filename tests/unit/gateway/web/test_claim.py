"""The claim's form: exact members, exact types, bounded texts."""

import pytest

from gateway.web.claim import Claim, Introduction, version_numbers
from tests.support.gateway_fakes import agent_key, claim_members

RID = "AAAAAAAAAAAAAAAAAAAAAA"


def agent(**changes: object) -> dict[str, object]:
    return {"name": "cps-agent", "version": "1.2.3", "os": "Linux", **changes}


def test_good_claim_is_read() -> None:
    claim = Claim.from_members({**claim_members(RID), "agent": agent()})
    said = Introduction(agent_key=agent_key(), name="cps-agent", version="1.2.3", system="Linux")
    assert claim == Claim(rid=RID, agent=said)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"v": 2}, id="version 2"),
        pytest.param({"v": True}, id="version true"),
        pytest.param({"v": 1.0}, id="version 1.0"),
        pytest.param({"v": "1"}, id="version as text"),
        pytest.param({"rid": 5}, id="rid a number"),
        pytest.param({"rid": RID + "A"}, id="rid too long"),
        pytest.param({"rid": RID[:-1] + "B"}, id="rid in a second spelling"),
        pytest.param({"jwk": None}, id="no key"),
        pytest.param({"jwk": {**agent_key().to_json(), "d": "AA"}}, id="a private key"),
        pytest.param({"jwk": {**agent_key().to_json(), "crv": "P-384"}}, id="another curve"),
        pytest.param({"jwk": {**agent_key().to_json(), "y": "A" * 43}}, id="point off the curve"),
        pytest.param({"agent": "cps-agent"}, id="agent a text"),
        pytest.param({"agent": {"name": "cps-agent"}}, id="agent incomplete"),
        pytest.param({"agent": agent(user="x")}, id="agent with another member"),
        pytest.param({"agent": agent(name="")}, id="name empty"),
        pytest.param({"agent": agent(name="x" * 65)}, id="name too long"),
        pytest.param({"agent": agent(name="a\nb")}, id="name of two lines"),
        pytest.param({"agent": agent(os="Linux é")}, id="system not ASCII"),
        pytest.param({"agent": agent(os=["Linux"])}, id="system an array"),
        pytest.param({"agent": agent(version="1.2")}, id="version of two numbers"),
        pytest.param({"agent": agent(version="1.2.3-beta")}, id="version with a suffix"),
        pytest.param({"agent": agent(version="99999.0.0")}, id="version out of bounds"),
    ],
)
def test_claim_of_another_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"v:|rid|jwk|agent|y|bytes"):
        Claim.from_members({**claim_members(RID), **change})


def test_versions_compare_as_numbers() -> None:
    assert version_numbers("0.10.0") > version_numbers("0.9.9")
    assert version_numbers("1.0.0") == version_numbers("1.0.0")
