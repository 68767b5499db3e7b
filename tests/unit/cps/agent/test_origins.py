"""The list of portals: full origins, one spelling, nothing by default."""

from pathlib import Path

import pytest

from cps.agent.errors import ConfigurationError
from cps.agent.origins import MAX_PORTALS, AllowList, is_loopback


def settings(folder: Path, content: str, mode: int = 0o600) -> Path:
    file = folder / "agent.toml"
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    return file


def test_options_and_file_add_up(tmp_path: Path) -> None:
    file = settings(tmp_path, 'portals = ["https://b.example", "https://c.example:8443"]')
    portals = AllowList.load(["https://a.example"], file, development=False)
    assert portals.origin_of("a.example") == "https://a.example"
    assert portals.origin_of("b.example") == "https://b.example"
    assert portals.origin_of("c.example:8443") == "https://c.example:8443"


@pytest.mark.parametrize("host", ["", "c.example", "A.EXAMPLE", "a.example:443", "a.example."])
def test_another_host_is_not_on_the_list(host: str) -> None:
    origins = ["https://a.example", "https://c.example:8443"]
    assert AllowList.load(origins, None, development=False).origin_of(host) is None


def test_a_settings_file_that_is_absent_adds_nothing(tmp_path: Path) -> None:
    AllowList.load(["https://a.example"], tmp_path / "absent.toml", development=False)


def test_without_any_portal_the_agent_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no portal is named"):
        AllowList.load([], settings(tmp_path, "portals = []"), development=False)


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param("https://a.example/", id="slash"),
        pytest.param("https://A.example", id="upper-case"),
        pytest.param("https://a.example:443", id="default-port"),
        pytest.param("https://user@a.example", id="user"),
        pytest.param("https://*.example", id="wildcard"),
        pytest.param("a.example", id="no-scheme"),
        pytest.param("ftp://a.example", id="ftp"),
        pytest.param("https://é.example", id="not-punycode"),
        pytest.param("", id="empty"),
    ],
)
def test_another_spelling_is_refused(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="--portal"):
        AllowList.load([origin], None, development=True)


@pytest.mark.parametrize(
    ("origin", "development"),
    [
        pytest.param("http://a.example", False, id="elsewhere"),
        pytest.param("http://a.example", True, id="elsewhere-in-development"),
        pytest.param("http://localhost.evil.example", True, id="looks-local"),
        pytest.param("http://127.0.0.2:8080", True, id="other-loopback-address"),
        pytest.param("http://localhost:8080", False, id="here-without-development"),
    ],
)
def test_plain_http_is_refused(origin: str, development: bool) -> None:
    with pytest.raises(ConfigurationError, match="https is wanted"):
        AllowList.load([origin], None, development=development)


@pytest.mark.parametrize(
    "origin", ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"]
)
def test_plain_http_to_this_machine_is_for_development(origin: str) -> None:
    assert is_loopback(origin)
    assert AllowList.load([origin], None, development=True).origin_of(origin[7:]) == origin


def test_one_host_stands_for_one_origin() -> None:
    with pytest.raises(ConfigurationError, match="http and with https"):
        AllowList.load(["http://localhost:1", "https://localhost:1"], None, development=True)


def test_too_many_portals_are_refused() -> None:
    many = [f"https://p{number}.example" for number in range(MAX_PORTALS + 1)]
    with pytest.raises(ConfigurationError, match="more than"):
        AllowList.load(many, None, development=False)
    AllowList.load(many[1:], None, development=False)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("portals = [", "not TOML", id="syntax"),
        pytest.param("portal = []", "portal: not a setting", id="unknown-key"),
        pytest.param('portals = "https://a.example"', "a list", id="text"),
        pytest.param("portals = [1]", "a list", id="numbers"),
        pytest.param('portals = ["x"]', "wanted scheme", id="no-origin"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_reason(
    tmp_path: Path, content: str, reason: str
) -> None:
    file = settings(tmp_path, content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        AllowList.load(["https://a.example"], file, development=False)
    assert caught.value.where == str(file)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    file = settings(tmp_path, 'portals = ["https://a.example"]', mode)
    with pytest.raises(ConfigurationError, match="lets others in"):
        AllowList.load([], file, development=False)


def test_a_file_that_others_can_read_serves(tmp_path: Path) -> None:
    file = settings(tmp_path, 'portals = ["https://a.example"]', 0o644)
    assert AllowList.load([], file, development=False).origin_of("a.example")
