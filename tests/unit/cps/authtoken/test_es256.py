"""Signatures of the agent's key: 64 bytes, for one key and one message."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken import es256
from cps.authtoken.jwk import AgentKey

KEY = ec.generate_private_key(ec.SECP256R1())
AGENT_KEY = AgentKey.of(KEY.public_key())
OTHER_KEY = AgentKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())
SIGNATURE = es256.sign(KEY, b"message")


def test_a_signature_is_good_for_its_key_and_message() -> None:
    assert len(SIGNATURE) == es256.SIGNATURE_BYTES == 64
    es256.require_signed(AGENT_KEY, SIGNATURE, b"message")


@pytest.mark.parametrize(
    ("key", "signature", "message"),
    [
        pytest.param(OTHER_KEY, SIGNATURE, b"message", id="another key"),
        pytest.param(AGENT_KEY, SIGNATURE, b"Message", id="another message"),
        pytest.param(AGENT_KEY, bytes(64), b"message", id="zeros"),
        pytest.param(AGENT_KEY, b"\xff" * 64, b"message", id="past the order"),
        pytest.param(AGENT_KEY, SIGNATURE[32:] + SIGNATURE[:32], b"message", id="exchanged"),
    ],
)
def test_anything_else_is_refused(key: AgentKey, signature: bytes, message: bytes) -> None:
    with pytest.raises(ValueError, match="signature"):
        es256.require_signed(key, signature, message)
