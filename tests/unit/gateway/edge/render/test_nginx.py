from pathlib import Path

from gateway.edge.nginx.config import TARGET
from gateway.edge.render.nginx import nginx_files
from tests.unit.gateway.edge.render.fronts import front, https_front


def test_it_holds_the_guard_of_our_own_engine(tmp_path: Path) -> None:
    text = nginx_files(front(tmp_path), tmp_path)["cps-gateway.conf"]
    assert TARGET in text
    assert "auth_request /_cps/internal/verdict;" in text
    assert "proxy_set_header X-CPS-Client" not in text


def test_it_holds_nothing_that_belongs_to_the_whole_program(tmp_path: Path) -> None:
    text = nginx_files(front(tmp_path), tmp_path)["cps-gateway.conf"]
    lines = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert lines & {"daemon", "user", "worker_processes", "events", "http", "pid"} == set()


def test_it_listens_on_all_addresses(tmp_path: Path) -> None:
    text = nginx_files(https_front(tmp_path), tmp_path)["cps-gateway.conf"]
    assert "        listen 443 ssl http2;\n        listen [::]:443 ssl http2;\n" in text
