"""A login given up: one form, signed for one gateway, one login, one reason."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cps.authtoken.abort import (
    ABORT_CODES,
    ABORT_CONTEXT,
    MAX_ABORT_MESSAGE_BYTES,
    AbortMessage,
    abort_message,
)
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from cps.authtoken.frame import LOGIN_CONTEXT
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LEASE_CONTEXT

ORIGIN = "https://portal.example"
RID = "AAECAwQFBgcICQoLDA0ODw"
OTHER_RID = "EBESExQVFhcYGRobHB0eHw"
KEY = ec.generate_private_key(ec.SECP256R1())
AGENT_KEY = AgentKey.of(KEY.public_key())
MESSAGE = AbortMessage.signed(KEY, origin=ORIGIN, rid=RID, code=ErrorCode.PIN_CANCELLED)

_MESSAGES = st.builds(
    AbortMessage,
    rid=st.binary(min_size=16, max_size=16).map(b64url_encode),
    code=st.sampled_from(sorted(ABORT_CODES)),
    signature=st.binary(min_size=64, max_size=64),
)


def members(**changes: object) -> dict[str, Any]:
    return {**json.loads(MESSAGE.to_json()), **changes}


def parse(value: object) -> AbortMessage:
    return AbortMessage.parse(json.dumps(value).encode())


def test_the_signed_bytes_are_the_frame_of_the_protocol() -> None:
    assert abort_message(origin=ORIGIN, rid=RID, code=ErrorCode.PIN_BLOCKED) == (
        b"CPS-GATEWAY-ABORT-V1\x00"
        + hashlib.sha256(b"https://portal.example").digest()
        + hashlib.sha256(b"AAECAwQFBgcICQoLDA0ODw").digest()
        + b"pin_blocked"
    )


def test_the_frame_is_no_other_that_is_signed() -> None:
    assert len({ABORT_CONTEXT, LEASE_CONTEXT, LOGIN_CONTEXT}) == 3
    assert len(ABORT_CONTEXT) == len(LEASE_CONTEXT) == len(LOGIN_CONTEXT)


@pytest.mark.parametrize("code", sorted(ABORT_CODES))
def test_a_message_is_taken_from_the_key_that_signed_it(code: ErrorCode) -> None:
    message = AbortMessage.signed(KEY, origin=ORIGIN, rid=RID, code=code)
    AbortMessage.parse(message.to_json()).require_signed_by(AGENT_KEY, origin=ORIGIN)


@pytest.mark.parametrize(
    ("forged", "origin"),
    [
        pytest.param(replace(MESSAGE, rid=OTHER_RID), ORIGIN, id="another login"),
        pytest.param(replace(MESSAGE, code=ErrorCode.PIN_BLOCKED), ORIGIN, id="another reason"),
        pytest.param(replace(MESSAGE, signature=bytes(64)), ORIGIN, id="no signature"),
        pytest.param(MESSAGE, f"{ORIGIN}:8443", id="another gateway"),
    ],
)
def test_a_message_that_was_changed_is_refused(forged: AbortMessage, origin: str) -> None:
    with pytest.raises(ValueError, match="signature"):
        forged.require_signed_by(AGENT_KEY, origin=origin)


@pytest.mark.parametrize("code", sorted(set(ErrorCode) - ABORT_CODES))
def test_what_the_gateway_alone_may_say_is_neither_signed_nor_taken(code: ErrorCode) -> None:
    with pytest.raises(ValueError, match="reason"):
        AbortMessage.signed(KEY, origin=ORIGIN, rid=RID, code=code)
    with pytest.raises(ValueError, match="code"):
        parse(members(code=code))


@given(_MESSAGES)
def test_a_message_is_read_as_it_was_written(message: AbortMessage) -> None:
    raw = message.to_json()
    assert len(raw) <= MAX_ABORT_MESSAGE_BYTES
    assert AbortMessage.parse(raw) == message


@given(st.data())
def test_a_truncated_message_is_refused(data: st.DataObject) -> None:
    raw = MESSAGE.to_json()
    with pytest.raises(ValueError, match="JSON"):
        AbortMessage.parse(raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize("member", sorted(members()))
def test_a_missing_member_is_refused_by_name(member: str) -> None:
    value = members()
    del value[member]
    with pytest.raises(ValueError, match=member):
        parse(value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"detail": "x"}, "detail", id="one more member"),
        pytest.param({"rid": "short"}, "rid", id="rid of another form"),
        pytest.param({"rid": 1}, "rid", id="rid a number"),
        pytest.param({"code": None}, "code", id="code nothing"),
        pytest.param({"code": ["pin_wrong"]}, "code", id="code a list"),
        pytest.param({"sig": b64url_encode(bytes(63))}, "sig", id="signature short"),
        pytest.param({"sig": b64url_encode(bytes(64)) + "=="}, "sig", id="signature padded"),
    ],
)
def test_a_message_of_another_form_is_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse(members(**changes))


def test_the_size_allowed_is_the_size_refused_above() -> None:
    raw = MESSAGE.to_json()
    fitting = raw[:-1] + b" " * (MAX_ABORT_MESSAGE_BYTES - len(raw)) + b"}"
    assert AbortMessage.parse(fitting) == MESSAGE
    with pytest.raises(ValueError, match="513 bytes"):
        AbortMessage.parse(fitting[:-1] + b" }")
