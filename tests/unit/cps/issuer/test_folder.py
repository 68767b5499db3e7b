import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from pytest_mock import MockerFixture

from cps.issuer.folder import LIST_DAYS, AuthorityFolder, FolderError
from cps.issuer.hierarchy import HierarchyKeys
from cps.issuer.leaf import Purpose
from tests.support import pki


@pytest.fixture
def folder(tmp_path: Path) -> AuthorityFolder:
    return make(tmp_path / "authority")


def make(path: Path) -> AuthorityFolder:
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("ours intermediate"))
    return AuthorityFolder.create(path, now=pki.NOW, keys=keys)


def read_crl(
    folder: AuthorityFolder, name: str = "intermediate.crl"
) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl((folder.path / name).read_bytes())


def number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_new_folder_holds_certificates_lists_index_and_keys(folder: AuthorityFolder) -> None:
    files = {str(file.relative_to(folder.path)) for file in folder.path.rglob("*")}
    assert files == {
        "root.pem",
        "intermediate.pem",
        "root.crl",
        "intermediate.crl",
        "intermediate-delta.crl",
        "index.json",
        "index.lock",
        "private",
        "private/root.key",
        "private/intermediate.key",
    }


def test_keys_can_be_read_by_their_owner_alone(folder: AuthorityFolder) -> None:
    private = folder.path / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in private.iterdir()} == {0o600}


def test_no_key_is_outside_the_private_folder(folder: AuthorityFolder) -> None:
    for file in folder.path.iterdir():
        if file.is_file():
            assert b"PRIVATE KEY" not in file.read_bytes()


def test_certificates_and_lists_are_those_of_the_hierarchy(folder: AuthorityFolder) -> None:
    root = x509.load_pem_x509_certificate((folder.path / "root.pem").read_bytes())
    intermediate = x509.load_pem_x509_certificate((folder.path / "intermediate.pem").read_bytes())
    intermediate.verify_directly_issued_by(root)
    assert root == folder.hierarchy.root.certificate
    for name, issuer in (("root.crl", root), ("intermediate.crl", intermediate)):
        crl = read_crl(folder, name)
        assert crl.issuer == issuer.subject
        assert crl.last_update_utc == pki.NOW
        assert crl.next_update_utc == pki.NOW + timedelta(days=LIST_DAYS)
        assert len(crl) == 0


def test_existing_folder_is_not_overwritten(folder: AuthorityFolder) -> None:
    before = (folder.path / "root.pem").read_bytes()
    with pytest.raises(FolderError, match="exists already"):
        make(folder.path)
    assert (folder.path / "root.pem").read_bytes() == before


def test_failed_creation_leaves_nothing(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch("cps.issuer.folder.sign_list", side_effect=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        make(tmp_path / "authority")
    assert list(tmp_path.iterdir()) == []


def test_opened_folder_issues_like_the_one_that_was_created(folder: AuthorityFolder) -> None:
    opened = AuthorityFolder.open(folder.path)
    assert opened.hierarchy.intermediate.addresses == folder.hierarchy.intermediate.addresses
    certificate = opened.issue(pki.leaf_request())
    certificate.verify_directly_issued_by(folder.hierarchy.intermediate.certificate)
    assert [ext.oid for ext in certificate.extensions] == [ext.oid for ext in pki.leaf().extensions]


def test_other_names_are_kept(tmp_path: Path) -> None:
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("ours intermediate"))
    AuthorityFolder.create(
        tmp_path / "authority", now=pki.NOW, names=pki.PRODUCTION_LOOKING_NAMES, keys=keys
    )
    opened = AuthorityFolder.open(tmp_path / "authority")
    assert (
        opened.hierarchy.intermediate.addresses
        == pki.PRODUCTION_LOOKING_NAMES.intermediate_addresses()
    )


def test_issued_certificates_are_remembered(folder: AuthorityFolder) -> None:
    first = folder.issue(pki.leaf_request())
    second = folder.issue(pki.leaf_request(pki.NURSE, purpose=Purpose.SIGNATURE))
    [one, two] = AuthorityFolder.open(folder.path).issued()
    assert (one.serial, one.national_id, one.card_number, one.purpose) == (
        first.serial_number,
        "899900000011",
        "2899000001",
        Purpose.AUTHENTICATION,
    )
    assert (two.serial, two.purpose) == (second.serial_number, Purpose.SIGNATURE)
    assert two.not_after == second.not_valid_after_utc


def test_serial_number_is_used_once(folder: AuthorityFolder) -> None:
    folder.issue(pki.leaf_request(serial=0x1234))
    with pytest.raises(FolderError, match="1234 is in use"):
        folder.issue(pki.leaf_request(serial=0x1234))
    assert len(folder.issued()) == 1


def test_revoked_certificate_is_on_the_next_list_and_stays_there(folder: AuthorityFolder) -> None:
    revoked = folder.issue(pki.leaf_request())
    good = folder.issue(pki.leaf_request())
    before = number(read_crl(folder))
    later = pki.NOW + timedelta(hours=3)
    folder.revoke(revoked.serial_number, now=later, reason=x509.ReasonFlags.key_compromise)
    crl = read_crl(folder)
    assert number(crl) > before
    assert crl.last_update_utc == later
    assert [entry.serial_number for entry in crl] == [revoked.serial_number]
    assert next(iter(crl)).revocation_date_utc == later

    AuthorityFolder.open(folder.path).write_lists(now=later + timedelta(days=1))
    crl = read_crl(folder)
    assert crl.get_revoked_certificate_by_serial_number(revoked.serial_number) is not None
    assert crl.get_revoked_certificate_by_serial_number(good.serial_number) is None


def test_revocation_shows_in_the_index(folder: AuthorityFolder) -> None:
    serial = folder.issue(pki.leaf_request()).serial_number
    folder.revoke(serial, now=pki.NOW, reason=x509.ReasonFlags.key_compromise)
    [entry] = folder.issued()
    assert entry.revoked_at == pki.NOW
    assert entry.reason is x509.ReasonFlags.key_compromise


HOLD = x509.ReasonFlags.certificate_hold
STOLEN = x509.ReasonFlags.key_compromise
LIFTED = x509.ReasonFlags.remove_from_crl
LATER = pki.NOW + timedelta(hours=1)


def reasons(folder: AuthorityFolder, name: str) -> dict[int, x509.ReasonFlags]:
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for entry in folder.read_list(name)
    }


