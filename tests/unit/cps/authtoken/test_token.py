"""The login token: exactly its members, each of its form, and nothing that is believed."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps.authtoken.encoding import b64url_encode
from cps.authtoken.token import MAX_TOKEN_BYTES, AuthToken, CardDescription, require_rid

RID = "AAECAwQFBgcICQoLDA0ODw"
TOKEN = AuthToken(
    rid=RID,
    unverified_certificate=b"\x30\x00",
    algorithm="RS256",
    signature=bytes(256),
    card=CardDescription(interface="contact", atr=bytes.fromhex("3BAC00")),
    agent_version="0.1.0",
)

_TOKENS = st.builds(
    AuthToken,
    rid=st.binary(min_size=16, max_size=16).map(b64url_encode),
    unverified_certificate=st.binary(max_size=2000),
    algorithm=st.just("RS256"),
    signature=st.binary(min_size=1, max_size=1024),
    card=st.builds(
        CardDescription,
        interface=st.sampled_from(["contact", "contactless"]),
        atr=st.binary(min_size=2, max_size=33),
    ),
    agent_version=st.text(
        alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64
    ),
)


def members(**changes: object) -> dict[str, Any]:
    return {**json.loads(TOKEN.to_json()), **changes}


def parse(value: object) -> AuthToken:
    return AuthToken.parse(json.dumps(value).encode())


@given(_TOKENS)
def test_a_token_is_read_as_it_was_written(token: AuthToken) -> None:
    assert AuthToken.parse(token.to_json()) == token


@given(st.data())
def test_a_truncated_token_is_refused(data: st.DataObject) -> None:
    raw = TOKEN.to_json()
    with pytest.raises(ValueError, match="JSON"):
        AuthToken.parse(raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize("member", sorted(members()))
def test_a_missing_member_is_refused_by_name(member: str) -> None:
    value = members()
    del value[member]
    with pytest.raises(ValueError, match=member):
        parse(value)


@pytest.mark.parametrize("member", ["origin", "nonce", "name", "time", "hash"])
def test_a_member_that_the_server_knows_better_is_refused(member: str) -> None:
    with pytest.raises(ValueError, match=member):
        parse(members(**{member: "x"}))


def test_a_repeated_member_is_refused() -> None:
    raw = TOKEN.to_json().replace(b'{"format"', b'{"rid": "x", "format"', 1)
    with pytest.raises(ValueError, match="repeated"):
        AuthToken.parse(raw)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("format", "cps-gateway:2", id="another version"),
        pytest.param("format", 1, id="format as a number"),
        pytest.param("rid", RID[:-1], id="short request id"),
        pytest.param("rid", RID[:-1] + "x", id="request id in a second spelling"),
        pytest.param("rid", None, id="no request id"),
        pytest.param("algorithm", "none", id="no signature"),
        pytest.param("algorithm", "HS256", id="symmetric"),
        pytest.param("algorithm", "PS256", id="reserved"),
        pytest.param("algorithm", "rs256", id="small letters"),
        pytest.param("algorithm", ["RS256"], id="several algorithms"),
        pytest.param("signature", "", id="empty signature"),
        pytest.param("signature", "A" * 1368, id="signature of 1026 bytes"),
        pytest.param("signature", "AA", id="signature without padding"),
        pytest.param("signature", 5, id="signature as a number"),
        pytest.param("unverified_certificate", "MAA", id="certificate without padding"),
        pytest.param("unverified_certificate", None, id="no certificate"),
        pytest.param("unverified_certificate", ["MAA="], id="several certificates"),
        pytest.param("card", None, id="no card"),
        pytest.param("card", {"interface": "contact"}, id="card without ATR"),
        pytest.param("card", {"interface": "contact", "atr": "3B00", "pin": "1"}, id="card, more"),
        pytest.param("card", {"interface": "virtual", "atr": "3B00"}, id="another interface"),
        pytest.param("card", {"interface": ["contact"], "atr": "3B00"}, id="several interfaces"),
        pytest.param("card", {"interface": "contact", "atr": "3B"}, id="ATR of one byte"),
        pytest.param("card", {"interface": "contact", "atr": "3B" * 34}, id="ATR of 34 bytes"),
        pytest.param("card", {"interface": "contact", "atr": "xy"}, id="ATR not hexadecimal"),
        pytest.param("card", {"interface": "contact", "atr": 5}, id="ATR as a number"),
        pytest.param("agent_version", "", id="empty version"),
        pytest.param("agent_version", "1" * 65, id="long version"),
        pytest.param("agent_version", "1\n2", id="version of two lines"),
        pytest.param("agent_version", "é", id="version not ASCII"),
    ],
)
def test_a_member_of_another_form_is_refused_by_name(member: str, value: object) -> None:
    with pytest.raises(ValueError, match=member):
        parse(members(**{member: value}))


def test_an_oversize_token_is_refused_unread() -> None:
    with pytest.raises(ValueError, match="10001 bytes where 10000 are allowed"):
        AuthToken.parse(TOKEN.to_json() + b" " * (MAX_TOKEN_BYTES + 1 - len(TOKEN.to_json())))


def test_the_largest_values_are_read() -> None:
    token = replace(
        TOKEN,
        signature=bytes(1024),
        agent_version="v" * 64,
        card=CardDescription(interface="contactless", atr=bytes(33)),
    )
    assert AuthToken.parse(token.to_json()) == token


def test_the_largest_card_certificate_fits() -> None:
    token = AuthToken.parse(
        json.dumps(members(unverified_certificate="AAAA" * 1500)).encode(),
    )
    assert len(token.unverified_certificate) == 4500


@pytest.mark.parametrize("rid", ["", RID + "=", RID + RID, "é" * 22, RID[:-1] + " "])
def test_a_request_id_of_another_form_is_refused(rid: str) -> None:
    with pytest.raises(ValueError, match="rid"):
        require_rid(rid)
