import json
from pathlib import Path

import pytest

from gateway.serve.generation import Generation, clear, only_at_start
from gateway.settings_portals import Portals
from tests.support.settings_files import MINIMAL, SEVERAL, settings_folder, with_line, write


def load(folder: Path, text: str = MINIMAL) -> Portals:
    file = write(settings_folder(folder), text)
    portals = Portals.load(file, {})
    portals.create_directories(file=file)
    return portals


def test_a_generation_has_a_folder_of_its_own(tmp_path: Path) -> None:
    portals = load(tmp_path)
    made = Generation.make(portals, ())
    assert made.folder.stat().st_mode & 0o777 == 0o700
    for program in made.programs:
        (order,) = json.loads(program.order)
        assert order["runtime_dir"] == str(made.folder)
        assert "session" not in order, "no more than was written"


def test_two_generations_stand_side_by_side_and_a_third_in_the_firsts_place(tmp_path: Path) -> None:
    portals = load(tmp_path)
    first = Generation.make(portals, ())
    (first.folder / "control.sock").touch()
    second = Generation.make(portals, (), before=first)
    assert (first.folder / "control.sock").exists()
    third = Generation.make(portals, (), before=second)
    assert second.folder != third.folder == first.folder
    assert not (third.folder / "control.sock").exists()


def test_others_find_the_one_that_took_over(tmp_path: Path) -> None:
    portals = load(tmp_path)
    first = Generation.make(portals, ())
    second = Generation.make(portals, (), before=first)
    for made, text in ((first, "1"), (second, "2")):
        (made.folder / "control.sock").write_text(text)
        made.take_over()
        assert (portals.common.runtime_dir / "control.sock").read_text() == text


def test_nothing_is_left_in_the_runtime_folder(tmp_path: Path) -> None:
    portals = load(tmp_path)
    before = sorted(portals.common.runtime_dir.iterdir())
    # Of a run of another version that was killed.
    (portals.common.runtime_dir / "nginx").mkdir()
    (portals.common.runtime_dir / "relay.sock").touch()
    clear(portals.common)
    Generation.make(portals, ()).take_over()
    clear(portals.common)
    assert sorted(portals.common.runtime_dir.iterdir()) == before


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

    portals = load(tmp_path, with_line("edge", "workers = 2"))
    made = Generation.make(portals, (Lent(7), Lent(8)))  # type: ignore[arg-type]
    assert [each.listening for each in made.programs if each.reloads] == [7, 8]
    assert {each.name for each in made.programs if each.is_alone} == {"monitor"}


def test_each_portal_has_sockets_and_processes_of_its_own_behind_one_edge(tmp_path: Path) -> None:
    made = Generation.make(load(tmp_path, SEVERAL), ())
    served = {
        each.name: [o["portal"]["name"] for o in json.loads(each.order)] for each in made.programs
    }
    assert served == {
        "control plane of one": ["one"],
        "control plane of two": ["two"],
        "edge": ["one", "two"],
        "monitor of one": ["one"],
        "monitor of two": ["two"],
    }
    for program in made.programs:
        for order in json.loads(program.order):
            name = order["portal"]["name"]
            assert order["runtime_dir"] == str(made.folder / name)
            assert order["state_dir"] == str(tmp_path / "state" / "portals" / name)


def test_nginx_asks_a_process_of_each_portal(tmp_path: Path) -> None:
    made = Generation.make(load(tmp_path, with_line("edge", 'engine = "nginx"', SEVERAL)), ())
    verdicts = [each for each in made.programs if each.name.startswith("verdict")]
    assert [each.name for each in verdicts] == ["verdict of one", "verdict of two"]
    assert not any(each.is_vital for each in verdicts)
    for name, program in zip(("one", "two"), verdicts, strict=True):
        (order,) = json.loads(program.order)
        assert order["runtime_dir"] == str(made.folder / name)


def test_a_portal_that_fails_ends_no_other(tmp_path: Path) -> None:
    several = Generation.make(load(tmp_path, SEVERAL), ())
    assert {each.name for each in several.programs if each.is_vital} == {"edge"}
    several.remove()
    alone = Generation.make(load(tmp_path), ())
    assert all(each.is_vital for each in alone.programs)


def test_portals_are_found_where_commands_look_and_nothing_is_left(tmp_path: Path) -> None:
    portals = load(tmp_path, SEVERAL)
    before = sorted(portals.common.runtime_dir.iterdir())
    for text in ("1", "2"):
        made = Generation.make(portals, ())
        (made.folder / "two" / "monitor.sock").write_text(text)
        made.take_over()
        assert (portals.portals[1].runtime_dir / "monitor.sock").read_text() == text
    clear(portals.common)
    assert sorted(portals.common.runtime_dir.iterdir()) == before


def test_portals_may_come_and_go_but_not_become_one_without_a_name(tmp_path: Path) -> None:
    before = load(tmp_path, SEVERAL)
    for changed in (SEVERAL.replace('"two"', '"other"'), SEVERAL.replace("Deux", "2")):
        after = load(tmp_path, changed)
        assert after != before
        assert list(only_at_start(before, after)) == []
    assert list(only_at_start(before, load(tmp_path))) == ["portals"]
