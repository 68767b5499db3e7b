import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.guard.store import Block, GuardStore
from gateway.main import main
from gateway.settings import Settings
from gateway.stores import open_stores
from tests.support.settings_files import settings_folder, with_line, write

WHO = "899900000013"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = write(settings_folder(tmp_path), with_line("audit", 'file = "audit.jsonl"'))
    Settings.load(file).state_dir.mkdir(mode=0o700)
    return file


@pytest.fixture
def guard(file: Path) -> GuardStore:
    guard = open_stores(Settings.load(file)).open_guard()
    moment = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    guard.block(Block(identity=WHO, rule="records identity 200 hour block", at=moment))
    return guard


def test_who_is_kept_out_is_shown(
    file: Path, guard: GuardStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["guard", "blocked", "--config", str(file)]) == 0
    assert capsys.readouterr().out == (
        f"{WHO}  2026-11-23 09:30:00 UTC  records identity 200 hour block\n"
    )


def test_who_is_cleared_may_come_in_again_and_the_audit_log_knows(
    file: Path, guard: GuardStore, tmp_path: Path
) -> None:
    assert main(["guard", "clear", "--identity", WHO, "--config", str(file)]) == 0
    assert not guard.is_blocked(WHO)
    (line,) = (tmp_path / "audit.jsonl").read_text(encoding="ascii").splitlines()
    assert json.loads(line)["event"] == "guard_cleared"
    assert json.loads(line)["national_id"] == WHO


def test_who_is_not_blocked_cannot_be_cleared(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["guard", "clear", "--identity", WHO, "--config", str(file)]) == 1
    assert "is not blocked" in capsys.readouterr().err


def test_what_cannot_be_recorded_is_not_done(file: Path, guard: GuardStore, tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    assert main(["guard", "clear", "--identity", WHO, "--config", str(file)]) != 0
    assert guard.is_blocked(WHO)
