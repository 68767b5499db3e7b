"""Where the agent's files are on each system."""

import sys
from pathlib import Path

import pytest

from cps.agent.platform import confirmed_file, policy_file


@pytest.mark.parametrize(
    ("system", "start"),
    [("linux", "/etc/cps-agent"), ("darwin", "/Library"), ("win32", "C:")],
    ids=["Linux", "macOS", "Windows"],
)
def test_the_policy_is_where_users_cannot_write(
    monkeypatch: pytest.MonkeyPatch, system: str, start: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delenv("PROGRAMDATA", raising=False)
    file = policy_file()
    assert str(file).startswith(start)
    assert file.name == "policy.toml"


def test_the_users_list_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in confirmed_file().parents or confirmed_file().is_relative_to(Path.home())
