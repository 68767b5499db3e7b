import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponse, OCSPResponseStatus
from pytest_mock import MockerFixture

from cps.issuer.folder import AuthorityFolder, FolderError
from cps.issuer.hierarchy import Authority, HierarchyKeys
from cps.issuer.publication import (
    CERTIFICATE_TYPE,
    LIST_TYPE,
    FolderPublication,
    responder_of,
)
from cps.issuer.server import PublicationError
from tests.support import pki
from tests.support.responder import question

LIST = "/CRL/ACI-FO-PP-TEST.crl"
DELTA = "/CRL/ACI-FO-PP-TEST-delta.crl"
ROOT_LIST = "/CRL/ACR-FO-TEST.crl"
CERTIFICATE = "/AC TEST/ACI-FO-PP-TEST.cer"


@pytest.fixture
def folder(tmp_path: Path, mocker: MockerFixture) -> AuthorityFolder:
    mocker.patch(
        "cps.issuer.publication.rsa.generate_private_key", return_value=pki.key("responder")
    )
    keys = HierarchyKeys(root=pki.key("ours root"), intermediate=pki.key("ours intermediate"))
    return AuthorityFolder.create(tmp_path / "authority", now=pki.NOW, keys=keys)


@pytest.fixture
def publication(folder: AuthorityFolder) -> FolderPublication:
    return FolderPublication(folder, clock=lambda: pki.NOW)


def content(publication: FolderPublication, path: str) -> bytes:
    document = publication.document(path)
    assert document is not None
    return document.content


def ask(
    publication: FolderPublication, certificate: x509.Certificate, issuer: Authority
) -> OCSPResponse:
    return ocsp.load_der_ocsp_response(publication.answer(question(certificate, issuer=issuer)))


@pytest.mark.parametrize(
    ("path", "file"),
    [
        pytest.param(ROOT_LIST, "root.crl", id="root"),
        pytest.param(LIST, "intermediate.crl", id="intermediate"),
        pytest.param(DELTA, "intermediate-delta.crl", id="delta"),
    ],
)
def test_lists_have_the_paths_of_the_certificates(
    publication: FolderPublication, folder: AuthorityFolder, path: str, file: str
) -> None:
    document = publication.document(path)
    assert document is not None
    assert document.content == (folder.path / file).read_bytes()
    assert document.media_type == LIST_TYPE
    written = datetime.fromtimestamp((folder.path / file).stat().st_mtime, UTC)
    assert document.modified == written


def test_certificate_of_the_issuer_has_the_path_of_the_certificates(
    publication: FolderPublication, folder: AuthorityFolder
) -> None:
    document = publication.document(CERTIFICATE)
    assert document is not None
    assert document.media_type == CERTIFICATE_TYPE
    certificate = x509.load_der_x509_certificate(document.content)
    assert certificate == folder.hierarchy.intermediate.certificate


def test_every_path_that_is_told_is_published(publication: FolderPublication) -> None:
    paths = publication.paths()
    assert len(paths) == 5
    assert all(publication.document(path) for path in paths)


@pytest.mark.parametrize(
    "path",
    ["/", "", "/index.json", "/private/root.key", "/CRL/../private/root.key", LIST.lower()],
)
def test_nothing_else_is_published(publication: FolderPublication, path: str) -> None:
    assert publication.document(path) is None


def test_what_another_program_changes_is_published_at_once(
    publication: FolderPublication, folder: AuthorityFolder
) -> None:
    leaf = folder.issue(pki.leaf_request())
    issuer = folder.hierarchy.intermediate
    assert ask(publication, leaf, issuer).certificate_status is OCSPCertStatus.GOOD
    before = content(publication, LIST)
    hold = x509.ReasonFlags.certificate_hold
    AuthorityFolder.open(folder.path).revoke(leaf.serial_number, now=pki.NOW, reason=hold)
    response = ask(publication, leaf, issuer)
    assert response.certificate_status is OCSPCertStatus.REVOKED
    assert response.revocation_reason is hold
    assert content(publication, LIST) != before
    AuthorityFolder.open(folder.path).release(leaf.serial_number, now=pki.NOW)
    assert ask(publication, leaf, issuer).certificate_status is OCSPCertStatus.GOOD


def test_certificate_that_was_never_issued_is_unknown(
    publication: FolderPublication, folder: AuthorityFolder
) -> None:
    issuer = folder.hierarchy.intermediate
    assert ask(publication, pki.leaf(), issuer).certificate_status is OCSPCertStatus.UNKNOWN


def test_root_answers_for_the_intermediate(
    publication: FolderPublication, folder: AuthorityFolder
) -> None:
    ours = folder.hierarchy
    response = ask(publication, ours.intermediate.certificate, ours.root)
    assert response.certificate_status is OCSPCertStatus.GOOD
    assert response.certificates == []
    stranger = pki.sibling_intermediate().certificate
    response = ask(publication, stranger, ours.root)
    assert response.certificate_status is OCSPCertStatus.UNKNOWN


def test_stranger_gets_no_answer(publication: FolderPublication) -> None:
    foreign = pki.foreign_hierarchy().intermediate
    response = ask(publication, pki.leaf(issuer=foreign), foreign)
    assert response.response_status is OCSPResponseStatus.UNAUTHORIZED


@pytest.mark.parametrize("damage", [None, b"damaged"], ids=["missing", "damaged"])
def test_folder_that_cannot_be_read_is_no_answer(
    publication: FolderPublication, folder: AuthorityFolder, damage: bytes | None
) -> None:
    for name in ("index.json", "intermediate.crl"):
        (folder.path / name).unlink()
        if damage is not None:
            (folder.path / name).write_bytes(damage)
    with pytest.raises(PublicationError):
        publication.answer(question(pki.leaf(), issuer=folder.hierarchy.intermediate))
    if damage is None:
        with pytest.raises(PublicationError, match=r"intermediate\.crl"):
            publication.document(LIST)


def test_responder_is_made_once_and_closed_to_others(folder: AuthorityFolder) -> None:
    signer = responder_of(folder, now=pki.NOW)
    assert responder_of(folder, now=pki.NOW).certificate == signer.certificate
    signer.certificate.verify_directly_issued_by(folder.hierarchy.intermediate.certificate)
    file = folder.path / "private" / "responder.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    with pytest.raises(FolderError, match="others can read this key"):
        responder_of(folder, now=pki.NOW)


def test_responder_is_renewed_before_its_end(folder: AuthorityFolder) -> None:
    first = responder_of(folder, now=pki.NOW)
    later = pki.NOW + timedelta(days=336)
    second = responder_of(folder, now=later)
    assert second.certificate != first.certificate
    assert second.certificate.not_valid_before_utc == later


def test_damaged_responder_is_named(folder: AuthorityFolder) -> None:
    responder_of(folder, now=pki.NOW)
    file = folder.path / "private" / "responder.pem"
    file.write_bytes(file.read_bytes().replace(b"CERTIFICATE", b"CERTIFICAT"))
    with pytest.raises(FolderError, match=r"responder\.pem: is damaged"):
        responder_of(folder, now=pki.NOW)
