import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.edge.nginx import engine
from gateway.edge.nginx.engine import is_in_memory, site_of
from gateway.edge.nginx.site import Behind, Placed, Site
from gateway.errors import ConfigurationError
from gateway.settings import Settings
from gateway.settings_edge import EdgeSettings
from tests.support.relay import relay_settings
from tests.support.server_certificate import write_server_files


def chosen(folder: Path, upstream: str = "http://127.0.0.1:8000", **edge: object) -> Settings:
    settings = relay_settings(folder, upstream=upstream)
    return settings.model_copy(
        update={"edge": EdgeSettings.model_validate({"engine": "nginx", **edge})}
    )


def placed(settings: Settings, folder: Path) -> Placed:
    return Placed(
        settings=settings,
        verdict_socket=folder / "verdict.sock",
        control_socket=folder / "control.sock",
        verdicts=folder / "verdicts",
    )


def planned(settings: Settings, folder: Path) -> Site:
    portals = (placed(settings, folder),)
    return site_of(portals, folder=folder / "nginx", relay_socket=folder / "relay.sock")


def planned_portal(settings: Settings, folder: Path) -> Behind:
    (behind,) = planned(settings, folder).portals
    return behind


@pytest.mark.parametrize(
    ("upstream", "server", "name"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", None),
        ("http://portal.internal", "portal.internal:80", None),
        ("https://portal.internal", "portal.internal:443", "portal.internal"),
        ("https://[::1]:8443", "[::1]:8443", "::1"),
    ],
)
def test_the_portal_is_named_with_its_port(
    tmp_path: Path, upstream: str, server: str, name: str | None
) -> None:
    behind = planned_portal(chosen(tmp_path, upstream), tmp_path)
    assert (behind.portal, behind.portal_tls) == (server, name)
    assert (behind.authorities is not None) == (name is not None)


def test_the_certificate_is_looked_at_before_nginx_is(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    files, foreign = (write_server_files(folder, "portal.example") for folder in (one, other))
    settings = chosen(tmp_path)
    listen = settings.listen.model_copy(
        update={"tls_certificate": files.certificate, "tls_key": files.key}
    )
    behind = planned_portal(settings.model_copy(update={"listen": listen}), tmp_path)
    assert behind.tls == (files.certificate, files.key)
    good = settings.model_copy(update={"listen": listen})
    listen = listen.model_copy(update={"tls_key": foreign.key})
    bad = settings.model_copy(update={"listen": listen})
    # Also where it is the second portal's.
    portals = tuple(placed(each, tmp_path) for each in (good, bad))
    for tried in (portals, portals[1:]):
        with pytest.raises(ConfigurationError, match=r"listen\.tls_certificate"):
            site_of(tried, folder=tmp_path / "nginx", relay_socket=tmp_path / "relay.sock")


@pytest.mark.parametrize("name", ["a b", "a;b", "a$b", 'a"b', "a{b", "é"])
def test_a_folder_that_nginx_could_misread_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    with pytest.raises(ConfigurationError, match="letters, digits") as caught:
        planned(chosen(tmp_path), folder)
    assert caught.value.key == "runtime_dir"


def test_verdicts_are_kept_in_memory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = chosen(tmp_path, verdict_cache_seconds=2)
    monkeypatch.setattr(engine, "is_in_memory", lambda folder: folder != tmp_path)
    with pytest.raises(ConfigurationError, match="in memory") as caught:
        planned(settings, tmp_path)
    assert caught.value.key == "edge.verdict_cache_seconds"
    assert planned(settings, tmp_path / "memory").folder == tmp_path / "memory" / "nginx"


def test_memory_is_told_from_a_disk(tmp_path: Path) -> None:
    def kinds(wanted: Callable[[str], bool]) -> list[Path]:
        lines = Path("/proc/mounts").read_text().splitlines()
        found = [Path(mount) for _, mount, kind, *_ in map(str.split, lines) if wanted(kind)]
        return [mount for mount in found if mount.is_dir() and os.path.ismount(mount)]

    memory = kinds(lambda kind: kind == "tmpfs")
    assert all(is_in_memory(mount / "not" / "there") for mount in memory)
    assert not is_in_memory(Path("/proc"))


@pytest.mark.parametrize(
    ("allowed", "seconds", "connections"),
    [(20_000, 0, 10_000), (20_000, 2, 9_500), (1024, 2, 256), (-1, 2, 16_384)],
)
def test_a_worker_has_files_for_all_its_connections(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    allowed: int,
    seconds: int,
    connections: int,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, allowed))
    monkeypatch.setattr(engine, "is_in_memory", lambda _: True)
    settings = chosen(tmp_path, verdict_cache_seconds=seconds)
    assert planned(settings, tmp_path).connections == connections


def test_an_address_that_is_taken_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = chosen(tmp_path)
        listen = settings.listen.model_copy(update={"port": taken.getsockname()[1]})
        with pytest.raises(OSError, match="in use"):
            engine._require_free(settings.model_copy(update={"listen": listen}))
