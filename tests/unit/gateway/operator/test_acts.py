import json
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.operator.acts import operator_name, record_act
from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, settings_folder, with_line, write


def test_an_act_names_who_did_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "camille")
    text = with_line("audit", 'file = "audit.jsonl"', MINIMAL)
    settings = Settings.load(write(settings_folder(tmp_path), text))
    record_act(settings, system_clock, "keys_rotated", kid="x")
    line = json.loads((tmp_path / "audit.jsonl").read_text())
    assert (line["event"], line["kid"]) == ("keys_rotated", "x")
    assert line["operator"].endswith(" (sudo: camille)")


def test_without_a_place_of_its_own_the_line_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.load(write(settings_folder(tmp_path), MINIMAL))
    record_act(settings, system_clock, "keys_rotated")
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["event"] == "keys_rotated"


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert operator_name() == "4000000000"
