"""What programs that we did not write think of our certificates and lists."""

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification

from cps.issuer.hierarchy import Authority
from cps.issuer.leaf import Purpose
from tests.support import pki


def openssl_verify(
    folder: Path,
    leaf: x509.Certificate,
    *lists: x509.CertificateRevocationList,
    intermediate: Authority | None = None,
    at: datetime = pki.NOW,
) -> str:
    """Return what openssl says of *leaf* under our root; it ends in ``OK`` for a good one."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl is not installed")
    ours = pki.hierarchy()
    between = intermediate or ours.intermediate
    (folder / "root.pem").write_bytes(pki.pem(ours.root.certificate))
    (folder / "intermediate.pem").write_bytes(pki.pem(between.certificate))
    (folder / "lists.pem").write_bytes(b"".join(pki.pem(crl) for crl in lists))
    (folder / "leaf.pem").write_bytes(pki.pem(leaf))
    arguments = "-x509_strict -purpose sslclient -crl_check_all -CAfile root.pem"
    result = subprocess.run(
        [
            *(program, "verify", *arguments.split(), "-untrusted", "intermediate.pem"),
            *("-CRLfile", "lists.pem", "-attime", str(int(at.timestamp())), "leaf.pem"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return (result.stdout + result.stderr).strip()


def root_list() -> x509.CertificateRevocationList:
    return pki.crl(issuer=pki.hierarchy().root)


def verify_as_client(leaf: x509.Certificate) -> None:
    ours = pki.hierarchy()
    store = verification.Store([ours.root.certificate])
    builder = verification.PolicyBuilder().store(store).time(pki.NOW)
    builder.build_client_verifier().verify(leaf, [ours.intermediate.certificate])


def test_openssl_accepts_a_card_that_is_not_revoked(tmp_path: Path) -> None:
    assert openssl_verify(tmp_path, pki.leaf(), pki.crl(pki.leaf()), root_list()) == "leaf.pem: OK"


def test_openssl_refuses_a_revoked_card(tmp_path: Path) -> None:
    leaf = pki.leaf()
    assert "certificate revoked" in openssl_verify(tmp_path, leaf, pki.crl(leaf), root_list())


def test_openssl_refuses_a_card_under_a_revoked_intermediate(tmp_path: Path) -> None:
    ours = pki.hierarchy()
    crl = pki.crl(ours.intermediate.certificate, issuer=ours.root)
    assert "certificate revoked" in openssl_verify(tmp_path, pki.leaf(), pki.crl(), crl)


def test_openssl_refuses_a_list_after_its_day(tmp_path: Path) -> None:
    late = pki.NOW.replace(month=12)
    answer = openssl_verify(tmp_path, pki.leaf(), pki.crl(), root_list(), at=late)
    assert "CRL has expired" in answer


def test_openssl_refuses_a_list_signed_by_another_key(tmp_path: Path) -> None:
    foreign = pki.foreign_hierarchy()
    lists = pki.crl(issuer=foreign.intermediate), root_list()
    assert not openssl_verify(tmp_path, pki.leaf(), *lists).endswith("OK")


def test_openssl_refuses_a_card_of_a_foreign_authority_with_our_names(tmp_path: Path) -> None:
    foreign = pki.foreign_hierarchy().intermediate
    leaf = pki.leaf(issuer=foreign)
    answer = openssl_verify(
        tmp_path, leaf, pki.crl(issuer=foreign), root_list(), intermediate=foreign
    )
    assert not answer.endswith("OK")


def test_openssl_refuses_the_signature_certificate_as_a_client(tmp_path: Path) -> None:
    leaf = pki.leaf(purpose=Purpose.SIGNATURE)
    answer = openssl_verify(tmp_path, leaf, pki.crl(), root_list())
    assert "nsuitable certificate purpose" in answer


def test_strict_client_verifier_accepts_the_authentication_certificate() -> None:
    verify_as_client(pki.leaf())


def test_strict_client_verifier_refuses_a_third_level() -> None:
    below = pki.subordinate_authority()
    ours = pki.hierarchy()
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([ours.root.certificate]))
        .time(pki.NOW)
        .build_client_verifier()
    )
    chain = [below.certificate, ours.intermediate.certificate]
    with pytest.raises(verification.VerificationError):
        verifier.verify(pki.leaf(issuer=below), chain)


def test_strict_client_verifier_refuses_a_sha1_signature() -> None:
    leaf = x509.load_der_x509_certificate(pki.sha1_signed(pki.leaf()))
    with pytest.raises(verification.VerificationError):
        verify_as_client(leaf)
