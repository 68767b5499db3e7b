"""The wheel: built, installed apart from the checkout, and run."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.serving import write_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the wheel, and only it, is unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("cps_gateway-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.main", *arguments],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_that_the_packages_read_is_left_out(installed: Path) -> None:
    files = [
        path.relative_to(ROOT)
        for package in ("cps", "gateway")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert [str(name) for name in files if not (installed / name).exists()] == []


def test_no_test_and_no_key_is_in_it(installed: Path) -> None:
    assert not (installed / "tests").exists()
    assert not [path for path in installed.rglob("*") if path.suffix in (".key", ".pem")]


def test_the_installed_program_checks_a_file(installed: Path, tmp_path: Path) -> None:
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=8443)
    answer = run(installed, "check", "--config", str(file))
    assert (answer.returncode, "engine         embedded" in answer.stdout) == (0, True)


def test_the_command_is_named_in_it(installed: Path) -> None:
    (names,) = installed.glob("*.dist-info/entry_points.txt")
    assert "cps-gateway = gateway.main:main" in names.read_text(encoding="utf-8")
