import json
from pathlib import Path

import pytest

from gateway.serve.generation import Generation, clear, only_at_start
from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, settings_folder, with_line, write


def load(folder: Path, text: str = MINIMAL) -> Settings:
    settings = Settings.load(write(settings_folder(folder), text), {})
    settings.state_dir.mkdir(mode=0o700, exist_ok=True)
    return settings


def test_a_generation_has_a_folder_of_its_own(tmp_path: Path) -> None:
    settings = load(tmp_path)
    made = Generation.make(settings, ())
    assert made.folder.stat().st_mode & 0o777 == 0o700
    for program in made.programs:
        order = json.loads(program.order)
        assert order["runtime_dir"] == str(made.folder)
        assert "session" not in order, "no more than was written"


def test_two_generations_stand_side_by_side_and_a_third_in_the_firsts_place(tmp_path: Path) -> None:
    settings = load(tmp_path)
    first = Generation.make(settings, ())
    (first.folder / "control.sock").touch()
    second = Generation.make(settings, (), before=first)
    assert (first.folder / "control.sock").exists()
    third = Generation.make(settings, (), before=second)
    assert second.folder != third.folder == first.folder
    assert not (third.folder / "control.sock").exists()


def test_others_find_the_one_that_took_over(tmp_path: Path) -> None:
    settings = load(tmp_path)
    first = Generation.make(settings, ())
    second = Generation.make(settings, (), before=first)
    for made, text in ((first, "1"), (second, "2")):
        (made.folder / "control.sock").write_text(text)
        made.take_over()
        assert (settings.runtime_dir / "control.sock").read_text() == text


def test_nothing_is_left_in_the_runtime_folder(tmp_path: Path) -> None:
    settings = load(tmp_path)
    before = sorted(settings.runtime_dir.iterdir())
    # Of a run of another version that was killed.
    (settings.runtime_dir / "nginx").mkdir()
    (settings.runtime_dir / "relay.sock").touch()
    clear(settings)
    Generation.make(settings, ()).take_over()
    clear(settings)
    assert sorted(settings.runtime_dir.iterdir()) == before


@pytest.mark.parametrize(
    ("table", "line", "key"),
    [
        pytest.param("listen", "port = 9999", "listen.port", id="port"),
        pytest.param("listen", 'address = "::1"', "listen.address", id="address"),
        pytest.param("edge", "workers = 3", "edge.workers", id="workers"),
        pytest.param("edge", 'engine = "nginx"', "edge.engine", id="engine"),
        pytest.param("", 'environment = "test"', "environment", id="environment"),
        pytest.param("", 'runtime_dir = "run"', "runtime_dir", id="runtime_dir"),
    ],
)
def test_what_holds_from_start_to_stop_is_named(
    tmp_path: Path, table: str, line: str, key: str
) -> None:
    before = load(tmp_path)
    assert list(only_at_start(before, load(tmp_path, with_line(table, line)))) == [key]


def test_anything_else_may_change(tmp_path: Path) -> None:
    after = load(tmp_path, with_line("session", "idle_seconds = 100\ntouch_seconds = 5"))
    assert list(only_at_start(load(tmp_path), after)) == []


def test_each_process_that_takes_connections_is_lent_a_socket(tmp_path: Path) -> None:
    class Lent:
        def __init__(self, number: int) -> None:
            self._number = number

        def fileno(self) -> int:
            return self._number

    settings = load(tmp_path, with_line("edge", "workers = 2"))
    made = Generation.make(settings, (Lent(7), Lent(8)))  # type: ignore[arg-type]
    assert [each.listening for each in made.programs if each.reloads] == [7, 8]
    assert {each.name for each in made.programs if each.is_alone} == {"monitor"}
