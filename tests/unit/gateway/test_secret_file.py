from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.secret_file import MAX_SECRET_CHARS, read_secret


@pytest.mark.parametrize("content", ["hidden", "hidden\n", "hidden\r\nmore\n"])
def test_the_secret_is_the_first_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content.encode())
    assert read_secret(file, key="a.b") == "hidden"


@pytest.mark.parametrize(
    "content",
    [b"", b"\nhidden", b"short", b"x" * (MAX_SECRET_CHARS + 1), b"\xff" * 20],
    ids=["empty", "empty line", "too short", "too long", "no text"],
)
def test_what_is_no_secret_is_refused_and_not_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_secret(file, key="a.b", min_chars=6)
    assert caught.value.key == "a.b"
    assert "short" not in caught.value.reason


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_secret(tmp_path / "none", key="a.b")
