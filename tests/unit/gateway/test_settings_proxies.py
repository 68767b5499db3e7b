"""Proxies in front that are trusted: which may be named."""

from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write

PROTOCOL = 'trusted_proxies = ["127.0.0.1"]\nproxy_protocol = true'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def test_addresses_and_networks_may_be_trusted(folder: Path) -> None:
    line = 'trusted_proxies = ["127.0.0.1", "10.0.0.0/24", "2001:db8::/64"]'
    assert len(Settings.load(write(folder, with_line("listen", line))).listen.trusted_proxies) == 3


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param('["0.0.0.0/0"]', "everybody", id="everybody"),
        pytest.param('["::/0"]', "everybody", id="everybody by IPv6"),
        pytest.param('["10.0.0.1/24"]', "not an IP address or network", id="host bits"),
        pytest.param('["proxy.example"]', "not an IP address or network", id="a name"),
    ],
)
def test_what_is_no_network_of_proxies_is_refused(folder: Path, value: str, reason: str) -> None:
    found = faults(folder, with_line("listen", f"trusted_proxies = {value}"))
    assert reason in found["listen.trusted_proxies[0]"]


@pytest.mark.parametrize("engine", ["nginx", "external"])
def test_a_field_of_proxies_is_for_the_embedded_engine(folder: Path, engine: str) -> None:
    text = with_line("listen", 'trusted_proxies = ["127.0.0.1"]', MINIMAL)
    found = faults(folder, with_line("edge", f'engine = "{engine}"', text))
    assert set(found) == {"listen.trusted_proxies"}
    assert ("or for proxy_protocol" in found["listen.trusted_proxies"]) is (engine == "nginx")


@pytest.mark.parametrize("engine", ["embedded", "nginx"])
def test_the_proxy_protocol_is_for_both_engines(folder: Path, engine: str) -> None:
    text = with_line("edge", f'engine = "{engine}"', with_line("listen", PROTOCOL, MINIMAL))
    assert Settings.load(write(folder, text)).listen.proxy_protocol


def test_the_proxy_protocol_is_refused_where_the_proxy_is_the_sites_own(folder: Path) -> None:
    text = with_line("edge", 'engine = "external"', with_line("listen", PROTOCOL, MINIMAL))
    assert set(faults(folder, text)) == {"listen.proxy_protocol"}


def test_the_proxy_protocol_wants_proxies_that_are_named(folder: Path) -> None:
    found = faults(folder, with_line("listen", "proxy_protocol = true"))
    assert "believes those alone" in found["listen.trusted_proxies"]


@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded"])
def test_beside_the_proxy_protocol_no_field_may_be_named(folder: Path, field: str) -> None:
    found = faults(folder, with_line("listen", f'{PROTOCOL}\nproxy_field = "{field}"'))
    assert set(found) == {"listen.proxy_field"}


def test_another_field_than_the_two_is_refused(folder: Path) -> None:
    assert "listen.proxy_field" in faults(folder, with_line("listen", 'proxy_field = "X-Real-IP"'))
