from pathlib import Path

import pytest

from gateway import main as command
from gateway.errors import ConfigurationError
from tests.support.serving import write_settings


def test_check_says_what_is_configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9000", port=8443)
    assert command.main(["check", "--config", str(file)]) == 0
    shown = capsys.readouterr()
    assert "origin         http://localhost:8443" in shown.out
    assert "problem" not in shown.err


def test_check_fails_where_people_would_be_kept_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9000", port=8443)
    (tmp_path / "root.crl").write_bytes(b"broken")
    assert command.main(["check", "--config", str(file)]) == command.EXIT_PROBLEMS
    assert "problem: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["check", "serve"])
def test_a_wrong_setting_stops_with_file_key_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = write_settings(tmp_path, upstream="ftp://portal", port=8443)
    assert command.main([name, "--config", str(file)]) == command.EXIT_CONFIGURATION
    assert capsys.readouterr().err.startswith(f"{file}: portal.upstream: http://host")


def test_trust_status_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9000", port=8443)
    assert command.main(["trust", "status", "--config", str(file)]) == 0
    assert "environment: test" in capsys.readouterr().out


def test_a_missing_file_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "none.toml"
    assert command.main(["serve", "--config", str(file)]) == command.EXIT_CONFIGURATION
    assert str(file) in capsys.readouterr().err


def test_serve_returns_the_supervisors_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def serve(settings_path: Path) -> int:
        asked.append(settings_path)
        return 7

    monkeypatch.setattr(command, "serve", serve)
    assert command.main(["serve", "--config", str(tmp_path)]) == 7
    assert asked == [tmp_path]


def test_every_fault_of_the_settings_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(settings_path: Path) -> int:
        raise ConfigurationError("f", "a", "x", [ConfigurationError("f", "b", "y")])

    monkeypatch.setattr(command, "serve", serve)
    assert command.main(["serve", "--config", "f"]) == command.EXIT_CONFIGURATION
    assert capsys.readouterr().err == "f: a: x\nf: b: y\n"


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("cps-gateway ")


@pytest.mark.parametrize("argv", [[], ["serve"], ["dance"], ["serve", "--config"]], ids=str)
def test_a_wrong_command_line_stops(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(argv)
    assert caught.value.code == command.EXIT_CONFIGURATION
    assert "usage: cps-gateway" in capsys.readouterr().err


def test_keys_are_rotated_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9000", port=8443)
    assert command.main(["keys", "list", "--config", str(file)]) == 0
    (only,) = capsys.readouterr().out.splitlines()
    assert command.main(["keys", "rotate", "--config", str(file)]) == 0
    old, new = capsys.readouterr().out.splitlines()
    assert old.startswith(f"{only}  published until ")
    assert "  will sign  from " in new
    assert command.main(["keys", "rotate", "--config", str(file)]) == command.EXIT_CONFIGURATION
    assert "under way" in capsys.readouterr().err
    assert command.main(["keys", "rotate", "--at-once", "--config", str(file)]) == 0
    (last,) = capsys.readouterr().out.splitlines()
    assert "  signs  from " in last
    assert last.split()[0] not in old + new
