import ssl
from pathlib import Path

import pytest

from gateway.edge import system_authorities
from gateway.errors import ConfigurationError


def test_the_systems_authorities_are_a_file_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "authorities.pem"
    file.touch()
    paths = ssl.DefaultVerifyPaths("", "", "", str(file), "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    assert system_authorities.system_authorities() == file


def test_without_such_a_file_https_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    with pytest.raises(ConfigurationError) as caught:
        system_authorities.system_authorities()
    assert caught.value.key == "portal.upstream"
