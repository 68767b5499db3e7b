from dataclasses import replace
from pathlib import Path

import pytest

from gateway.edge.render.haproxy import haproxy_files
from gateway.errors import ConfigurationError
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


def test_a_certificate_for_the_portal_stands_in_one_file_with_its_key(tmp_path: Path) -> None:
    front_ = https_front(tmp_path)

    def rendered(certificate: str, key: str) -> str:
        pair = {"upstream_certificate": tmp_path / certificate, "upstream_key": tmp_path / key}
        portal = front_.settings.portal.model_copy(update=pair)
        settings = front_.settings.model_copy(update={"portal": portal})
        return haproxy_files(replace(front_, settings=settings), tmp_path)["cps-gateway.cfg"]

    assert f" crt {tmp_path}/both.pem\n" in rendered("both.pem", "both.pem")
    with pytest.raises(ConfigurationError, match="in one file") as caught:
        rendered("ours.pem", "ours.key")
    assert caught.value.key == "portal.upstream_key"
