import argparse
import json
import tomllib
from pathlib import Path

import pytest

from gateway.operator.trust_commands import add_trust_command, run_trust
from gateway.settings import Settings
from gateway.trust.national import fingerprint
from gateway.trust.store import TrustStore
from tests.support import pki
from tests.support.settings_files import MINIMAL, settings_folder, write
from tests.support.shared import shared_file


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_trust_command(parser)
    return run_trust(parser.parse_args([str(each) for each in arguments]), pki.NOW)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    folder = tmp_path / "from elsewhere"
    folder.mkdir()
    made = pki.production_looking_hierarchy()
    (folder / "root.cer").write_bytes(pki.der(made.root.certificate))
    (folder / "persons.cer").write_bytes(pki.der(made.intermediate.certificate))
    return folder


def accepting() -> list[str]:
    made = pki.production_looking_hierarchy()
    both = made.root.certificate, made.intermediate.certificate
    return [part for each in both for part in ("--accept-unknown", fingerprint(each))]


def test_what_is_unknown_is_shown_and_not_taken(
    certificates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", certificates, "--into", tmp_path / "igc") == 1
    shown = capsys.readouterr()
    made = pki.production_looking_hierarchy()
    for each in (made.root.certificate, made.intermediate.certificate):
        assert f"SHA-256 {fingerprint(each)}" in shown.out
        assert f"--accept-unknown {fingerprint(each)}" in shown.err
    assert "no national authority" in shown.out
    assert "2020-01-01 to 2040-01-01" in shown.out
    assert "nothing was imported" in shown.err
    assert not (tmp_path / "igc").exists()


def test_what_was_named_is_taken_and_the_settings_are_told(
    certificates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "igc"
    assert run("import", certificates, "--into", folder, *accepting()) == 0
    printed = capsys.readouterr().out
    trust = tomllib.loads(printed[printed.index("[trust]") :])["trust"]
    (folder.parent / "root.crl").touch()
    file = tmp_path / "gateway.toml"
    text = MINIMAL.partition("[trust]")[0] + printed[printed.index("[trust]") :]
    file.write_text(text + 'crls = ["root.crl"]\n')
    settings = Settings.load(file)
    assert [str(each) for each in settings.trust.anchors] == trust["anchors"]
    store = TrustStore.load(settings.trust, "production", pki.NOW)
    made = pki.production_looking_hierarchy()
    assert store.authorities() == (made.root.certificate, made.intermediate.certificate)


def test_national_authorities_that_lead_to_no_card_are_not_proposed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared_file("certs/ACR_FORT_20130625.cer").parent
    assert run("import", *sorted(folder.glob("AC*.cer")), "--into", tmp_path / "igc") == 0
    printed = capsys.readouterr().out
    trust = tomllib.loads(printed[printed.index("[trust]") :])["trust"]
    assert len(trust["anchors"]) == len(trust["intermediates"]) == 2
    assert printed.count("no card comes from it") == 5
    assert printed.count("national authority AC") == 9


def test_test_authorities_need_a_test_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = pki.hierarchy().root.certificate
    (tmp_path / "root.pem").write_bytes(pki.pem(root))
    arguments: list[str | Path] = ["import", tmp_path / "root.pem", "--into", tmp_path / "igc"]
    flag = ["--accept-unknown", fingerprint(root).upper()]
    assert run(*arguments, *flag) == 1
    assert "only with --environment test" in capsys.readouterr().err
    assert run(*arguments, *flag, "--environment", "test") == 0


def test_a_fingerprint_that_is_none_ends_the_command(
    certificates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("import", certificates, "--into", tmp_path, "--accept-unknown", "12:34")
    assert "not a SHA-256 fingerprint" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", tmp_path / "a.cer", "--into", tmp_path) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_the_status_is_told_to_programs_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(settings_folder(tmp_path), 'environment = "test"\n' + MINIMAL)
    ours = pki.hierarchy()
    for name, authority in (("root", ours.root), ("intermediate", ours.intermediate)):
        (tmp_path / f"{name}.pem").write_bytes(pki.pem(authority.certificate))
        (tmp_path / f"{name}.crl").write_bytes(pki.der(pki.crl(issuer=authority)))
    assert run("status", "--config", file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["environment"] == "test"
    assert run("status", "--config", file) == 0
    assert "environment: test" in capsys.readouterr().out
    (tmp_path / "root.crl").write_bytes(b"")
    assert run("status", "--config", file) == 1
    assert "problem: no revocation list in force" in capsys.readouterr().err
