"""What programs that we did not write think of our certificates and lists."""

import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification

from cps.issuer.crl import ListRequest, made_up_serials, packed_entries, sign_list
from cps.issuer.hierarchy import Authority
from cps.issuer.leaf import Purpose
from cps.issuer.list_faults import ListFault, faulty_list
from tests.support import pki


def openssl_verify(
    folder: Path,
    leaf: x509.Certificate,
    *lists: x509.CertificateRevocationList,
    intermediate: Authority | None = None,
    at: datetime = pki.NOW,
    deltas: bool = False,
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
            *("-CRLfile", "lists.pem", "-attime", str(int(at.timestamp()))),
            *(("-use_deltas", "-extended_crl") if deltas else ()),
            "leaf.pem",
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


def delta_verdict(
    folder: Path,
    leaf: x509.Certificate,
    *,
    in_base: x509.ReasonFlags | None,
    in_delta: x509.ReasonFlags | None,
    number: int = 8,
    base_number: int = 7,
) -> str:
    """Return what openssl says of *leaf* with a complete list 7 and a delta list.

    :param in_base: the reason in the complete list, which has no entry where this is absent.
    :param in_delta: the same for the delta list.
    """
    complete = pki.crl(*([leaf] if in_base else []), number=7, reason=in_base)
    delta = pki.delta_crl(
        *([leaf] if in_delta else []), number=number, base_number=base_number, reason=in_delta
    )
    return openssl_verify(folder, leaf, complete, delta, root_list(), deltas=True)


STOLEN = x509.ReasonFlags.key_compromise
HOLD = x509.ReasonFlags.certificate_hold
LIFTED = x509.ReasonFlags.remove_from_crl


@pytest.mark.parametrize(
    ("in_base", "in_delta", "verdict"),
    [
        pytest.param(None, None, "leaf.pem: OK", id="nothing changed"),
        pytest.param(None, STOLEN, "certificate revoked", id="revoked since"),
        pytest.param(HOLD, None, "certificate revoked", id="still on hold"),
        pytest.param(HOLD, LIFTED, "leaf.pem: OK", id="hold lifted"),
        pytest.param(HOLD, STOLEN, "certificate revoked", id="revoked for good"),
    ],
)
def test_openssl_heeds_a_delta_list(
    tmp_path: Path,
    in_base: x509.ReasonFlags | None,
    in_delta: x509.ReasonFlags | None,
    verdict: str,
) -> None:
    assert verdict in delta_verdict(tmp_path, pki.leaf(), in_base=in_base, in_delta=in_delta)


def test_openssl_passes_over_a_delta_list_for_a_later_base(tmp_path: Path) -> None:
    answer = delta_verdict(
        tmp_path, pki.leaf(), in_base=None, in_delta=STOLEN, base_number=8, number=9
    )
    assert "certificate revoked" not in answer


@pytest.mark.parametrize(
    "fault",
    [
        ListFault.WRONG_KEY,
        ListFault.BAD_SIGNATURE,
        ListFault.STALE,
        ListFault.FUTURE,
        ListFault.UNKNOWN_CRITICAL_EXTENSION,
        ListFault.UNKNOWN_CRITICAL_ENTRY_EXTENSION,
        ListFault.ONLY_AUTHORITIES,
        ListFault.ONLY_ATTRIBUTES,
        ListFault.ONLY_SOME_REASONS,
        ListFault.OTHER_DISTRIBUTION_POINT,
        ListFault.OTHER_KEY_IDENTIFIER,
        # Not DELTA_AS_COMPLETE: OpenSSL 3.0.20 takes a delta for a complete list, 3.0.22 does not.
    ],
    ids=lambda fault: fault.name,
)
def test_openssl_refuses_a_list_with_a_fault(tmp_path: Path, fault: ListFault) -> None:
    request = ListRequest(
        number=7, this_update=pki.NOW - timedelta(hours=1), next_update=pki.NOW + timedelta(days=1)
    )
    raw = faulty_list(
        pki.hierarchy().intermediate, request, fault, stranger=pki.organisations_authority()
    )
    lists = x509.load_der_x509_crl(raw), root_list()
    assert not openssl_verify(tmp_path, pki.leaf(), *lists).endswith("OK")


def test_openssl_prints_a_list_of_many_entries(tmp_path: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl is not installed")
    entries = packed_entries(
        made_up_serials(2000), revoked_at=pki.NOW, reason=x509.ReasonFlags.superseded
    )
    request = ListRequest(
        number=7, this_update=pki.NOW, next_update=pki.NOW + timedelta(days=1), entries=entries
    )
    (tmp_path / "big.crl").write_bytes(sign_list(pki.hierarchy().intermediate, request))
    (tmp_path / "ca.pem").write_bytes(pki.pem(pki.hierarchy().intermediate.certificate))
    arguments = "crl -inform DER -in big.crl -CAfile ca.pem -noout -text"
    result = subprocess.run(
        [program, *arguments.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert "verify OK" in result.stderr
    assert result.stdout.count("Serial Number: ") == 2000
    assert result.stdout.count("Superseded") == 2000


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
