"""The `cps` command: its parts, its exit codes, and nothing loaded that is not used."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cps.agent import VERSION
from cps.main import main

PROJECT = Path(__file__).parents[3]


@pytest.mark.parametrize("command", ["agent", "card", "virtual", "issuer", "demo"])
def test_every_part_has_its_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"cps {command}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["agent", "--unknown"]])
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: cps" in capsys.readouterr().err


def test_the_command_line_loads_neither_server_nor_card_libraries() -> None:
    heavy = {"aiohttp", "flask", "smartcard", "urllib3"}
    program = f"import cps.main, sys; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert loaded.stdout.strip() == "[]"


def test_the_agent_tells_the_projects_version() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["version"] == VERSION
