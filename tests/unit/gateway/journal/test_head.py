from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.journal.head import HEAD_BYTES, Head, read_head, write_head
from gateway.journal.key import JournalKey
from gateway.journal.line import FieldValue, Link, canonical

KEY = JournalKey(Ed25519PrivateKey.generate())
OTHER: dict[str, FieldValue] = {"key": KEY.kid, "n": 1}
HEAD = Head(
    chain="access",
    link=Link(n=10**12, digest="a" * 64),
    file=f"access-{10**12:012d}-20261123.jsonl",
    size=10**15,
    since=999,
    kid=KEY.kid,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    content = HEAD.encode(KEY)
    assert len(content) == HEAD_BYTES
    write_head(tmp_path, content)
    assert Head.decode(read_head(tmp_path), (KEY.verifier,), chain="access") == HEAD


def test_the_file_is_closed_to_others(tmp_path: Path) -> None:
    write_head(tmp_path, HEAD.encode(KEY))
    assert (tmp_path / "head").stat().st_mode & 0o777 == 0o600


def test_no_head_is_none(tmp_path: Path) -> None:
    assert read_head(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "chain", "told"),
    [
        pytest.param(None, "access", "missing", id="none"),
        pytest.param(b"\xff", "access", "decode", id="not JSON"),
        pytest.param(
            HEAD.encode(KEY).replace(b"999", b"998"), "access", "not signed", id="changed"
        ),
        pytest.param(HEAD.encode(KEY), "audit", "another chain's", id="of another chain"),
        pytest.param(
            canonical(OTHER | {"sig": KEY.sign(canonical(OTHER))}),
            "access",
            "not the end",
            id="something else that was signed",
        ),
    ],
)
def test_what_is_not_the_end_of_this_chain_is_refused(
    content: bytes | None, chain: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Head.decode(content, (KEY.verifier,), chain=chain)
