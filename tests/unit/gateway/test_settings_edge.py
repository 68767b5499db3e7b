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
    ],
)
def test_what_only_nginx_can_do_is_no_setting_of_the_embedded_engine(
    folder: Path, line: str, key: str
) -> None:
    found = faults(folder, with_line("edge", line))
    assert found == {f"edge.{key}": 'is for edge.engine = "nginx"'}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('relayed_paths = ["/a"]', "relayed_paths"),
        ('passed_fields = ["X-Tenant"]', "passed_fields"),
    ],
)
def test_what_the_embedded_engine_does_anyway_is_no_setting_of_it(
    folder: Path, line: str, key: str
) -> None:
    found = faults(folder, with_line("edge", line))
    assert found == {f"edge.{key}": 'is for edge.engine = "nginx" or "external"'}


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


EXTERNAL = 'engine = "external"\n'


def test_the_sites_own_proxy_can_have_a_group(folder: Path) -> None:
    (folder / "run").mkdir(mode=0o700)
    text = 'runtime_dir = "run"\n' + with_line("edge", EXTERNAL + 'proxy_group = "www-data"')
    edge = Settings.load(write(folder, text)).edge
    assert (edge.engine, edge.proxy_group) == ("external", "www-data")


def test_the_group_does_not_enter_the_folder_of_the_database(folder: Path) -> None:
    found = faults(folder, with_line("edge", EXTERNAL + 'proxy_group = "www-data"'))
    assert "needs a runtime_dir" in found["edge.proxy_group"]


@pytest.mark.parametrize("name", ["", "A", "a b", "1a", "a:b", "a" * 33], ids=ascii)
def test_what_is_no_name_of_a_group_is_refused(folder: Path, name: str) -> None:
    found = faults(folder, with_line("edge", EXTERNAL + f'proxy_group = "{name}"'))
    assert set(found) == {"edge.proxy_group"}


@pytest.mark.parametrize("engine", ["embedded", "nginx"])
def test_a_group_is_for_the_sites_own_proxy(folder: Path, engine: str) -> None:
    (folder / "run").mkdir(mode=0o700)
    text = with_line("edge", f'engine = "{engine}"\nproxy_group = "www-data"')
    found = faults(folder, 'runtime_dir = "run"\n' + text)
    assert found == {"edge.proxy_group": 'is for edge.engine = "external"'}


@pytest.mark.parametrize(
    ("line", "key", "engines"),
    [
        ("verdict_cache_seconds = 1", "verdict_cache_seconds", '"nginx"'),
        ('nginx_program = "tls.pem"', "nginx_program", '"nginx"'),
        ("workers = 2", "workers", '"embedded" or "nginx"'),
    ],
)
def test_what_belongs_to_our_own_engines_is_no_setting_of_an_external_one(
    folder: Path, line: str, key: str, engines: str
) -> None:
    found = faults(folder, with_line("edge", EXTERNAL + line))
    assert found == {f"edge.{key}": f"is for edge.engine = {engines}"}


def test_certificates_are_the_proxys(folder: Path) -> None:
    text = with_line("listen", 'tls_certificate = "tls.pem"\ntls_key = "tls.key"')
    found = faults(folder, text + "\n[edge]\n" + EXTERNAL)
    assert set(found) == {"listen.tls_certificate"}
