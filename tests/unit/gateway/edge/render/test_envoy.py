from pathlib import Path

from gateway.edge.headers import CLAIMS
from gateway.edge.render.envoy import envoy_files
from tests.unit.gateway.edge.render.fronts import front, https_front


def test_every_claim_of_a_browser_is_taken_away(tmp_path: Path) -> None:
    text = envoy_files(front(tmp_path), tmp_path)["envoy.yaml"]
    for name in CLAIMS:
        assert f'- remove_on_match: {{key_matcher: {{"exact": "{name}"}}}}' in text


def test_an_answer_that_does_not_come_is_a_refusal(tmp_path: Path) -> None:
    text = envoy_files(front(tmp_path), tmp_path)["envoy.yaml"]
    assert "failure_mode_allow: false" in text


def test_it_listens_on_all_addresses(tmp_path: Path) -> None:
    text = envoy_files(https_front(tmp_path), tmp_path)["envoy.yaml"]
    assert '{address: "::", port_value: 443, ipv4_compat: true}' in text