def base_number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number


def test_delta_list_of_a_new_folder_completes_the_list_beside_it(folder: AuthorityFolder) -> None:
    delta = folder.read_list("intermediate-delta.crl")
    assert base_number(delta) == number(delta) == number(folder.read_list("intermediate.crl")) == 1
    assert len(delta) == 0


def test_delta_list_tells_what_the_complete_list_does_not(folder: AuthorityFolder) -> None:
    before, after = (folder.issue(pki.leaf_request()).serial_number for _ in range(2))
    folder.revoke(before, now=pki.NOW, reason=STOLEN)
    complete = (folder.path / "intermediate.crl").read_bytes()
    folder.revoke(after, now=LATER, reason=STOLEN, delta_only=True)
    assert (folder.path / "intermediate.crl").read_bytes() == complete
    assert reasons(folder, "intermediate-delta.crl") == {after: STOLEN}
    delta = folder.read_list("intermediate-delta.crl")
    assert (number(delta), base_number(delta)) == (3, 2)
    assert delta.last_update_utc == LATER

    folder.write_lists(now=LATER)
    assert reasons(folder, "intermediate.crl") == {before: STOLEN, after: STOLEN}
    assert reasons(folder, "intermediate-delta.crl") == {}


def test_delta_list_grows_until_the_next_complete_list(folder: AuthorityFolder) -> None:
    serials = [folder.issue(pki.leaf_request()).serial_number for _ in range(2)]
    for serial in serials:
        folder.revoke(serial, now=LATER, reason=STOLEN, delta_only=True)
    assert set(reasons(folder, "intermediate-delta.crl")) == set(serials)


def test_lifted_hold_is_told_by_the_delta_list_and_absent_from_the_next_complete_one(
    folder: AuthorityFolder,
) -> None:
    serial = folder.issue(pki.leaf_request()).serial_number
    folder.revoke(serial, now=pki.NOW, reason=HOLD)
    assert reasons(folder, "intermediate.crl") == {serial: HOLD}
    folder.release(serial, now=LATER, delta_only=True)
    assert reasons(folder, "intermediate-delta.crl") == {serial: LIFTED}
    assert folder.issued()[0].revoked_at is None

    folder.write_lists(now=LATER + timedelta(hours=1))
    assert reasons(folder, "intermediate.crl") == {}
    assert reasons(folder, "intermediate-delta.crl") == {}


def test_hold_that_began_and_ended_between_complete_lists_is_told_as_lifted(
    folder: AuthorityFolder,
) -> None:
    serial = folder.issue(pki.leaf_request()).serial_number
    folder.revoke(serial, now=LATER, reason=HOLD, delta_only=True)
    folder.release(serial, now=LATER + timedelta(hours=1), delta_only=True)
    assert reasons(folder, "intermediate-delta.crl") == {serial: LIFTED}


