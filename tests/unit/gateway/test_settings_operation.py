import socket
from contextlib import closing
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def test_the_log_may_be_a_chain(folder: Path) -> None:
    assert Settings.load(write(folder, with_line("audit", "journal = true"))).audit.journal


def test_the_systems_log_is_a_socket(folder: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as daemon:
        daemon.bind(str(folder / "log"))
        settings = Settings.load(write(folder, with_line("audit", 'syslog = "log"')))
    assert settings.audit.syslog == folder / "log"


@pytest.mark.parametrize(
    ("table", "line", "key", "reason"),
    [
        pytest.param("audit", 'syslog = "root.pem"', "audit.syslog", "not a socket", id="a file"),
        pytest.param("audit", 'syslog = "none"', "audit.syslog", "not a socket", id="nothing"),
        pytest.param("audit", 'file = "."', "audit.file", "a file is wanted", id="folder for file"),
        pytest.param("audit", "journal = 1", "audit.journal", "true or false", id="a number"),
        pytest.param("audit", 'file = "a"\njournal = true', "audit.file", "one place", id="two"),
        pytest.param("monitor", 'address = "localhost"', "monitor.address", "IP", id="a name"),
        pytest.param("monitor", 'port = "9464"', "monitor.port", "whole number", id="text"),
        pytest.param("monitor", "port = 8443", "monitor.port", "listen.port", id="public side"),
    ],
)  # fmt: skip
def test_a_wrong_value_stops_the_start(
    folder: Path, table: str, line: str, key: str, reason: str
) -> None:
    found = faults(folder, with_line(table, line))
    assert set(found) == {key}
    assert reason in found[key]


def test_health_and_metrics_may_share_the_port_number_of_another_address(folder: Path) -> None:
    line = 'address = "::1"\nport = 8443'
    assert Settings.load(write(folder, with_line("monitor", line, MINIMAL))).monitor.port == 8443
