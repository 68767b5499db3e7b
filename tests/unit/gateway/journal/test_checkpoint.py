from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.journal.checkpoint import checkpoint, is_checkpoint
from gateway.journal.key import JournalKey
from gateway.journal.line import START, Link, decode_whole, encode

KEY = JournalKey(Ed25519PrivateKey.generate())


def test_a_checkpoint_is_a_signed_line_of_one_chain() -> None:
    content, link = checkpoint(START, chain="access", at="2026-11-23T09:30:00.000Z", key=KEY)
    line = decode_whole(content)
    assert line.link == link
    assert is_checkpoint(line, chain="access", key=KEY.verifier)
    assert not is_checkpoint(line, chain="audit", key=KEY.verifier)
    other = JournalKey(Ed25519PrivateKey.generate())
    assert not is_checkpoint(line, chain="access", key=other.verifier)


def test_a_checkpoint_is_signed_for_its_place() -> None:
    content, _ = checkpoint(START, chain="access", at="2026-11-23T09:30:00.000Z", key=KEY)
    fields = decode_whole(content).fields
    moved, _ = encode(fields, Link(n=7, digest="0" * 64))
    assert not is_checkpoint(decode_whole(moved), chain="access", key=KEY.verifier)


def test_another_line_is_none() -> None:
    line, _ = encode({"event": "checkpoint", "chain": "access"}, START)
    assert not is_checkpoint(decode_whole(line), chain="access", key=KEY.verifier)
