"""Messages about a lease: one form, signed for one gateway, one lease, one moment."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cps.authtoken.encoding import b64url_encode
from cps.authtoken.frame import LOGIN_CONTEXT
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import (
    LEASE_CONTEXT,
    MAX_COUNTER,
    MAX_LEASE_MESSAGE_BYTES,
    LeaseEvent,
    LeaseMessage,
    lease_message,
)

ORIGIN = "https://portal.example"
LEASE = "AAECAwQFBgcICQoLDA0ODw"
OTHER_LEASE = "EBESExQVFhcYGRobHB0eHw"
KEY = ec.generate_private_key(ec.SECP256R1())
AGENT_KEY = AgentKey.of(KEY.public_key())
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
MESSAGE = LeaseMessage.signed(KEY, origin=ORIGIN, lease=LEASE, counter=7, event=LeaseEvent.PRESENT)

_MESSAGES = st.builds(
    LeaseMessage,
    lease=st.binary(min_size=16, max_size=16).map(b64url_encode),
    counter=st.integers(1, MAX_COUNTER),
    event=st.sampled_from(LeaseEvent),
    signature=st.binary(min_size=64, max_size=64),
)


def members(**changes: object) -> dict[str, Any]:
    return {**json.loads(MESSAGE.to_json()), **changes}


def parse(value: object) -> LeaseMessage:
    return LeaseMessage.parse(json.dumps(value).encode())


def test_the_signed_bytes_are_the_frame_of_the_protocol() -> None:
    signed = lease_message(origin=ORIGIN, lease=LEASE, counter=7, event=LeaseEvent.REMOVED)
    assert signed == (
        b"CPS-GATEWAY-LEASE-V1\x00"
        + hashlib.sha256(b"https://portal.example").digest()
        + hashlib.sha256(b"AAECAwQFBgcICQoLDA0ODw").digest()
        + b"\0\0\0\0\0\0\0\x07"
        + b"removed"
    )


def test_the_frame_is_none_that_a_card_signs() -> None:
    assert len(LEASE_CONTEXT) == len(LOGIN_CONTEXT)
    assert LEASE_CONTEXT != LOGIN_CONTEXT


def test_an_origin_in_another_spelling_is_never_signed() -> None:
    with pytest.raises(ValueError, match="origin"):
        LeaseMessage.signed(
            KEY, origin=f"{ORIGIN}/", lease=LEASE, counter=1, event=LeaseEvent.PRESENT
        )


@pytest.mark.parametrize("event", LeaseEvent)
def test_a_message_is_taken_from_the_key_that_signed_it(event: LeaseEvent) -> None:
    message = LeaseMessage.signed(KEY, origin=ORIGIN, lease=LEASE, counter=1, event=event)
    LeaseMessage.parse(message.to_json()).require_signed_by(AGENT_KEY, origin=ORIGIN)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(replace(MESSAGE, lease=OTHER_LEASE), id="other lease"),
        pytest.param(replace(MESSAGE, counter=8), id="counter raised"),
        pytest.param(replace(MESSAGE, event=LeaseEvent.REMOVED), id="other event"),
        pytest.param(replace(MESSAGE, signature=bytes(64)), id="zeros"),
        pytest.param(replace(MESSAGE, signature=b"\xff" * 64), id="numbers past the order"),
        pytest.param(
            replace(MESSAGE, signature=MESSAGE.signature[32:] + MESSAGE.signature[:32]),
            id="r and s exchanged",
        ),
    ],
)
def test_a_message_that_was_changed_is_refused(forged: LeaseMessage) -> None:
    with pytest.raises(ValueError, match="signature"):
        forged.require_signed_by(AGENT_KEY, origin=ORIGIN)


def test_a_message_for_another_gateway_is_refused() -> None:
    with pytest.raises(ValueError, match="signature"):
        MESSAGE.require_signed_by(AGENT_KEY, origin=f"{ORIGIN}:8443")


def test_a_message_of_another_key_is_refused() -> None:
    other = AgentKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())
    with pytest.raises(ValueError, match="signature"):
        MESSAGE.require_signed_by(other, origin=ORIGIN)


@given(_MESSAGES)
def test_a_message_is_read_as_it_was_written(message: LeaseMessage) -> None:
    raw = message.to_json()
    assert len(raw) <= MAX_LEASE_MESSAGE_BYTES
    assert LeaseMessage.parse(raw) == message


@given(st.data())
def test_a_truncated_message_is_refused(data: st.DataObject) -> None:
    raw = MESSAGE.to_json()
    with pytest.raises(ValueError, match="JSON"):
        LeaseMessage.parse(raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize("member", sorted(members()))
def test_a_missing_member_is_refused_by_name(member: str) -> None:
    value = members()
    del value[member]
    with pytest.raises(ValueError, match=member):
        parse(value)


@pytest.mark.parametrize("member", ["origin", "session", "time"])
def test_a_member_that_the_gateway_knows_better_is_refused(member: str) -> None:
    with pytest.raises(ValueError, match=member):
        parse(members(**{member: "x"}))


def test_a_repeated_member_is_refused() -> None:
    raw = MESSAGE.to_json().replace(b'{"lease"', b'{"counter": 1, "lease"', 1)
    with pytest.raises(ValueError, match="repeated"):
        LeaseMessage.parse(raw)


@pytest.mark.parametrize(
    "counter",
    [0, -1, MAX_COUNTER + 1, 2**64, 7.0, True, "7", None, [7]],
    ids=["zero", "negative", "past JSON", "past 8 bytes", "float", "truth", "text", "null", "list"],
)
def test_a_counter_of_another_kind_is_refused(counter: object) -> None:
    with pytest.raises(ValueError, match="counter"):
        parse(members(counter=counter))


@pytest.mark.parametrize("counter", [1, MAX_COUNTER])
def test_the_ends_of_the_counter_are_good(counter: int) -> None:
    assert parse(members(counter=counter)).counter == counter


@pytest.mark.parametrize("event", ["", "Present", "present ", "inserted", 1, None, ["present"]])
def test_an_unknown_event_is_refused(event: object) -> None:
    with pytest.raises(ValueError, match="event"):
        parse(members(event=event))


@pytest.mark.parametrize(
    "lease", ["", "AAECAwQFBgcICQoLDA0O", LEASE + "AA", LEASE[:-1] + "+", LEASE[:-1] + "x", 1, None]
)
def test_a_lease_of_another_form_is_refused(lease: object) -> None:
    with pytest.raises(ValueError, match="lease"):
        parse(members(lease=lease))


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param("", id="none"),
        pytest.param(b64url_encode(bytes(63)), id="short"),
        pytest.param(b64url_encode(bytes(65)), id="long"),
        pytest.param(b64url_encode(b"\x30\x44" + bytes(68)), id="DER"),
        pytest.param(b64url_encode(bytes(64)) + "==", id="padded"),
        pytest.param(1, id="number"),
    ],
)
def test_a_signature_of_another_form_is_refused(signature: object) -> None:
    with pytest.raises(ValueError, match="sig"):
        parse(members(sig=signature))


def test_the_size_allowed_is_the_size_refused_above() -> None:
    raw = MESSAGE.to_json()
    fitting = raw[:-1] + b" " * (MAX_LEASE_MESSAGE_BYTES - len(raw)) + b"}"
    assert LeaseMessage.parse(fitting) == MESSAGE
    with pytest.raises(ValueError, match="513 bytes"):
        LeaseMessage.parse(fitting[:-1] + b" }")


def test_the_other_signature_with_the_same_r_proves_no_more() -> None:
    # ECDSA takes s and its negative: the counter alone keeps a message from being good twice.
    s = ORDER - int.from_bytes(MESSAGE.signature[32:], "big")
    twin = replace(MESSAGE, signature=MESSAGE.signature[:32] + s.to_bytes(32, "big"))
    twin.require_signed_by(AGENT_KEY, origin=ORIGIN)
    assert twin.counter == MESSAGE.counter


def test_a_message_in_a_log_does_not_name_its_lease() -> None:
    assert LEASE not in repr(MESSAGE)
