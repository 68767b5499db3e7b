import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError, StoreUnavailableError
from gateway.operator.key_commands import list_keys, rotate_keys
from tests.support.logins import MOMENT
from tests.support.serving import write_settings


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_settings(tmp_path, upstream="http://127.0.0.1:9000", port=8443)


def states(lines: list[str]) -> list[str]:
    return [line.split("  ")[1] for line in lines]


def after(seconds: int) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


def test_a_rotation_is_told_from_its_beginning_to_its_end(settings: Path) -> None:
    assert states(list_keys(settings, MOMENT)) == ["signs"]
    old, new = rotate_keys(settings, lambda: MOMENT, at_once=False)
    assert old.endswith("  signs  published until 2026-11-23T09:37:30Z")
    assert new.endswith("  will sign  from 2026-11-23T09:35:30Z")
    assert states(list_keys(settings, after(331))) == ["signs no more", "signs"]
    (last,) = list_keys(settings, after(451))
    assert last.split()[0] == new.split()[0]


def test_nothing_of_a_key_is_shown_but_its_name(settings: Path) -> None:
    rotate_keys(settings, lambda: MOMENT, at_once=False)
    for line in list_keys(settings, MOMENT):
        assert len(line.split()[0]) == 43
        assert "PRIVATE" not in line


def test_a_rotation_is_recorded_or_not_done(settings: Path, tmp_path: Path) -> None:
    rotate_keys(settings, lambda: MOMENT, at_once=True)
    (line,) = (tmp_path / "audit.log").read_text().splitlines()
    assert json.loads(line)["event"] == "keys_rotated"
    before = list_keys(settings, MOMENT)
    (tmp_path / "audit.log").unlink()
    (tmp_path / "audit.log").symlink_to("/dev/full")
    with pytest.raises(StoreUnavailableError):
        rotate_keys(settings, lambda: MOMENT, at_once=True)
    assert list_keys(settings, MOMENT) == before


def test_a_rotation_that_is_refused_is_not_recorded(settings: Path, tmp_path: Path) -> None:
    rotate_keys(settings, lambda: MOMENT, at_once=False)
    with pytest.raises(ConfigurationError):
        rotate_keys(settings, lambda: MOMENT, at_once=False)
    assert len((tmp_path / "audit.log").read_text().splitlines()) == 1


def test_a_damaged_file_is_named(settings: Path, tmp_path: Path) -> None:
    list_keys(settings, MOMENT)
    (file,) = tmp_path.rglob("assertion-key.pem")
    file.write_bytes(b"damaged")
    with pytest.raises(ConfigurationError) as caught:
        list_keys(settings, MOMENT)
    assert caught.value.file == str(file)
