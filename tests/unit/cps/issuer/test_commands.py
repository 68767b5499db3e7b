import argparse
import http.client
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from pytest_mock import MockerFixture

from cps.issuer import commands
from cps.issuer.folder import AuthorityFolder
from cps.issuer.hierarchy import HierarchyKeys
from tests.support import pki
from tests.support.shared import PROJECT


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="cps")
    commands.add_commands(parser.add_subparsers(required=True), clock=lambda: pki.NOW)
    parsed = parser.parse_args(["issuer", *arguments])
    code = parsed.run(parsed)
    assert isinstance(code, int)
    return code


@pytest.fixture
def folder(tmp_path: Path) -> AuthorityFolder:
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("ours intermediate"))
    return AuthorityFolder.create(tmp_path / "authority", now=pki.NOW, keys=keys)


def test_new_makes_an_authority_that_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cps.issuer.hierarchy.AUTHORITY_KEY_BITS", 2048)
    assert run("new", str(tmp_path / "authority")) == 0
    opened = AuthorityFolder.open(tmp_path / "authority")
    assert opened.hierarchy.root.certificate.not_valid_before_utc == pki.NOW
    assert "TEST AC RACINE SIMULATEUR FORT" in capsys.readouterr().out


@pytest.mark.parametrize("gamme", ["ELEMENTAIRE", "STANDARD", "FORT"])
@pytest.mark.parametrize("population", ["PERSONNES", "ORGANISATIONS"])
def test_new_makes_any_of_the_six_authorities(
    tmp_path: Path, mocker: MockerFixture, gamme: str, population: str
) -> None:
    mocker.patch("cps.issuer.hierarchy.rsa.generate_private_key", return_value=pki.key("leaf"))
    options = ("--gamme", gamme, "--population", population)
    assert run("new", str(tmp_path / "authority"), *options) == 0
    names = AuthorityFolder.open(tmp_path / "authority").hierarchy.intermediate.certificate.subject
    assert f"TEST AC SIMULATEUR {gamme} {population}" in names.rfc4514_string()


