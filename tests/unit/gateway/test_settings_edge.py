from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write

NGINX = 'engine = "nginx"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def test_no_second_program_is_needed_where_nothing_is_said(folder: Path) -> None:
    assert Settings.load(write(folder, MINIMAL)).edge.engine == "embedded"


@pytest.mark.parametrize(
    "path", ["/exports", "/exports/", "/a/b.c/", "/~x", "/a_b", "/_cpsx", "/.well-known/x/"]
)
def test_the_beginning_of_paths_can_be_relayed(folder: Path, path: str) -> None:
    text = with_line("edge", NGINX + f'relayed_paths = ["{path}"]')
    assert Settings.load(write(folder, text)).edge.relayed_paths == (path,)


@pytest.mark.parametrize(
    "path",
    ["", "/", "exports", "/a//b", "/../a", "/a/..", "/a b", "/a;b", "/a$b", '/a\\"b', "/a{b}",
     "/%61", "/é", "/a\\nb", "/_cps", "/_CPS/login", "/" + "a" * 200],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_plain_path_of_the_portal_is_refused(folder: Path, path: str) -> None:
    found = faults(folder, with_line("edge", NGINX + f'relayed_paths = ["{path}"]'))
    assert set(found) == {"edge.relayed_paths[0]"}


@pytest.mark.parametrize("name", ["", "X Y", "X_Y", "X:Y", "1X", "X.Y", "Xé", "X" * 65], ids=ascii)
def test_what_is_no_plain_header_name_is_refused(folder: Path, name: str) -> None:
    found = faults(folder, with_line("edge", NGINX + f'passed_fields = ["{name}"]'))
    assert set(found) == {"edge.passed_fields[0]"}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("verdict_cache_seconds = 1", "verdict_cache_seconds"),
        ('nginx_program = "tls.pem"', "nginx_program"),
        ('relayed_paths = ["/a"]', "relayed_paths"),
        ('passed_fields = ["X-Tenant"]', "passed_fields"),
    ],
)
def test_what_only_nginx_can_do_is_no_setting_of_the_embedded_engine(
    folder: Path, line: str, key: str
) -> None:
    found = faults(folder, with_line("edge", line))
    assert found == {f"edge.{key}": 'is for edge.engine = "nginx"'}


@pytest.mark.parametrize("engine", ["", NGINX], ids=["embedded", "nginx"])
def test_either_engine_may_have_several_processes(folder: Path, engine: str) -> None:
    text = with_line("edge", engine + "workers = 2")
    assert Settings.load(write(folder, text)).edge.workers == 2
    found = faults(folder, with_line("edge", engine + "workers = 65"))
    assert set(found) == {"edge.workers"}


def test_more_than_a_hundred_paths_are_refused(folder: Path) -> None:
    paths = ", ".join(f'"/p{number}/"' for number in range(101))
    found = faults(folder, with_line("edge", NGINX + f"relayed_paths = [{paths}]"))
    assert set(found) == {"edge.relayed_paths"}
