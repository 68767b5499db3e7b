import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_mock import MockerFixture

from gateway.errors import ConfigurationError
from gateway.journal.key import JournalKey, JournalVerifier, load_or_create


def test_a_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "journal.key"
    first, second = load_or_create(path), load_or_create(path)
    assert first.verifier.kid == second.verifier.kid
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_key_outlasts_a_power_failure(tmp_path: Path, mocker: MockerFixture) -> None:
    synced = mocker.patch("gateway.journal.key.sync_folder")
    load_or_create(tmp_path / "journal.key")
    synced.assert_called_once_with(tmp_path)


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    path, kids = tmp_path / "journal.key", []
    threads = [
        threading.Thread(target=lambda: kids.append(load_or_create(path).verifier.kid))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kids) == 8
    assert len(set(kids)) == 1


def test_a_signature_is_of_one_content_and_one_key(tmp_path: Path) -> None:
    key, other = load_or_create(tmp_path / "a"), load_or_create(tmp_path / "b")
    signature = key.sign(b"content")
    assert key.verifier.has_signed(b"content", signature)
    assert not key.verifier.has_signed(b"other", signature)
    assert not other.verifier.has_signed(b"content", signature)
    assert not key.verifier.has_signed(b"content", "not hexadecimal")


def test_the_public_half_serves_on_another_machine(tmp_path: Path) -> None:
    key = load_or_create(tmp_path / "journal.key")
    public = JournalVerifier.from_pem(key.verifier.to_pem())
    assert public.has_signed(b"content", key.sign(b"content"))


def test_a_record_has_one_hash_that_needs_the_key(tmp_path: Path) -> None:
    key, other = load_or_create(tmp_path / "a"), load_or_create(tmp_path / "b")
    assert key.record_hash("1850175000001") == key.record_hash("1850175000001")
    assert key.record_hash("1850175000001") != key.record_hash("1850175000002")
    assert key.record_hash("1850175000001") != other.record_hash("1850175000001")
    assert key.blinding("one") != key.blinding("two")
    key.record_hash("\ud800")


def _other_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", _other_key()], ids=["empty", "nonsense", "of another kind"]
)
def test_a_file_with_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="Ed25519"):
        load_or_create(path)


def test_a_file_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.key"
    load_or_create(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="other users"):
        load_or_create(path)


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no access"):
        load_or_create(tmp_path / "missing" / "journal.key")


@pytest.mark.parametrize("pem", [b"", b"nonsense"], ids=["empty", "nonsense"])
def test_another_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own text
        JournalVerifier.from_pem(pem)


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    key: JournalKey = load_or_create(tmp_path / "journal.key")
    assert repr(key) == "JournalKey()"
