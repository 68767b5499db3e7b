"""The list of portals: full origins, one spelling, nothing by default."""

import pytest

from cps.agent.errors import ConfigurationError
from cps.agent.origins import MAX_PORTALS, AllowList, is_loopback


def test_options_and_settings_add_up() -> None:
    settings = ["https://b.example", "https://c.example:8443"]
    portals = AllowList.of(["https://a.example"], settings, development=False)
    assert portals.origin_of("a.example") == "https://a.example"
    assert portals.origin_of("b.example") == "https://b.example"
    assert portals.origin_of("c.example:8443") == "https://c.example:8443"


@pytest.mark.parametrize("host", ["", "c.example", "A.EXAMPLE", "a.example:443", "a.example."])
def test_another_host_is_not_on_the_list(host: str) -> None:
    origins = ["https://a.example", "https://c.example:8443"]
    assert AllowList.of(origins, [], development=False).origin_of(host) is None


def test_without_any_portal_the_agent_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="no portal is named"):
        AllowList.of([], [], development=False)


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
def test_another_spelling_is_refused_by_where_it_stands(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="--portal"):
        AllowList.of([origin], [], development=True)
    with pytest.raises(ConfigurationError, match="portals: "):
        AllowList.of([], [origin], development=True)


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
        AllowList.of([origin], [], development=development)


@pytest.mark.parametrize(
    "origin", ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"]
)
def test_plain_http_to_this_machine_is_for_development(origin: str) -> None:
    assert is_loopback(origin)
    assert AllowList.of([origin], [], development=True).origin_of(origin[7:]) == origin


def test_one_host_stands_for_one_origin() -> None:
    with pytest.raises(ConfigurationError, match="http and with https"):
        AllowList.of(["http://localhost:1", "https://localhost:1"], [], development=True)


def test_too_many_portals_are_refused() -> None:
    many = [f"https://p{number}.example" for number in range(MAX_PORTALS + 1)]
    with pytest.raises(ConfigurationError, match="more than"):
        AllowList.of(many, [], development=False)
    AllowList.of(many[1:], [], development=False)
