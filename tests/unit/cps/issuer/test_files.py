import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_mock import MockerFixture

from cps.issuer.files import FolderError, key_to_pem, read_key, write_file
from tests.support import pki


def write(path: Path, data: bytes, *, mode: int = 0o600) -> Path:
    write_file(path, data, mode=mode)
    return path


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "file", b"a long first content")
    write(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o644], ids=["private", "public"])
def test_file_has_its_mode_from_the_start(tmp_path: Path, mode: int) -> None:
    assert stat.S_IMODE(write(tmp_path / "file", b"", mode=mode).stat().st_mode) == mode


def test_failed_write_leaves_the_old_file_alone(tmp_path: Path, mocker: MockerFixture) -> None:
    path = write(tmp_path / "file", b"old")
    mocker.patch("cps.issuer.files.os.fsync", side_effect=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_key_is_read_back_also_beside_a_certificate(tmp_path: Path) -> None:
    key = pki.key("leaf")
    for name, pem in (
        ("alone", key_to_pem(key)),
        ("together", key_to_pem(key) + pki.pem(pki.leaf())),
    ):
        assert read_key(write(tmp_path / name, pem)).public_key() == key.public_key()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620], ids=["group", "others", "group may write"])
def test_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "key", key_to_pem(pki.key("leaf")))
    path.chmod(mode)
    with pytest.raises(FolderError, match="chmod 600"):
        read_key(path)


def curve_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        pytest.param(lambda: b"", "damaged", id="empty"),
        pytest.param(lambda: key_to_pem(pki.key("leaf"))[:-40], "damaged", id="truncated"),
        pytest.param(lambda: pki.pem(pki.leaf()), "damaged", id="certificate"),
        pytest.param(curve_key, "no RSA key", id="key on a curve"),
    ],
)
def test_what_is_no_rsa_key_is_refused(
    tmp_path: Path, make: Callable[[], bytes], complaint: str
) -> None:
    with pytest.raises(FolderError, match=complaint):
        read_key(write(tmp_path / "key", make()))
