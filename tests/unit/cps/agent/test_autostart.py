"""The start with the session: the files, and what systemd is told."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cps.agent import autostart
from cps.agent.autostart import AUTOSTART, SCHEME, UNIT, install, uninstall
from cps.agent.errors import AgentError

if sys.platform != "linux":
    pytest.skip("the start with the session is Linux's", allow_module_level=True)

PORTAL = ("--portal", "https://portal.example")


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, str]]:
    """Give what puts a systemctl in place that notes what it is told."""

    def make(code: int = 0) -> dict[str, str]:
        program = tmp_path / "systemctl"
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\necho no >&2\nexit {code}\n')
        program.chmod(0o700)
        monkeypatch.setattr("shutil.which", lambda name: str(program))
        (tmp_path / "run" / "systemd").mkdir(parents=True)
        return {"XDG_RUNTIME_DIR": str(tmp_path / "run")}

    return make


def told(tmp_path: Path) -> list[str]:
    return (tmp_path / "told").read_text().splitlines()


def test_with_systemd_a_unit_is_written_and_started(
    systemctl: Callable[[int], dict[str, str]], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    file = install(home, PORTAL, environment=systemctl(0))
    assert file == home / UNIT
    text = file.read_text(encoding="utf-8")
    assert f'ExecStart="{sys.executable}" "-I" "-m" "cps.main" "agent"' in text
    assert '"--portal" "https://portal.example"' in text
    assert "WantedBy=graphical-session.target" in text
    assert told(tmp_path) == [
        str((home / SCHEME).parent),
        "--user daemon-reload",
        "--user enable --now cps-agent.service",
    ]
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_systemd_the_desktop_starts_it(tmp_path: Path) -> None:
    file = install(tmp_path, environment={})
    assert file == tmp_path / AUTOSTART
    assert f'Exec="{sys.executable}"' in file.read_text(encoding="utf-8")


def test_the_scheme_of_login_pages_comes_with_it(tmp_path: Path) -> None:
    install(tmp_path, PORTAL, environment={})
    text = (tmp_path / SCHEME).read_text(encoding="utf-8")
    assert f'Exec="{sys.executable}" "-I" "-m" "cps.main" "agent" open %u\n' in text
    assert "MimeType=x-scheme-handler/cps-login;\n" in text
    assert (tmp_path / SCHEME).stat().st_mode & 0o777 == 0o600
    assert uninstall(tmp_path, environment={}) == [tmp_path / AUTOSTART, tmp_path / SCHEME]


def test_words_are_words_whatever_is_in_them() -> None:
    word = 'a "b" $HOME %h \\'
    assert autostart._unit_word(word) == '"a \\"b\\" $$HOME %%h \\\\"'
    assert autostart._desktop_word(word) == '"a \\\\"b\\\\" \\\\$HOME %%h \\\\\\\\"'


def test_what_was_installed_can_be_undone(
    systemctl: Callable[[int], dict[str, str]], tmp_path: Path
) -> None:
    home, environment = tmp_path / "home", systemctl(0)
    install(home, environment=environment)
    assert uninstall(home, environment=environment) == [home / UNIT, home / SCHEME]
    assert told(tmp_path)[-2:] == [
        "--user disable --now cps-agent.service",
        str((home / SCHEME).parent),
    ]
    assert uninstall(home, environment=environment) == []


def test_systemds_refusal_is_told(
    systemctl: Callable[[int], dict[str, str]], tmp_path: Path
) -> None:
    with pytest.raises(AgentError, match="daemon-reload: no"):
        install(tmp_path / "home", environment=systemctl(1))


def test_a_link_in_the_files_place_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    (tmp_path / AUTOSTART).parent.mkdir(parents=True)
    (tmp_path / AUTOSTART).symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        install(tmp_path, environment={})
    assert other.read_text() == ""


def test_elsewhere_the_documentation_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(AgentError, match=r"docs/how-to/agent\.md"):
        install(tmp_path, environment={})
