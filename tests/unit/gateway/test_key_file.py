import os
import threading
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from gateway.errors import ConfigurationError
from gateway.key_file import changing, create, mapped_errors, read_closed, replace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "a.key"
    create(place, b"first")
    return place


def test_a_file_is_made_once_closed_to_others_and_leaves_no_draft(path: Path) -> None:
    create(path, b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_names_are_brought_to_the_disk_with_the_content(path: Path, mocker: MockerFixture) -> None:
    synced = mocker.spy(os, "fsync")
    replace(path, b"second")
    create(path.with_name("b.key"), b"other")
    assert synced.call_count == 4


def test_a_file_is_replaced_whole_and_stays_closed(path: Path) -> None:
    replace(path, b"second")
    assert read_closed(path, max_bytes=6) == b"second"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_replacement_that_fails_leaves_the_file_and_no_draft(
    path: Path, mocker: MockerFixture
) -> None:
    mocker.patch.object(Path, "replace", side_effect=OSError(28, "disk full"))
    with pytest.raises(OSError, match="disk full"):
        replace(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_of_another_user_is_not_replaced(path: Path, mocker: MockerFixture) -> None:
    mocker.patch("os.geteuid", return_value=path.stat().st_uid + 1)
    with pytest.raises(ValueError, match="belongs to another user"):
        replace(path, b"second")
    assert path.read_bytes() == b"first"


def test_another_user_leaves_no_lock_that_keeps_the_owner_out(
    path: Path, mocker: MockerFixture
) -> None:
    mocker.patch("os.geteuid", return_value=path.stat().st_uid + 1)
    with pytest.raises(ValueError, match="belongs to another user"), changing(path):
        pytest.fail("it is being changed")
    assert list(path.parent.iterdir()) == [path]


def test_a_file_open_to_others_or_too_large_is_not_read(path: Path) -> None:
    with pytest.raises(ValueError, match="larger than 4 bytes"):
        read_closed(path, max_bytes=4)
    path.chmod(0o640)
    with pytest.raises(ValueError, match="other users"):
        read_closed(path, max_bytes=100)


def test_one_changes_it_at_a_time(path: Path) -> None:
    order: list[str] = []

    def change() -> None:
        with changing(path):
            order.append("other")

    other = threading.Thread(target=change)
    with changing(path):
        other.start()
        other.join(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "other"]


@pytest.mark.parametrize(
    "error", [ValueError("is no key"), OSError(13, "is no key")], ids=["content", "access"]
)
def test_what_is_wrong_names_the_file(path: Path, error: Exception) -> None:
    with pytest.raises(ConfigurationError, match="is no key") as caught, mapped_errors(path):
        raise error
    assert caught.value.file == str(path)
