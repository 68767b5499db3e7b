from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def test_a_session_needs_the_card_where_nothing_is_said(folder: Path) -> None:
    presence = Settings.load(write(folder, MINIMAL)).presence
    assert presence.mode == "required"
    assert (presence.heartbeat_seconds, presence.grace_seconds) == (20, 60)
    assert presence.locked == "ignore"


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        pytest.param('mode = "optional"', "mode", "'required' or 'off' is wanted", id="mode"),
        pytest.param("mode = false", "mode", "'required' or 'off' is wanted", id="truth"),
        pytest.param('locked = "log"', "locked", "'ignore' or 'end' is wanted", id="locked"),
        pytest.param("heartbeat_seconds = 0", "heartbeat_seconds", "below", id="no pause"),
        pytest.param("heartbeat_seconds = 121", "heartbeat_seconds", "above", id="slow"),
        pytest.param("grace_seconds = 4", "grace_seconds", "below", id="no grace"),
        pytest.param("grace_seconds = 601", "grace_seconds", "above", id="long grace"),
        pytest.param("grace_seconds = 39", "grace_seconds", "2 times", id="below two heartbeats"),
        pytest.param(
            "heartbeat_seconds = 10\ngrace_seconds = 29",
            "grace_seconds",
            "must reach login.code_seconds",
            id="below the code's life",
        ),
    ],
)
def test_a_lease_that_cannot_work_stops_the_start(
    folder: Path, lines: str, key: str, reason: str
) -> None:
    found = faults(folder, f"{MINIMAL}\n[presence]\n{lines}\n")
    assert reason in found[f"presence.{key}"]


def test_the_shortest_lease_is_good(folder: Path) -> None:
    text = with_line("presence", "heartbeat_seconds = 2\ngrace_seconds = 5")
    text = with_line("login", "code_seconds = 5", text)
    assert Settings.load(write(folder, text)).presence.grace_seconds == 5
