import json
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.settings_revocation import MAX_ADDRESS_CHARS, is_fetched
from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line, write

TABLE = """
[[trust.revocation]]
authority = "intermediate.pem"
"""
CRL = 'crl = ["http://a.example/a.crl"]'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


def test_lists_can_be_fetched_in_place_of_files(folder: Path) -> None:
    text = MINIMAL.replace('crls = ["root.crl", "intermediate.crl"]', "") + TABLE + CRL
    (table,) = Settings.load(write(folder, text)).trust.revocation
    assert table.authority == folder / "intermediate.pem"
    assert table.crl == ("http://a.example/a.crl",)
    assert (table.delta, table.ocsp, table.ocsp_nonce) == ((), (), "required")


def test_an_authority_may_have_several_tables(folder: Path) -> None:
    text = MINIMAL + (TABLE + CRL) * 2
    assert len(Settings.load(write(folder, text)).trust.revocation) == 2


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        pytest.param("", "", "names no address", id="no address"),
        pytest.param('crl = ["ftp://a.example/a"]', ".crl[0]", "http or https or ldap", id="ftp"),
        pytest.param('crl = ["file:///etc/passwd"]', ".crl[0]", "an address with", id="file"),
        pytest.param('crl = ["a.example/a"]', ".crl[0]", "an address with", id="no scheme"),
        pytest.param('crl = ["http:///a"]', ".crl[0]", "an address with", id="no host"),
        pytest.param('crl = ["http://a:b@c/a"]', ".crl[0]", "without user name", id="user"),
        pytest.param('crl = ["http://a/a#b"]', ".crl[0]", "an address with", id="fragment"),
        pytest.param('crl = ["http://a/b c"]', ".crl[0]", "an address with", id="space"),
        pytest.param('crl = ["http://a/é"]', ".crl[0]", "an address with", id="not ASCII"),
        pytest.param('crl = ["http://a/\\u0009"]', ".crl[0]", "an address with", id="tabulator"),
        pytest.param('crl = ["http://a:0/"]', ".crl[0]", "an address with", id="port 0"),
        pytest.param('crl = ["http://a:x/"]', ".crl[0]", "is not a URL", id="port x"),
        pytest.param('crl = ["http://[a/"]', ".crl[0]", "is not a URL", id="bracket"),
        pytest.param('crl = "http://a/"', ".crl", "a list is wanted", id="text for a list"),
        pytest.param('ocsp = ["ldap://a/b"]', ".ocsp[0]", "http or https", id="OCSP by LDAP"),
        pytest.param(CRL + '\nocsp_nonce = "no"', ".ocsp_nonce", "is wanted, not 'no'", id="nonce"),
        pytest.param(
            CRL + '\nocsp_responders = ["no.pem"]',
            ".ocsp_responders[0]",
            "is not a file",
            id="no such responder",
        ),
        pytest.param(CRL + "\nx = 1", ".x", "is not a setting", id="unknown key"),
    ],
)
def test_a_wrong_table_stops_the_start(folder: Path, lines: str, key: str, reason: str) -> None:
    found = faults(folder, MINIMAL + TABLE + lines)
    assert set(found) == {f"trust.revocation[0]{key}"}
    assert reason in found[f"trust.revocation[0]{key}"]


def test_an_address_has_a_longest_length(folder: Path) -> None:
    address = "http://a.example/".ljust(MAX_ADDRESS_CHARS, "x")
    Settings.load(write(folder, f'{MINIMAL}{TABLE}crl = ["{address}"]'))
    assert faults(folder, f'{MINIMAL}{TABLE}crl = ["{address}x"]')


def test_a_table_is_of_an_authority_that_is_trusted(folder: Path) -> None:
    text = MINIMAL + TABLE.replace("intermediate.pem", "tls.pem") + CRL
    assert faults(folder, text) == {
        "trust.revocation[0].authority": "is not among trust.anchors and trust.intermediates"
    }


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("2026-12-01T08:00:00", id="no zone"),
        pytest.param("2026-12-01", id="date alone"),
        pytest.param('"soon"', id="text"),
        pytest.param('"2026-12-01T08:00:00"', id="text without zone"),
        pytest.param("3", id="number"),
    ],
)
def test_grace_has_a_date_and_time_with_its_zone(folder: Path, value: str) -> None:
    assert set(faults(folder, with_line("trust", f"grace_until = {value}"))) == {
        "trust.grace_until"
    }


def test_settings_go_to_another_process_as_they_are(folder: Path) -> None:
    text = with_line("trust", "grace_until = 2026-12-01T08:00:00+01:00", MINIMAL) + TABLE + CRL
    settings = Settings.load(write(folder, text))
    order = settings.model_dump_json(exclude_unset=True)
    assert Settings.model_validate(json.loads(order)) == settings


@pytest.mark.parametrize(
    ("address", "fetched"),
    [("http://a", True), ("https://a", True), ("ldap://a", False), ("ldaps://a", False)],
)
def test_only_the_web_is_fetched(address: str, fetched: bool) -> None:
    assert is_fetched(address) is fetched
