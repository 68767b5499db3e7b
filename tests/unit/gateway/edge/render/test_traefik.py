from pathlib import Path

from gateway.edge.headers import withheld_pattern
from gateway.edge.render.traefik import traefik_files
from tests.unit.gateway.edge.render.fronts import front, https_front


def test_the_two_files_know_each_other(tmp_path: Path) -> None:
    files = traefik_files(front(tmp_path), tmp_path / "conf")
    assert f'filename: "{tmp_path}/conf/cps-gateway.yml"' in files["traefik.yml"]


def test_it_asks_on_a_port_of_this_machine(tmp_path: Path) -> None:
    chosen = front(tmp_path)
    text = traefik_files(chosen, tmp_path)["cps-gateway.yml"]
    assert f'address: "http://{chosen.relay_address}/_cps/internal/forward-auth"' in text
    assert f'authResponseHeadersRegex: "(?i){withheld_pattern()}"' in text


def test_every_router_speaks_tls(tmp_path: Path) -> None:
    text = traefik_files(https_front(tmp_path), tmp_path)["cps-gateway.yml"]
    assert text.count("      tls: {}") == text.count("      service: ") == 3
