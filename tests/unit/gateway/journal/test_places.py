from pathlib import Path

from gateway.clock import system_clock
from gateway.journal.places import chains_in, journal_folder, journal_keys, open_chain
from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, settings_folder, with_line, write


def test_chains_are_in_the_state_folder_where_nothing_is_said(tmp_path: Path) -> None:
    folder = settings_folder(tmp_path)
    settings = Settings.load(write(folder, MINIMAL))
    settings.state_dir.mkdir(exist_ok=True)
    keys = journal_keys(settings).current
    for name in ("access", "audit"):
        open_chain(settings, name, keys=keys, clock=system_clock).append([{"event": "a"}])
    assert journal_folder(settings) == folder / "state" / "journal"
    assert chains_in(journal_folder(settings)) == ["access", "audit"]
    assert (folder / "state" / "journal.key").is_file()


def test_another_folder_can_be_named(tmp_path: Path) -> None:
    folder = settings_folder(tmp_path)
    settings = Settings.load(write(folder, with_line("journal", 'folder = "records"')))
    assert journal_folder(settings) == folder / "records"
