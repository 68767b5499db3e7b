import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import ConfigurationError
from gateway.journal.ring import (
    MAX_FILE_BYTES,
    MAX_KEYS,
    JournalRing,
    RingFile,
    begin_change,
    decode_public,
    encode_public,
    finish_change,
    load_or_create,
    read,
)
from tests.support.chains import new_ring

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "journal.key"
    load_or_create(place)
    return place


def kids(ring: JournalRing) -> list[str]:
    return [key.kid for key in ring.verifiers]


def changed(ring: JournalRing, times: int = 1) -> JournalRing:
    for _ in range(times):
        ring = ring.rotated(NOW).finished()
    return ring


def test_a_first_key_is_made_once(path: Path) -> None:
    assert kids(load_or_create(path)) == kids(read(path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    place, found = tmp_path / "journal.key", list[str]()
    threads = [
        threading.Thread(target=lambda: found.extend(kids(load_or_create(place)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_both_keys_sign_until_the_change_is_finished(path: Path) -> None:
    (old,) = kids(read(path))
    begun = begin_change(path, NOW)
    new = begun.current.kid
    assert begun.signer(old) is not None
    assert begun.current.made == int(NOW.timestamp())
    finished = finish_change(path)
    assert kids(finished) == [old, new]
    assert finished.signer(old) is None
    assert finished.signer(new) is not None


def test_what_the_old_key_signs_with_is_gone_and_what_it_named_is_still_found(path: Path) -> None:
    old = read(path).current
    begin_change(path, NOW)
    finish_change(path)
    content = path.read_bytes()
    assert old.private.private_bytes_raw() not in content
    private = old.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert private.splitlines()[1] not in content
    assert read(path).record_keys[0].hash("185") == old.records.hash("185")


def test_a_second_change_waits_for_the_first(path: Path) -> None:
    begin_change(path, NOW)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="--finish"):
        begin_change(path, NOW)
    assert path.read_bytes() == before


def test_a_clock_that_was_set_back_changes_no_order(path: Path) -> None:
    begin_change(path, NOW)
    finish_change(path)
    begin_change(path, NOW - timedelta(days=1))
    assert read(path).current.made == int(NOW.timestamp())


def test_the_latest_keys_are_kept_and_fit_the_file() -> None:
    ring = changed(new_ring(), MAX_KEYS)
    assert len(ring.verifiers) == MAX_KEYS
    assert len(ring.rotated(NOW).verifiers) == MAX_KEYS
    assert len(ring.encode()) <= MAX_FILE_BYTES
    assert kids(JournalRing.decode(ring.encode())) == kids(ring)


def test_a_running_process_takes_a_new_key_and_keeps_it_when_the_file_is_damaged(
    path: Path,
) -> None:
    keys = RingFile(path)
    old = keys.current().current.kid
    new = begin_change(path, NOW).current.kid
    assert keys.current().current.kid == new != old
    path.write_bytes(b"damaged")
    assert keys.current().current.kid == new
    path.unlink()
    assert keys.current().current.kid == new


def test_public_keys_are_read_again_in_their_order() -> None:
    ring = changed(new_ring(), 2)
    content = encode_public(ring.verifiers)
    assert decode_public(content) == ring.verifiers
    assert b"PRIVATE" not in content
    assert b"records" not in content


def test_one_public_key_alone_serves_too() -> None:
    (key,) = new_ring().verifiers
    assert decode_public(key.to_pem()) == (key,)


def _other_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _two_pasts(ring: JournalRing) -> bytes:
    first, last = ring.encode().split(b"made", 1)
    return b"made" + last + first


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"nonsense", id="nonsense"),
        pytest.param(lambda _: _other_key(), id="of another kind"),
        pytest.param(lambda ring: ring.encode() + b"x", id="with a rest"),
        pytest.param(lambda ring: ring.encode() * 3, id="three that sign"),
        pytest.param(_two_pasts, id="a past key behind the one that signs"),
        pytest.param(lambda ring: ring.encode().split(b"made")[0], id="none that signs"),
        pytest.param(lambda ring: ring.encode() + ring.encode()[-119:], id="the same twice"),
    ],
)
def test_a_file_with_something_else_is_refused(
    path: Path, damage: Callable[[JournalRing], bytes]
) -> None:
    path.write_bytes(damage(changed(read(path))))
    with pytest.raises(ConfigurationError):
        load_or_create(path)


def test_keys_in_another_order_are_refused() -> None:
    ring = changed(new_ring(), 2)
    with pytest.raises(ValueError, match="order"):
        decode_public(encode_public(ring.verifiers[::-1]))
    with pytest.raises(ValueError, match="order"):
        decode_public(encode_public(ring.verifiers + ring.verifiers[-1:]))


def test_too_many_public_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="larger than"):
        decode_public(b"x" * (MAX_FILE_BYTES + 1))


def test_a_file_open_to_others_is_refused(path: Path) -> None:
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="other users"):
        load_or_create(path)


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no access"):
        load_or_create(tmp_path / "missing" / "journal.key")


def test_no_key_is_shown() -> None:
    ring = changed(new_ring())
    shown = repr(ring) + repr(ring.rotated(NOW))
    for key in ring.record_keys:
        assert key.secret.hex() not in shown
        assert repr(key.secret) not in shown
