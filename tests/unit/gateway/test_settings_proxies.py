"""Proxies in front that are trusted: which may be named."""

from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write


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


def test_nginx_in_front_is_another_matter(folder: Path) -> None:
    text = with_line("listen", 'trusted_proxies = ["127.0.0.1"]', MINIMAL)
    assert set(faults(folder, with_line("edge", 'engine = "nginx"', text))) == {
        "listen.trusted_proxies"
    }


def test_another_field_than_the_two_is_refused(folder: Path) -> None:
    assert "listen.proxy_field" in faults(folder, with_line("listen", 'proxy_field = "X-Real-IP"'))
