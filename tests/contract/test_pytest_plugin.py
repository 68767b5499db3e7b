"""The plugin in another project: loaded by itself, light, and its fixtures do what they say."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

SECONDS = 60
HEAVY = ("cryptography", "smartcard", "hypothesis", "aiohttp", "cps.simulator", "cps.issuer")

USES = """
import re
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

STATUS = bytes.fromhex("0020000100")
VERIFY = bytes.fromhex("0020000104")
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def test_a_card_is_a_physicians_with_a_pin(cps_card):
    assert cps_card.details.national_id.startswith("89990")
    assert cps_card.details.title == "Médecin"
    assert cps_card.pin_file.read_text() == cps_card.pin == "1234"
    assert stat.S_IMODE(cps_card.pin_file.stat().st_mode) == 0o600
    with cps_card.opened() as card:
        card.power_on()
        assert card.execute(VERIFY + cps_card.pin.encode()) == b"\\x90\\x00"


@pytest.mark.cps_card(type="CPE", generation="cps4", family_name="ACCUEIL", pin="4321")
def test_the_marker_says_what_card(cps_card, cps_issuer):
    details = cps_card.details
    assert (details.kind, details.generation) == ("CPE", "cps4")
    assert (details.family_name, details.given_name) == ("ACCUEIL", "CAMILLE")
    assert cps_card.pin == "4321"
    certificates = {entry.serial for entry in cps_issuer.issued()}
    assert set(details.certificate_serials.values()) <= certificates


def test_more_cards_are_made_and_differ(cps_card, make_cps_card):
    nurse = make_cps_card(profession=60)
    old = make_cps_card(not_before=PAST, not_after=PAST + timedelta(days=1))

    assert nurse.details.title == "Infirmier"
    assert old.details.not_after < datetime.now(UTC)
    assert len({each.path for each in (cps_card, nurse, old)}) == 3


def test_a_card_is_blocked_and_unblocked(cps_card):
    cps_card.block()
    assert cps_card.details.tries_left == 0
    cps_card.unblock()
    assert cps_card.details.tries_left == 3


def test_a_revoked_card_is_in_the_list_of_its_issuer(cps_card, cps_issuer):
    cps_card.revoke(x509.ReasonFlags.key_compromise)
    crl = x509.load_der_x509_crl((cps_issuer.path / "intermediate.crl").read_bytes())
    serial = cps_card.details.certificate_serials["authentication"]
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None


def test_things_go_wrong_with_a_card_when_they_should(cps_card):
    with cps_card.opened("garbage@2") as card:
        card.power_on()
        assert card.execute(STATUS) == b"\\x63\\xc3"
        assert card.execute(STATUS) != b"\\x63\\xc3"


def test_by_radio_a_card_has_no_pin(cps_card):
    with cps_card.opened(contactless=True) as card:
        card.power_on()
        assert card.execute(STATUS) == b"\\x6a\\x88"
"""

READS = """
def test_a_card_in_the_reader_is_seen_by_every_program(cps_card, cps_reader):
    assert not cps_reader.present()
    with cps_card.opened() as card, cps_reader.holding(card):
        assert cps_reader.present()
    assert not cps_reader.present()
"""


def pytest_in(
    folder: Path, content: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest as another project does, with a test file of that content."""
    (folder / "test_portal.py").write_text(content, encoding="utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_pytest_finds_the_plugin_where_the_package_is_installed() -> None:
    [found] = entry_points(group="pytest11", name="cps.pytest_plugin")

    assert found.value == "cps.pytest_plugin"


def test_the_plugin_imports_nothing_of_weight() -> None:
    code = (
        "import sys, pytest, cps.pytest_plugin\n"
        f"print([name for name in sys.modules if name.startswith({HEAVY!r})])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("options", [[], ["-p", "cps.pytest_plugin"]], ids=["by itself", "named"])
def test_its_fixtures_work_in_another_project(tmp_path: Path, options: list[str]) -> None:
    done = pytest_in(tmp_path, USES, *options)

    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


@pytest.mark.pcscd
@pytest.mark.usefixtures("pcscd")
def test_its_reader_holds_a_card(tmp_path: Path) -> None:
    # We have the reader to ourselves, by a lock in the temporary folder: theirs is another one.
    done = pytest_in(tmp_path, READS, TMPDIR=str(tmp_path))

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_without_a_reader_a_test_is_skipped_with_the_reason(tmp_path: Path) -> None:
    # Hides pyscard, as if it were not installed.
    (tmp_path / "conftest.py").write_text(
        "import importlib.util\nimportlib.util.find_spec = lambda name, package=None: None\n"
    )

    done = pytest_in(tmp_path, READS)

    assert done.returncode == 0, done.stdout
    assert "SKIPPED" in done.stdout
    assert "pyscard is not installed" in done.stdout
