from pathlib import Path

import pytest

from gateway.edge.nginx.program import find_program, require_version
from gateway.errors import ConfigurationError
from tests.support.nginx import nginx_program


def program(folder: Path, said: str, code: int = 0) -> Path:
    """Return a program that says something on standard error, as nginx does."""
    file = folder / "nginx"
    file.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {code}\n")
    file.chmod(0o755)
    return file


GOOD = (
    "nginx version: nginx/1.31.9\nconfigure arguments: --with-http_auth_request_module"
    " --with-http_ssl_module --with-http_v2_module"
)


@pytest.mark.parametrize(
    "version", [(1, 30, 4), (1, 30, 9), (1, 31, 3), (1, 31, 9), (1, 32, 0), (2, 0, 0)], ids=str
)
def test_a_version_with_the_fix_is_good(version: tuple[int, int, int]) -> None:
    require_version(version, is_patched=lambda: False)


@pytest.mark.parametrize(
    "version", [(1, 22, 1), (1, 26, 3), (1, 30, 3), (1, 31, 0), (1, 31, 2)], ids=str
)
def test_a_version_without_the_fix_is_good_only_as_a_patched_package(
    version: tuple[int, int, int],
) -> None:
    require_version(version, is_patched=lambda: True)
    with pytest.raises(ConfigurationError, match="CVE-2026-42533"):
        require_version(version, is_patched=lambda: False)


@pytest.mark.parametrize("version", [(1, 22, 0), (1, 18, 0), (0, 9, 9)], ids=str)
def test_an_old_version_is_refused_whatever_was_patched(version: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigurationError, match=r"smuggled .* 1\.22\.1 is wanted"):
        require_version(version, is_patched=lambda: True)


def test_the_program_of_the_settings_is_used(tmp_path: Path) -> None:
    file = program(tmp_path, GOOD)
    assert find_program(file) == file


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        pytest.param("something else", 0, "is not nginx", id="no nginx"),
        pytest.param(GOOD, 1, "is not nginx", id="fails"),
        pytest.param(GOOD.replace("1.31.9", "1.10.0"), 0, "smuggled", id="old"),
        # No package has this file, so nobody says that it was patched.
        pytest.param(GOOD.replace("1.31.9", "1.22.1"), 0, "CVE-2026-42533", id="not patched"),
        pytest.param(GOOD.replace("--with-http_v2_module", ""), 0, "without http_v2_module",
                     id="module"),
    ],
)  # fmt: skip
def test_a_program_that_must_not_be_used_is_refused(
    tmp_path: Path, said: str, code: int, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        find_program(program(tmp_path, said, code))
    assert caught.value.key == "edge.nginx_program"


def test_a_machine_without_nginx_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.edge.nginx.program.shutil.which", lambda *_, **__: None)
    with pytest.raises(ConfigurationError, match="no nginx on this machine"):
        find_program(None)


def test_the_nginx_of_this_machine_is_found() -> None:
    assert nginx_program().name == "nginx"
