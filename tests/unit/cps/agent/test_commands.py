"""What `cps agent` answers to wrong options: one line and an exit code."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from cps.agent import program
from cps.main import main

Agent = Callable[..., tuple[int, str]]
PORTAL = ("--portal", "https://portal.example")


@pytest.fixture
def agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Agent:
    """Return what runs the command and returns its exit code and standard error."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*options: str) -> tuple[int, str]:
        try:
            code = main(["agent", *options])
        except SystemExit as exc:  # argparse's own refusals.
            code = int(exc.code or 0)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        return code, captured.err

    return run


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(("--portal", "portal.example"), "wanted scheme", id="no-origin"),
        pytest.param(("--portal", "http://localhost:1"), "with --development", id="plain-http"),
        pytest.param((*PORTAL, "--port", "65536"), "is no port", id="port"),
        pytest.param((*PORTAL, "--port", "-1"), "", id="port-negative"),
        pytest.param((*PORTAL, "--pin", "1234"), "", id="no-pin-as-argument"),
        pytest.param((*PORTAL, "--pin-fd", "1", "--pin-file", "x"), "not allowed", id="two-pins"),
    ],
)
def test_a_wrong_option_is_misuse(agent: Agent, options: tuple[str, ...], reason: str) -> None:
    code, said = agent(*options)
    assert code == 2
    assert reason in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param((*PORTAL, "login"), "ORIGIN", id="no-origin"),
        pytest.param((*PORTAL, "login", "portal.example"), "no portal", id="a-host"),
        pytest.param((*PORTAL, "login", "https://portal.example/x"), "no portal", id="a-page"),
        pytest.param((*PORTAL, "login", "http://portal.example"), "no portal", id="plain-http"),
    ],
)
def test_a_login_begins_at_a_portal_alone(
    agent: Agent, options: tuple[str, ...], reason: str
) -> None:
    code, said = agent(*options)
    assert code == 2
    assert reason in said


def test_where_users_cannot_be_told_apart_no_login_begins_here(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "tells_users_apart", lambda: False)
    code, said = agent(*PORTAL, "login", "https://portal.example")
    assert code == 1
    assert "begins in the browser" in said


def test_a_wrong_settings_file_is_misuse(agent: Agent, tmp_path: Path) -> None:
    file = tmp_path / ".config" / "cps" / "agent.toml"
    file.parent.mkdir(parents=True)
    file.write_text("portal = 1", encoding="utf-8")
    code, said = agent(*PORTAL)
    assert code == 2
    assert said.count("\n") == 1
    assert str(file) in said


@pytest.mark.parametrize("content", ["{}", "[]", ""])
def test_a_virtual_card_that_is_none_is_a_failure(
    agent: Agent, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "card.json"
    file.write_text(content, encoding="utf-8")
    code, said = agent(*PORTAL, "--virtual-card", str(file))
    assert code == 1
    assert "cps agent: " in said.splitlines()[-1]


def test_a_pin_file_open_to_others_is_misuse(
    agent: Agent, tmp_path: Path, mocker: MockerFixture
) -> None:
    mocker.patch("cps.agent.program._terminal")
    file = tmp_path / "pin"
    file.write_text("4711", encoding="ascii")
    file.chmod(0o644)
    code, said = agent(*PORTAL, "--pin-file", str(file))
    assert code == 2
    assert "at most 0600" in said
    assert "4711" not in said


def test_a_taken_port_is_a_failure_that_names_the_holder(
    agent: Agent, tmp_path: Path, mocker: MockerFixture
) -> None:
    mocker.patch("cps.agent.program._terminal")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        code, said = agent(*PORTAL, "--port", str(holder.getsockname()[1]))
    assert code == 1
    assert "port_in_use" in said.splitlines()[-1]
    if sys.platform == "linux":
        assert f"pid {os.getpid()}" in said


def test_without_pyscard_the_way_out_is_said(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    monkeypatch.delitem(sys.modules, "cps.transport.pcsc", raising=False)
    code, said = agent(*PORTAL)
    assert code == 1
    assert "pip install 'cps-gateway[workstation]'" in said


def test_without_the_extra_the_way_out_is_said(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    for name in [name for name in sys.modules if name.startswith("cps.agent.")]:
        monkeypatch.delitem(sys.modules, name)
    code, said = agent(*PORTAL)
    assert code == 1
    assert "aiohttp is not installed" in said
