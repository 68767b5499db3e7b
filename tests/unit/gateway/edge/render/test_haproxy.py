from pathlib import Path

from gateway.edge.render.haproxy import haproxy_files
from tests.unit.gateway.edge.render.fronts import front, https_front


def test_the_script_stands_where_the_sections_name_it(tmp_path: Path) -> None:
    files = haproxy_files(front(tmp_path), tmp_path / "conf")
    assert f"lua-load-per-thread {tmp_path}/conf/cps-gateway.lua\n" in files["cps-gateway.cfg"]
    assert "cps-gateway.lua" in files


def test_http_2_is_not_spoken(tmp_path: Path) -> None:
    text = haproxy_files(https_front(tmp_path), tmp_path)["cps-gateway.cfg"]
    assert "alpn http/1.1" in text
    assert "h2" not in text.replace("option disable-h2-upgrade", "")


def test_it_listens_on_all_addresses(tmp_path: Path) -> None:
    text = haproxy_files(https_front(tmp_path), tmp_path)["cps-gateway.cfg"]
    assert "    bind :::443 v4v6 ssl crt " in text
