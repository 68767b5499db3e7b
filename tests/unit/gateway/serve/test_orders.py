from pathlib import Path

from gateway.serve.orders import read_order, write_order
from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, settings_folder, with_line, write


def test_a_child_gets_the_settings_as_they_were_read(tmp_path: Path) -> None:
    folder = settings_folder(tmp_path)
    one = Settings.load(write(folder, MINIMAL), {})
    text = with_line("guard", 'routes = [{ name = "r", path = "/{record}", fresh = "10m" }]')
    two = Settings.load(write(folder, text), {})
    order = write_order((one, two))
    assert b"\n" not in order
    assert read_order(order) == (one, two)


def test_no_more_is_said_than_was_written(tmp_path: Path) -> None:
    settings = Settings.load(write(settings_folder(tmp_path), MINIMAL), {})
    assert b"engine" not in write_order((settings,))
