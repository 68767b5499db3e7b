from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write

ENDPOINT = "http://127.0.0.1:4318/v1/traces"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def test_nothing_is_traced_unless_an_address_is_given(folder: Path) -> None:
    assert Settings.load(write(folder, MINIMAL)).tracing.endpoint is None


@pytest.mark.parametrize("endpoint", [ENDPOINT, "https://collector.example/v1/traces"])
def test_an_address_is_taken_as_it_is(folder: Path, endpoint: str) -> None:
    text = with_line("tracing", f'endpoint = "{endpoint}"')
    assert Settings.load(write(folder, text)).tracing.endpoint == endpoint


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        pytest.param('endpoint = "127.0.0.1:4318"', "endpoint", "http", id="no scheme"),
        pytest.param('endpoint = "grpc://127.0.0.1:4317"', "endpoint", "http", id="gRPC"),
        pytest.param('endpoint = "http://u:p@c.example/"', "endpoint", "user name", id="user"),
        pytest.param('endpoint = "http://c.example:0/"', "endpoint", "http", id="port 0"),
        pytest.param('endpoint = "http://c.example/\\nX: y"', "endpoint", "http", id="two lines"),
        pytest.param("endpoint = 4318", "endpoint", "text", id="number"),
        pytest.param("sampling = 1", "sampling", "", id="unknown"),
    ],
)
def test_a_wrong_value_stops_the_start(folder: Path, line: str, key: str, reason: str) -> None:
    found = faults(folder, with_line("tracing", line))
    assert set(found) == {f"tracing.{key}"}
    assert reason in found[f"tracing.{key}"]
