import re
from pathlib import Path

import pytest

from gateway.edge.render.files import RENDERERS, files_for
from gateway.edge.render.front import Front
from tests.support.proxies import PROXIES
from tests.unit.gateway.edge.render.fronts import front, https_front


@pytest.fixture(params=sorted(RENDERERS))
def proxy(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def text_for(proxy: str, chosen: Front) -> str:
    return "\n".join(files_for(proxy, chosen, chosen.runtime_folder).values())


def test_each_proxy_is_tested_with_the_real_program() -> None:
    assert set(RENDERERS) == set(PROXIES)


def test_every_file_says_who_wrote_it_and_what_it_cannot_do(tmp_path: Path, proxy: str) -> None:
    files = files_for(proxy, front(tmp_path), tmp_path)
    for text in files.values():
        assert f"Written by `cps-gateway render {proxy}`" in text.splitlines()[0]
    assert "other answers may" in re.sub(r"\s*\n# ", " ", "\n".join(files.values()))


def test_no_place_of_a_template_is_left(tmp_path: Path, proxy: str) -> None:
    for chosen in (front(tmp_path), https_front(tmp_path)):
        assert "<<" not in text_for(proxy, chosen)


def test_paths_of_the_settings_pass_through_the_relay(tmp_path: Path, proxy: str) -> None:
    text = text_for(proxy, front(tmp_path))
    assert "/exports/" in text
    assert re.search(r"/a(?:\.|\\x2e)b", text)


def test_no_address_of_the_gateway_but_the_relays_and_the_verdicts_is_named(
    tmp_path: Path, proxy: str
) -> None:
    # The control plane itself believes whoever reaches its socket.
    assert "control.sock" not in text_for(proxy, front(tmp_path))


def test_the_portal_is_asked_with_tls_and_its_certificate_is_checked(
    tmp_path: Path, proxy: str
) -> None:
    text = text_for(proxy, https_front(tmp_path))
    proof = {
        "nginx": "proxy_ssl_verify on;",
        "haproxy": "ssl ssl-min-ver TLSv1.2 verify required",
        "caddy": "reverse_proxy https://behind.example:443",
        "traefik": 'url: "https://behind.example:443"',
        "envoy": "match_typed_subject_alt_names",
    }
    assert proof[proxy] in text
    assert str(tmp_path / "portal.pem") in text