def test_hold_can_become_a_revocation_that_dates_from_the_hold(folder: AuthorityFolder) -> None:
    serial = folder.issue(pki.leaf_request()).serial_number
    folder.revoke(serial, now=pki.NOW, reason=HOLD)
    folder.revoke(serial, now=LATER, reason=STOLEN, delta_only=True)
    assert reasons(folder, "intermediate-delta.crl") == {serial: STOLEN}
    assert folder.issued()[0].revoked_at == pki.NOW
    with pytest.raises(FolderError, match="not on hold"):
        folder.release(serial, now=LATER)


def test_hold_is_not_repeated(folder: AuthorityFolder) -> None:
    serial = folder.issue(pki.leaf_request()).serial_number
    folder.revoke(serial, now=pki.NOW, reason=HOLD)
    with pytest.raises(FolderError, match="revoked already"):
        folder.revoke(serial, now=LATER, reason=HOLD)


def test_released_certificate_can_be_put_on_hold_again(folder: AuthorityFolder) -> None:
    serial = folder.issue(pki.leaf_request()).serial_number
    folder.revoke(serial, now=pki.NOW, reason=HOLD)
    folder.release(serial, now=LATER)
    folder.revoke(serial, now=LATER, reason=HOLD, delta_only=True)
    assert reasons(folder, "intermediate-delta.crl") == {serial: HOLD}


def test_good_certificate_cannot_be_released(folder: AuthorityFolder) -> None:
    serial = folder.issue(pki.leaf_request()).serial_number
    with pytest.raises(FolderError, match="not on hold"):
        folder.release(serial, now=pki.NOW)


def test_delta_list_without_its_base_is_not_written(folder: AuthorityFolder) -> None:
    (folder.path / "intermediate.crl").write_bytes(b"damaged")
    with pytest.raises(FolderError, match=r"intermediate\.crl is damaged; run cps issuer crl"):
        folder.write_lists(now=LATER, delta_only=True)
    folder.write_lists(now=LATER)
    assert len(folder.read_list("intermediate.crl")) == 0


def test_unknown_certificate_cannot_be_revoked(folder: AuthorityFolder) -> None:
    with pytest.raises(FolderError, match="no certificate ABC was issued here"):
        folder.revoke(0xABC, now=pki.NOW)


def test_revocation_is_not_moved_to_a_later_day(folder: AuthorityFolder) -> None:
    serial = folder.issue(pki.leaf_request()).serial_number
    folder.revoke(serial, now=pki.NOW)
    with pytest.raises(FolderError, match="revoked already"):
        folder.revoke(serial, now=pki.NOW + timedelta(days=1))
    assert folder.issued()[0].revoked_at == pki.NOW


def test_no_certificate_is_lost_when_several_programs_issue_at_once(
    folder: AuthorityFolder,
) -> None:
    def issue_three(_: int) -> None:
        own = AuthorityFolder.open(folder.path)
        for _ in range(3):
            own.issue(pki.leaf_request())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(issue_three, range(4)))
    assert len(folder.issued()) == 12


def test_crash_while_writing_leaves_the_old_index(
    folder: AuthorityFolder, mocker: MockerFixture
) -> None:
    folder.issue(pki.leaf_request())
    before = sorted(folder.path.iterdir())
    mocker.patch("cps.issuer.files.os.fsync", side_effect=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        folder.issue(pki.leaf_request())
    assert len(folder.issued()) == 1
    assert sorted(folder.path.iterdir()) == before


def test_folder_that_is_no_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no test authority"):
        AuthorityFolder.open(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620], ids=["group", "others", "group may write"])
def test_key_that_others_can_reach_is_refused(folder: AuthorityFolder, mode: int) -> None:
    (folder.path / "private" / "intermediate.key").chmod(mode)
    with pytest.raises(FolderError, match="others can read this key"):
        AuthorityFolder.open(folder.path)


def test_key_of_another_certificate_is_refused(folder: AuthorityFolder) -> None:
    private = folder.path / "private"
    (private / "intermediate.key").write_bytes((private / "root.key").read_bytes())
    with pytest.raises(FolderError, match="do not belong together"):
        AuthorityFolder.open(folder.path)


@pytest.mark.parametrize(
    "file", ["index.json", "root.pem", "private/intermediate.key"], ids=lambda file: file
)
def test_damaged_file_is_refused(folder: AuthorityFolder, file: str) -> None:
    (folder.path / file).write_bytes(b"damaged")
    with pytest.raises(FolderError, match="damaged"):
        AuthorityFolder.open(folder.path)


def test_missing_file_is_named(folder: AuthorityFolder) -> None:
    (folder.path / "root.pem").unlink()
    with pytest.raises(FolderError, match=r"root\.pem"):
        AuthorityFolder.open(folder.path)
