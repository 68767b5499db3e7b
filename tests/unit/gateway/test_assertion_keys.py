import os
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.assertion import ASSERTION_LIFE
from gateway.assertion_keys import (
    KEY_SET_SECONDS,
    MAX_FILE_BYTES,
    PUBLISH_SECONDS,
    RETIRE_SECONDS,
    KeyRing,
    SigningKey,
    load_or_create,
    read,
    rotate,
)
from gateway.errors import ConfigurationError
from tests.support.logins import MOMENT
from tests.support.processes import in_two_processes

WHOLE = MOMENT.replace(microsecond=0)


def after(seconds: float) -> datetime:
    return WHOLE + timedelta(seconds=seconds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "keys.pem"
    load_or_create(place)
    return place


def published(ring: KeyRing, now: datetime) -> list[str]:
    return [key.kid for key in ring.published(now)]


def test_a_new_key_is_known_before_it_signs_and_the_old_one_until_nothing_of_it_lives(
    path: Path,
) -> None:
    (old,) = read(path).keys
    ring = rotate(path, WHOLE, at_once=False)
    new = ring.keys[-1]
    assert published(ring, WHOLE) == [old.kid, new.kid]
    assert ring.signing(after(PUBLISH_SECONDS - 1)).kid == old.kid
    assert ring.signing(after(PUBLISH_SECONDS)).kid == new.kid
    last = PUBLISH_SECONDS + RETIRE_SECONDS
    assert published(ring, after(last - 1)) == [old.kid, new.kid]
    assert published(ring, after(last)) == [new.kid]


def test_times_of_a_rotation_fit_those_of_portals_and_assertions() -> None:
    assert PUBLISH_SECONDS > KEY_SET_SECONDS
    assert timedelta(seconds=RETIRE_SECONDS) >= 2 * ASSERTION_LIFE


def test_what_is_in_the_file_is_what_was_rotated(path: Path) -> None:
    ring = rotate(path, WHOLE, at_once=False)
    assert [(key.kid, key.signs_from) for key in read(path).keys] == [
        (key.kid, key.signs_from) for key in ring.keys
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(path.parent.glob(".keys.pem.*"))


def test_a_clock_before_every_key_uses_the_oldest(path: Path) -> None:
    ring = rotate(path, WHOLE, at_once=True)
    earlier = datetime(2000, 1, 1, tzinfo=UTC)
    assert ring.signing(earlier) is ring.keys[0]
    assert ring.published(earlier) == ring.keys


def test_a_rotation_under_way_is_not_hurried(path: Path) -> None:
    rotate(path, WHOLE, at_once=False)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="under way"):
        rotate(path, after(PUBLISH_SECONDS - 1), at_once=False)
    assert path.read_bytes() == before


def test_keys_that_are_gone_leave_the_file(path: Path) -> None:
    (first,) = read(path).keys
    for number in range(4):
        rotate(path, after(number * 1000), at_once=False)
    assert len(read(path).keys) == 2
    assert first.kid not in {key.kid for key in read(path).keys}


def test_a_key_in_wrong_hands_is_gone_at_once(path: Path) -> None:
    rotate(path, WHOLE, at_once=False)
    earlier = {key.kid for key in read(path).keys}
    ring = rotate(path, after(5), at_once=True)
    (new,) = read(path).keys
    assert new.kid not in earlier
    assert published(ring, after(5)) == [new.kid]
    assert ring.signing(after(5)).kid == new.kid


def _rotate_all(paths: list[Path], together: Barrier) -> list[str]:
    outcomes = []
    for each in paths:
        together.wait(30)
        try:
            rotate(each, WHOLE, at_once=False)
            outcomes.append("rotated")
        except ConfigurationError as exc:
            outcomes.append(exc.reason[:25])
    return outcomes


def test_of_two_rotations_at_a_time_one_is_refused(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.pem" for number in range(10)]
    for outcomes in zip(*in_two_processes(_rotate_all, paths), strict=True):
        assert sorted(outcomes) == ["a rotation is under way: ", "rotated"]
    assert all(len(read(path).keys) == 2 for path in paths)


def test_a_file_of_one_plain_key_is_a_ring_of_one(tmp_path: Path) -> None:
    path = tmp_path / "plain.pem"
    path.write_bytes(_pem())
    path.chmod(0o600)
    assert [key.signs_from for key in read(path).keys] == [0]


def _pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(lambda: b"signs-from: 5\n", "PEM", id="a time without a key"),
        pytest.param(lambda: b"x\n" + _pem(), "PEM", id="something before"),
        pytest.param(lambda: _pem() + b"\n", "PEM", id="something after"),
        pytest.param(lambda: _pem() + _pem(), "order", id="two keys at one time"),
        pytest.param(
            lambda: b"signs-from: 9\n" + _pem() + b"signs-from: 5\n" + _pem(), "order", id="order"
        ),
        pytest.param(
            lambda: b"".join(b"signs-from: %d\n" % n + _pem() for n in range(4)),
            "4 keys",
            id="too many",
        ),
        pytest.param(lambda: b"signs-from: -1\n" + _pem(), "PEM", id="time below zero"),
        pytest.param(lambda: _pem() + b"x" * MAX_FILE_BYTES, "larger", id="too large"),
    ],
)
def test_another_file_is_refused_and_left_as_it_is(
    tmp_path: Path, content: object, reason: str
) -> None:
    assert callable(content)
    path = tmp_path / "keys.pem"
    path.write_bytes(content())
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=reason):
        rotate(path, WHOLE, at_once=True)
    assert path.read_bytes() == before


def test_another_users_file_is_not_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigurationError, match="the gateway's user"):
        rotate(path, WHOLE, at_once=False)


def test_a_rotation_that_cannot_be_written_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(_source: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigurationError, match="No space"):
        rotate(path, WHOLE, at_once=False)
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".keys.pem.*"))


def test_a_key_is_not_shown() -> None:
    key = SigningKey.of(ec.generate_private_key(ec.SECP256R1()), 0)
    assert set(repr(key).partition("(")[2].rstrip(")").split(", ")) == {
        "signs_from=0",
        f"kid='{key.kid}'",
    }
