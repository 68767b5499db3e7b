from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.errors import ConfigurationError
from gateway.operator.trust_status import TrustLook, authority_lines, status_lines
from gateway.refresh.memory import AnswerTable
from gateway.settings import Settings
from gateway.trust.revocation_journal import SourceJournal
from gateway.trust.revocation_list import RevocationList
from gateway.trust.revocation_memory import KeptAnswer, owner_of
from gateway.trust.revocation_places import RevocationPlaces, list_slots, responder_name
from gateway.trust.store import TrustStore
from tests.support import pki
from tests.support.plain_certificates import certificate
from tests.support.settings_files import MINIMAL, write
from tests.support.trust import real_certificate


def describe(file: Path) -> tuple[str, tuple[str, ...]]:
    """Return what is shown of the gateway with that settings file, and its problems."""
    look = TrustLook.take(file, pki.NOW)
    return "\n".join(status_lines(look, pki.NOW)), look.problems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ours = pki.hierarchy()
    (tmp_path / "root.pem").write_bytes(pki.pem(ours.root.certificate))
    (tmp_path / "intermediate.pem").write_bytes(pki.pem(ours.intermediate.certificate))
    (tmp_path / "root.crl").write_bytes(pki.der(pki.crl(issuer=ours.root)))
    (tmp_path / "intermediate.crl").write_bytes(pki.der(pki.crl(pki.leaf())))
    return tmp_path


def test_anchors_policies_and_environment_are_shown(folder: Path) -> None:
    text = MINIMAL.replace("[trust]", '[trust]\npolicies = ["1.2.3"]')
    shown, problems = describe(write(folder, 'environment = "test"\n' + text))
    assert problems == ()
    for wanted in (
        "environment: test",
        "certificate policies: 1.2.3",
        "dictionary 02.18 of 2020-02-28",
        "anchor: CN=TEST AC RACINE",
        "intermediate: CN=TEST AC",
        "no national authority",
        "2020-01-01 to 2040-01-01",
    ):
        assert wanted in shown


def test_lists_in_files_are_shown_as_logins_read_them(folder: Path) -> None:
    shown, problems = describe(write(folder, 'environment = "test"\n' + MINIMAL))
    assert shown.count(": list in force") == 2
    assert "complete, number 1, 1 entries, " in shown
    assert problems == ()


def test_an_authority_without_list_in_force_is_shown_and_told(folder: Path) -> None:
    (folder / "root.crl").write_bytes(b"")
    (folder / "intermediate.crl").write_text("nothing")
    shown, problems = describe(write(folder, 'environment = "test"\n' + MINIMAL))
    assert shown.count("NO LIST IN FORCE") == 2
    assert shown.count("last error: not a usable revocation list") == 2
    assert any("no revocation list in force" in problem for problem in problems)


def test_lists_and_responders_are_shown_with_age_size_and_last_error(folder: Path) -> None:
    text = (
        'environment = "test"\n'
        + MINIMAL
        + """
[[trust.revocation]]
authority = "intermediate.pem"
crl = ["ldap://annuaire.example/cn=a"]
ocsp = ["http://ocsp.example"]
"""
    )
    file = write(folder, text)
    settings = Settings.load(file)
    store = TrustStore.load(settings.trust, "test", pki.NOW)
    places = RevocationPlaces.of(settings)
    places.folder.mkdir(parents=True)
    revoked = pki.crl(pki.leaf(), number=7)
    found = RevocationList.parse(pki.der(revoked), store.authorities())
    slot = next(each for each in list_slots(settings.trust, store) if "intermediate" in each.label)
    found.to_file(1).write(places.table(slot.name))
    kept = KeptAnswer(
        held=False,
        this_update=pki.NOW - timedelta(minutes=12),
        expires=pki.NOW + timedelta(minutes=48),
    )
    answers = AnswerTable(places.answers)
    for serial in (1, 2):
        answers.keep(owner_of(pki.hierarchy().intermediate.certificate), serial, kept)
    answers.write(pki.NOW)
    told = SourceJournal(taken_at=pki.NOW, error="the server is down")
    told.save(places.journal(slot.name))
    told.save(places.journal(responder_name("http://ocsp.example")))
    shown, problems = describe(file)
    for wanted in (
        "PERSONNES,OU=SIMULATEUR,OU=0002 000000000,O=PASSERELLE CPS TEST,C=FR: list in force",
        f"list {folder}/intermediate.crl",
        "complete, number 7, 1 entries, ",
        "5.0 h old, next update 2026-11-25 12:00 UTC",
        "taken 2026-11-23 12:00 UTC",
        "last error: the server is down",
        "responder http://ocsp.example",
        "last good answer 2026-11-23 12:00 UTC",
        "ldap://annuaire.example/cn=a: not fetched",
        "nothing was taken yet",
        "answers about 2 certificates",
        "the newest 12 min old, the first ends 2026-11-23 12:48 UTC",
    ):
        assert wanted in shown
    assert any("the server is down" in problem for problem in problems)


def test_a_test_authority_in_production_is_a_fault_of_the_settings(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="a TEST authority"):
        describe(write(folder, MINIMAL))


def test_a_national_authority_is_named() -> None:
    real = real_certificate("AC_FORT_PERSONNES_20130625.cer")
    lines = list(authority_lines("intermediate", real, pki.NOW))
    assert "    national authority AC IGC-SANTE FORT PERSONNES" in lines
    assert "    2013-06-25 to 2033-06-24, 2404 days left" in lines


def test_a_name_cannot_give_orders_to_the_terminal() -> None:
    """It could wipe "no national authority" from the screen."""
    evil = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\x1b[2J\x1b[8m\r\nb\u202ec")])
    for line in authority_lines("anchor", certificate(evil, issuer=evil), pki.NOW):
        assert line.isprintable()
