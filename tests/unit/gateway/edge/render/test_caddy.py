from pathlib import Path

from gateway.edge.headers import CLAIM_PREFIXES, CLAIMS
from gateway.edge.render.caddy import caddy_files
from tests.unit.gateway.edge.render.fronts import front, https_front


def test_every_claim_of_a_browser_is_taken_away(tmp_path: Path) -> None:
    text = caddy_files(front(tmp_path), tmp_path)["cps-gateway.caddy"]
    for name in (*CLAIMS, *(f"{prefix}*" for prefix in CLAIM_PREFIXES)):
        assert f"\n\t\trequest_header -{name}\n" in text


def test_a_certificate_is_named_only_where_there_is_one(tmp_path: Path) -> None:
    text = caddy_files(https_front(tmp_path), tmp_path)["cps-gateway.caddy"]
    assert f"\ttls {tmp_path}/portal.pem {tmp_path}/portal.key\n" in text
    automatic = https_front(tmp_path, certificate=None, key=None)
    assert "\ttls " not in caddy_files(automatic, tmp_path)["cps-gateway.caddy"]
