import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.journal.key import JournalKey, JournalVerifier


def new_key() -> JournalKey:
    return JournalKey(Ed25519PrivateKey.generate())


def test_a_signature_is_of_one_content_and_one_key() -> None:
    key, other = new_key(), new_key()
    signature = key.sign(b"content")
    assert key.verifier.has_signed(b"content", signature)
    assert not key.verifier.has_signed(b"other", signature)
    assert not other.verifier.has_signed(b"content", signature)
    assert not key.verifier.has_signed(b"content", "not hexadecimal")


def test_the_public_half_serves_on_another_machine() -> None:
    key = new_key()
    public = JournalVerifier.from_pem(key.verifier.to_pem())
    assert public.has_signed(b"content", key.sign(b"content"))


def test_a_record_has_one_hash_that_needs_the_key() -> None:
    one, other = new_key().records, new_key().records
    assert one.hash("1850175000001") == one.hash("1850175000001")
    assert one.hash("1850175000001") != one.hash("1850175000002")
    assert one.hash("1850175000001") != other.hash("1850175000001")
    assert one.blinding("one") != one.blinding("two")
    one.hash("\ud800")


@pytest.mark.parametrize("pem", [b"", b"nonsense"], ids=["empty", "nonsense"])
def test_another_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own text
        JournalVerifier.from_pem(pem)


def test_the_key_is_not_shown() -> None:
    key = new_key()
    assert repr(key) == "JournalKey(made=0)"
    assert repr(key.records) == "RecordKey()"
