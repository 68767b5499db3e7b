import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.simulator.hashing import BLOCK_BYTES, SHA1, SHA256, Hash

BOTH = pytest.mark.parametrize(
    ("function", "name"), [(SHA1, "sha1"), (SHA256, "sha256")], ids=["sha1", "sha256"]
)


def state_after(function: Hash, blocks: bytes) -> bytes:
    """Return the imported state for *blocks*, made by the host: the words, then the bits."""
    state = function.initial
    for start in range(0, len(blocks), BLOCK_BYTES):
        state = function.compress(state, blocks[start : start + BLOCK_BYTES])
    words = b"".join(word.to_bytes(4, "big") for word in state)
    return words + (8 * len(blocks)).to_bytes(8, "big")


@BOTH
@pytest.mark.parametrize("length", [0, 1, 54, 55, 56, 57, 63, 64])
def test_a_short_message_is_hashed_whole(function: Hash, name: str, length: int) -> None:
    message = b"x" * length

    assert function.finish(b"", message) == hashlib.new(name, message).digest()


@BOTH
@settings(max_examples=30, deadline=None)
@given(blocks=st.integers(1, 4), last=st.binary(max_size=64))
def test_a_host_that_began_gets_the_digest_of_the_whole(
    function: Hash, name: str, blocks: int, last: bytes
) -> None:
    before = bytes(range(BLOCK_BYTES)) * blocks

    digest = function.finish(state_after(function, before), last)

    assert digest == hashlib.new(name, before + last).digest()


@BOTH
def test_a_state_of_another_length_is_refused(function: Hash, name: str) -> None:
    state = state_after(function, bytes(BLOCK_BYTES))

    with pytest.raises(ValueError, match="state and a count"):
        function.finish(state[:-1], b"x")
    with pytest.raises(ValueError, match="state and a count"):
        function.finish(state + b"\x00", b"x")


@BOTH
def test_a_count_that_is_not_of_whole_blocks_is_refused(function: Hash, name: str) -> None:
    state = state_after(function, bytes(BLOCK_BYTES))

    for bits in (8, 511, 513, (1 << 64) - 1):
        with pytest.raises(ValueError, match="whole blocks"):
            function.finish(state[:-8] + bits.to_bytes(8, "big"), b"x")


@BOTH
def test_more_than_a_block_at_the_end_is_refused(function: Hash, name: str) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        function.finish(b"", bytes(65))