def test_new_refuses_a_folder_that_exists(
    folder: AuthorityFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("new", str(folder.path)) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "exists already" in captured.err


def test_crl_writes_the_next_lists(
    folder: AuthorityFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("crl", str(folder.path)) == 0
    assert "intermediate.crl: number 2, 0 entries, good until 2026-11-30 12:00 UTC" in (
        capsys.readouterr().out
    )


def test_crl_delta_leaves_the_complete_lists(
    folder: AuthorityFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("crl", str(folder.path), "--delta") == 0
    printed = capsys.readouterr().out
    assert "intermediate.crl: number 1, 0 entries" in printed
    assert "intermediate-delta.crl: number 2, 0 entries" in printed


def test_hold_and_unhold(folder: AuthorityFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.issue(pki.leaf_request(serial=0xA1))
    path = str(folder.path)
    assert run("revoke", path, "A1", "--reason", "certificateHold") == 0
    assert run("show", path) == 0
    assert "revoked 2026-11-23 certificateHold" in capsys.readouterr().out
    assert run("unhold", path, "A1", "--delta") == 0
    printed = capsys.readouterr().out
    assert "A1 is good again" in printed
    assert "intermediate.crl: number 2, 1 entries" in printed
    assert "intermediate-delta.crl: number 3, 1 entries" in printed
    assert run("unhold", path, "A1") == 1
    assert "not on hold" in capsys.readouterr().err


@pytest.mark.parametrize("reason", ["removeFromCRL", "unspecified", "boredom"])
def test_revoke_refuses_what_is_no_reason(folder: AuthorityFolder, reason: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run("revoke", str(folder.path), "A1", "--reason", reason)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "text", ["00ABCDEF0123", "abcdef0123", "00:AB:CD:EF:01:23"], ids=["plain", "short", "colons"]
)
def test_revoke_takes_the_serial_number_in_hexadecimal(folder: AuthorityFolder, text: str) -> None:
    folder.issue(pki.leaf_request(serial=0xABCDEF0123))
    assert run("revoke", str(folder.path), text) == 0
    crl = x509.load_der_x509_crl((folder.path / "intermediate.crl").read_bytes())
    assert [entry.serial_number for entry in crl] == [0xABCDEF0123]


def test_revoke_of_an_unknown_serial_number_fails(
    folder: AuthorityFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("revoke", str(folder.path), "ABC") == 1
    assert "no certificate ABC was issued here" in capsys.readouterr().err


def test_revoke_of_what_is_no_number_is_a_usage_error(folder: AuthorityFolder) -> None:
    with pytest.raises(SystemExit) as caught:
        run("revoke", str(folder.path), "xyz")
    assert caught.value.code == 2


def test_show_tells_good_revoked_and_expired(
    folder: AuthorityFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    revoked = folder.issue(pki.leaf_request(serial=0xA1))
    folder.issue(pki.leaf_request(pki.NURSE, serial=0xB2))
    folder.issue(
        pki.leaf_request(
            serial=0xC3,
            not_before=pki.NOW.replace(year=2022),
            not_after=pki.NOW.replace(year=2025),
        )
    )
    folder.revoke(revoked.serial_number, now=pki.NOW)
    assert run("show", str(folder.path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "A1  899900000011  card 2899000001  authentication  revoked 2026-11-23" in lines
    assert "B2  00B9900001  card 2899000001  authentication  good until 2029-08-15" in lines
    assert "C3  899900000011  card 2899000001  authentication  expired 2025-11-23" in lines


def test_show_of_another_folder_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", str(tmp_path)) == 1
    assert "no test authority" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [None, b"damaged"], ids=["missing", "damaged"])
def test_show_names_a_list_that_it_cannot_read(
    folder: AuthorityFolder, capsys: pytest.CaptureFixture[str], damage: bytes | None
) -> None:
    (folder.path / "root.crl").unlink()
    if damage is not None:
        (folder.path / "root.crl").write_bytes(damage)
    assert run("show", str(folder.path)) == 1
    assert "root.crl" in capsys.readouterr().err


SERVE = """
import argparse
from cps.issuer import commands
parser = argparse.ArgumentParser()
commands.add_commands(parser.add_subparsers())
arguments = parser.parse_args()
raise SystemExit(arguments.run(arguments))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "terminate"])
def test_serve_publishes_until_it_is_told_to_stop(
    folder: AuthorityFolder, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", SERVE, "issuer", "serve", str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT, text=True) as program:
        assert program.stdout is not None
        lines = [program.stdout.readline().strip() for _ in range(7)]
        url = lines[-1].removeprefix("ready ")
        assert url.startswith("http://127.0.0.1:")
        assert f"{url}/AC%20TEST/ACI-FO-PP-TEST.cer" in lines
        assert f"{url}/ocsp" in lines
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
        connection.request("GET", "/CRL/ACI-FO-PP-TEST.crl")
        crl = connection.getresponse().read()
        connection.close()
        program.send_signal(number)
    assert program.returncode == 0
    assert crl == (folder.path / "intermediate.crl").read_bytes()


@pytest.mark.parametrize("port", ["-1", "65536", "http", "9" * 5000], ids=lambda port: port[:5])
def test_serve_refuses_what_is_no_port(folder: AuthorityFolder, port: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run("serve", str(folder.path), f"--port={port}")
    assert caught.value.code == 2


def test_serve_tells_that_its_port_is_in_use(
    folder: AuthorityFolder, capsys: pytest.CaptureFixture[str], mocker: MockerFixture
) -> None:
    mocker.patch("cps.issuer.commands.signal.signal")
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert run("serve", str(folder.path), "--port", str(other.getsockname()[1])) == 1
    assert "in use" in capsys.readouterr().err


def test_clock_is_aware_and_utc() -> None:
    offset = commands.system_clock().utcoffset()
    assert offset is not None
    assert offset.total_seconds() == 0
