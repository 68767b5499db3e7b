from pathlib import Path

import pytest

from gateway.edge.render.front import render
from gateway.errors import ConfigurationError
from tests.unit.gateway.edge.render.fronts import front, https_front


def test_hosts_and_ports_are_those_of_the_settings(tmp_path: Path) -> None:
    plain, https = front(tmp_path, upstream="http://[::1]:3000"), https_front(tmp_path)
    assert (plain.host, plain.host_name) == ("portal.example", "portal.example")
    assert (plain.upstream_host, plain.upstream_port) == ("[::1]", 3000)
    assert (https.upstream_host, https.upstream_port) == ("behind.example", 443)
    listen = plain.settings.listen
    assert plain.relay_address == f"127.0.0.1:{listen.port}"


@pytest.mark.parametrize("name", ["a b.pem", 'a".pem', "a;b", "a{b}", "a$b", "a\nb"], ids=ascii)
def test_a_path_that_could_be_read_as_configuration_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        render(front(tmp_path, certificate=tmp_path / name), "cps-gateway.conf", site="")
    assert caught.value.key == "--certificate"


@pytest.mark.parametrize("host", ['a"b', "a{b}", "a;b", "a`b", "a$b", "a,b"])
def test_a_host_that_could_be_read_as_configuration_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        render(front(tmp_path, upstream=f"http://{host}"), "cps-gateway.conf", site="")
    assert caught.value.key == "portal.upstream"
