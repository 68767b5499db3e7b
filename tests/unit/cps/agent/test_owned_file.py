"""A file that decides something is read only where nobody else could have written it."""

import os
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from cps.agent.errors import ConfigurationError
from cps.agent.owned_file import read_owned

PRIVATE = 0o177


def private(folder: Path, content: bytes = b"x", mode: int = 0o600) -> Path:
    file = folder / "file"
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_read(tmp_path: Path, mode: int) -> None:
    content = read_owned(private(tmp_path, b"1234", mode), forbidden_mode=PRIVATE, max_bytes=4)
    assert content == bytearray(b"1234")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o700, 0o610, 0o777])
def test_any_further_permission_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="at most 0600"):
        read_owned(private(tmp_path, mode=mode), forbidden_mode=PRIVATE, max_bytes=4)


def test_a_file_of_another_user_is_refused(tmp_path: Path, mocker: MockerFixture) -> None:
    file = private(tmp_path)
    mocker.patch("os.getuid", return_value=os.getuid() + 1)
    with pytest.raises(ConfigurationError, match="not to this user"):
        read_owned(file, forbidden_mode=PRIVATE, max_bytes=4)


def test_one_byte_too_many_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="more than 4 bytes"):
        read_owned(private(tmp_path, b"12345"), forbidden_mode=PRIVATE, max_bytes=4)


def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        read_owned(pipe, forbidden_mode=PRIVATE, max_bytes=4)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        read_owned(tmp_path, forbidden_mode=PRIVATE, max_bytes=4)


def test_an_absent_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent"):
        read_owned(tmp_path / "absent", forbidden_mode=PRIVATE, max_bytes=4)
