"""What is computed with a key, apart from any command."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from cps.simulator.command import CommandRefusedError
from cps.simulator.hashing import SHA256 as OWN_SHA256
from cps.simulator.image import KeyImage
from cps.simulator.signing import modulus_bytes, raw, sign, sign_pss
from tests.support import cards


@pytest.fixture
def key() -> KeyImage:
    return cards.image().keys[1]


def test_a_signature_is_as_long_as_the_key(key: KeyImage) -> None:
    assert modulus_bytes(key) == len(sign(key, b"x")) == 256


def test_the_bare_operation_is_undone_by_the_public_key(key: KeyImage) -> None:
    numbers = key.private_key.public_key().public_numbers()
    block = b"\x00\x01" + bytes(range(254))

    result = raw(key, block)

    assert pow(int.from_bytes(result, "big"), numbers.e, numbers.n).to_bytes(256, "big") == block


@pytest.mark.parametrize("over", [0, 1])
def test_a_block_not_less_than_the_modulus_is_refused(key: KeyImage, over: int) -> None:
    modulus = key.private_key.public_key().public_numbers().n

    with pytest.raises(CommandRefusedError, match="6A80"):
        raw(key, (modulus + over).to_bytes(256, "big"))
    assert len(raw(key, (modulus - 1).to_bytes(256, "big"))) == 256


def test_a_pss_signature_verifies_with_a_salt_as_long_as_the_hash(key: KeyImage) -> None:
    signature = sign_pss(key, hashlib.sha256(b"document").digest(), OWN_SHA256)

    scheme = padding.PSS(padding.MGF1(SHA256()), salt_length=32)
    key.private_key.public_key().verify(signature, b"document", scheme, SHA256())
