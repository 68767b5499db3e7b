from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.settings_warnings import warnings
from tests.support.settings_files import MINIMAL, settings_folder, with_line, write

QUIET = with_line("audit", "journal = true", MINIMAL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def found(folder: Path, text: str) -> dict[str, str]:
    return dict(warnings(Settings.load(write(folder, text), {})))


def test_a_careful_file_gives_none(folder: Path) -> None:
    assert found(folder, QUIET) == {}


@pytest.mark.parametrize(
    ("table", "line", "key"),
    [
        pytest.param("", 'environment = "test"', "environment", id="test"),
        pytest.param("portal", 'upstream = "http://10.0.0.2"', "portal.upstream", id="upstream"),
        pytest.param(
            "trust", "grace_until = 2026-12-01T08:00:00Z", "trust.grace_until", id="grace"
        ),
        pytest.param("presence", 'mode = "off"', "presence.mode", id="presence"),
        pytest.param(
            "session", "absolute_seconds = 50000", "session.absolute_seconds", id="long session"
        ),
        pytest.param(
            "edge",
            'engine = "nginx"\nverdict_cache_seconds = 1',
            "edge.verdict_cache_seconds",
            id="cache",
        ),
        pytest.param(
            "guard", 'alarm_url = "http://10.0.0.3/alarm"', "guard.alarm_url", id="alarms"
        ),
        pytest.param("journal", 'unwritable = "alarm"', "journal.unwritable", id="journal"),
        pytest.param("journal", 'records = "plain"', "journal.records", id="names of records"),
        pytest.param(
            "monitor", 'address = "10.0.0.1"\nport = 9464', "monitor.address", id="monitor"
        ),
        pytest.param(
            "",
            "",
            "trust.revocation[0].ocsp_nonce",
            id="nonce",
        ),
    ],
)
def test_a_dangerous_choice_is_named_with_what_to_write(
    folder: Path, table: str, line: str, key: str
) -> None:
    text = (
        with_line(table, line, QUIET)
        if line
        else (
            f'{QUIET}\n[[trust.revocation]]\nauthority = "root.pem"\n'
            'ocsp = ["http://ocsp.example"]\nocsp_nonce = "off"\n'
        )
    )
    given = found(folder, text)
    assert set(given) == {key}
    assert len(given[key]) > 30


@pytest.mark.parametrize("line", ["", 'file = "audit.jsonl"'], ids=["nowhere", "file"])
def test_a_log_that_can_be_changed_is_named(folder: Path, line: str) -> None:
    text = with_line("audit", line, MINIMAL) if line else MINIMAL
    assert "journal = true" in found(folder, text)["audit"]


def test_https_to_another_machine_is_fine(folder: Path) -> None:
    assert found(folder, with_line("portal", 'upstream = "https://10.0.0.2"', QUIET)) == {}
