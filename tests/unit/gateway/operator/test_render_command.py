import argparse
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.operator.render_command import add_render_command, run_render
from tests.support.settings_files import MINIMAL, SEVERAL, settings_folder, with_line, write

EXTERNAL = 'engine = "external"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def rendered(folder: Path, proxy: str, *arguments: str, settings: str | None = None) -> int:
    file = write(folder, settings or with_line("edge", EXTERNAL))
    output = folder / "out"
    output.mkdir(exist_ok=True)
    parser = argparse.ArgumentParser()
    add_render_command(parser)
    command = [proxy, "--config", str(file), "--output", str(output), *arguments]
    return run_render(parser.parse_args(command))


def tls(folder: Path, *, key: bool = True) -> tuple[str, ...]:
    certificate = ("--certificate", str(folder / "portal.pem"))
    return (*certificate, "--key", str(folder / "portal.key")) if key else certificate


@pytest.mark.parametrize(
    ("proxy", "has_key", "names"),
    [
        ("nginx", True, ["cps-gateway.conf"]),
        ("haproxy", False, ["cps-gateway.cfg", "cps-gateway.lua"]),
        ("caddy", True, ["cps-gateway.caddy"]),
        ("traefik", True, ["traefik.yml", "cps-gateway.yml"]),
        ("envoy", True, ["envoy.yaml"]),
    ],
)
def test_the_files_are_written_and_named(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    proxy: str,
    has_key: bool,
    names: list[str],
) -> None:
    if not Path("/etc/ssl/certs/ca-certificates.crt").is_file():
        pytest.skip("no authorities on this system")
    assert rendered(folder, proxy, *tls(folder, key=has_key)) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [str(folder / "out" / name) for name in names]
    assert sorted(each.name for each in (folder / "out").iterdir()) == sorted(names)


def test_caddy_gets_certificates_by_itself(folder: Path) -> None:
    assert rendered(folder, "caddy") == 0


@pytest.mark.parametrize(
    ("proxy", "arguments", "fault"),
    [
        ("nginx", (), "is missing"),
        ("haproxy", (), "is missing"),
        ("traefik", ("--key", "k"), "is missing"),
        ("caddy", ("--key", "k"), "is missing"),
        ("nginx", ("--certificate", "c"), "needs --key too"),
        ("caddy", ("--certificate", "c"), "needs --key too"),
        ("haproxy", ("--certificate", "c", "--key", "k"), "leave --key out"),
    ],
)
def test_files_for_tls_that_do_not_fit_are_refused(
    folder: Path, proxy: str, arguments: tuple[str, ...], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        rendered(folder, proxy, *arguments)
    assert list((folder / "out").iterdir()) == []


def test_another_engine_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match='is to be "external"'):
        rendered(folder, "caddy", settings=MINIMAL)


@pytest.mark.parametrize("engine", ["embedded", "nginx", "external"])
def test_several_portals_are_refused(folder: Path, engine: str) -> None:
    settings = with_line("edge", f'engine = "{engine}"', SEVERAL)
    with pytest.raises(ConfigurationError, match=r"run a gateway for each|for one portal"):
        rendered(folder, "caddy", settings=settings)
    assert list((folder / "out").iterdir()) == []


def test_an_unknown_proxy_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit):
        rendered(folder, "squid")


def test_a_folder_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        rendered(folder, "caddy", "--output", str(folder / "nowhere"))
