"""What openssl, as an OCSP client over a real socket, thinks of our responders."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from cps.issuer.http_faults import HTTPFault
from cps.issuer.ocsp_answer import UNKNOWN, CertificateStatus, revoked
from cps.issuer.ocsp_faults import OCSPFault
from cps.issuer.responder import answer_request
from cps.issuer.server import OCSP_PATH, AuthorityServer, Document
from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.responder import delegate, responder

SERIAL = 0x4711
TEN_YEARS = 10 * 365 * 86_400
"""How far the real clock may be from that of the tests: openssl reads the real one for answers."""


@pytest.fixture(scope="module")
def authority() -> Iterator[PublishedAuthority]:
    with PublishedAuthority() as published:
        yield published


def ask(
    folder: Path,
    url: str,
    *options: str,
    certificate: x509.Certificate | None = None,
    of_root: bool = False,
) -> str:
    """Return all that openssl prints about one certificate, a leaf by default."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl is not installed")
    ours = pki.hierarchy()
    issuer = ours.root if of_root else ours.intermediate
    (folder / "root.pem").write_bytes(pki.pem(ours.root.certificate))
    (folder / "chain.pem").write_bytes(pki.pem(ours.intermediate.certificate))
    (folder / "issuer.pem").write_bytes(pki.pem(issuer.certificate))
    (folder / "leaf.pem").write_bytes(pki.pem(certificate or pki.leaf(serial=SERIAL)))
    result = subprocess.run(
        [
            *(program, "ocsp", "-url", url, "-CAfile", "root.pem", "-verify_other", "chain.pem"),
            *("-attime", str(int(pki.NOW.timestamp())), "-validity_period", str(TEN_YEARS)),
            *("-issuer", "issuer.pem", *options, "-cert", "leaf.pem"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return result.stdout + result.stderr


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(None, "leaf.pem: good", id="good"),
        pytest.param(UNKNOWN, "leaf.pem: unknown", id="unknown"),
        pytest.param(revoked(pki.NOW), "leaf.pem: revoked", id="revoked"),
        pytest.param(
            revoked(pki.NOW, x509.ReasonFlags.certificate_hold), "certificateHold", id="on hold"
        ),
    ],
)
def test_openssl_reads_the_status_with_a_nonce(
    authority: PublishedAuthority,
    tmp_path: Path,
    status: CertificateStatus | None,
    expected: str,
) -> None:
    authority.responder.fault = None
    authority.statuses.clear()
    if status is not None:
        authority.statuses[SERIAL] = status
    printed = ask(tmp_path, authority.ocsp_url)
    assert "Response verify OK" in printed
    assert expected in printed
    assert "WARNING" not in printed


@pytest.mark.parametrize(
    "option", ["-no_nonce", "-sha256", "-sha512"], ids=["no nonce", "SHA-256", "SHA-512"]
)
def test_openssl_may_ask_in_other_ways(
    authority: PublishedAuthority, tmp_path: Path, option: str
) -> None:
    authority.responder.fault = None
    authority.statuses.clear()
    printed = ask(tmp_path, authority.ocsp_url, option)
    assert "Response verify OK" in printed
    assert "leaf.pem: good" in printed


def test_openssl_gets_two_answers_to_two_questions(
    authority: PublishedAuthority, tmp_path: Path
) -> None:
    authority.responder.fault = None
    authority.statuses.clear()
    authority.statuses[5] = UNKNOWN
    printed = ask(tmp_path, authority.ocsp_url, "-serial", "5")
    assert "Response verify OK" in printed
    assert "5: unknown" in printed
    assert "leaf.pem: good" in printed


def test_openssl_accepts_the_root_that_signs_for_itself(
    authority: PublishedAuthority, tmp_path: Path
) -> None:
    authority.statuses.clear()
    intermediate = pki.hierarchy().intermediate.certificate
    printed = ask(tmp_path, authority.ocsp_url, certificate=intermediate, of_root=True)
    assert "Response verify OK" in printed
    assert "leaf.pem: good" in printed


class OneResponder:
    """A publication of a responder alone."""

    def __init__(self, *, delegated: bool, by_name: bool) -> None:
        self.responder = responder(signer=delegate() if delegated else None, by_name=by_name)

    def document(self, path: str) -> Document | None:
        return None

    def answer(self, request: bytes) -> bytes:
        return answer_request(request, [self.responder])


@pytest.mark.parametrize("delegated", [False, True], ids=["authority", "delegate"])
@pytest.mark.parametrize("by_name", [False, True], ids=["by key", "by name"])
def test_openssl_finds_the_signer_however_it_is_named(
    tmp_path: Path, delegated: bool, by_name: bool
) -> None:
    with AuthorityServer(OneResponder(delegated=delegated, by_name=by_name)) as server:
        printed = ask(tmp_path, server.url + OCSP_PATH)
    assert "Response verify OK" in printed
    assert "leaf.pem: good" in printed


UNNOTICED = {
    # Found by no check that openssl has.
    OCSPFault.NO_NONCE,  # a warning
    OCSPFault.TWO_SINGLE_ANSWERS,
    OCSPFault.CONTRADICTION,  # the first one wins
    OCSPFault.FUTURE_PRODUCED_AT,
    OCSPFault.OLD_PRODUCED_AT,
    OCSPFault.UNKNOWN_CRITICAL_EXTENSION,
    OCSPFault.UNKNOWN_CRITICAL_SINGLE_EXTENSION,
    OCSPFault.SHA1_SIGNATURE,
    OCSPFault.UNKNOWN_ALGORITHM,
    OCSPFault.TWO_CERTIFICATES,
    OCSPFault.OTHER_KEY_USAGE,
    # Hidden by the ten years that the clocks may differ here.
    OCSPFault.FUTURE_THIS_UPDATE,
    OCSPFault.PAST_NEXT_UPDATE,
    OCSPFault.NO_NEXT_UPDATE,
}


@pytest.mark.parametrize(
    "fault", [each for each in OCSPFault if each not in UNNOTICED], ids=lambda fault: fault.name
)
def test_openssl_refuses_a_wrong_answer(
    authority: PublishedAuthority, tmp_path: Path, fault: OCSPFault
) -> None:
    authority.statuses.clear()
    authority.responder.fault = fault
    printed = ask(tmp_path, authority.ocsp_url)
    assert not ("Response verify OK" in printed and "leaf.pem: good" in printed)


@pytest.mark.parametrize(
    "fault",
    [HTTPFault.NOT_FOUND, HTTPFault.SERVER_ERROR, HTTPFault.TRUNCATED, HTTPFault.CAPTIVE_PORTAL],
    ids=lambda fault: fault.name,
)
def test_openssl_gets_no_answer_over_a_broken_line(
    authority: PublishedAuthority, tmp_path: Path, fault: HTTPFault
) -> None:
    authority.responder.fault = None
    authority.server.faults = {OCSP_PATH: fault}
    try:
        printed = ask(tmp_path, authority.ocsp_url)
    finally:
        authority.server.faults = {}
    assert "leaf.pem: good" not in printed


def test_clock_of_the_responder_is_the_one_given(tmp_path: Path) -> None:
    later = pki.NOW + timedelta(days=1)
    with PublishedAuthority(clock=lambda: later) as published:
        assert "This Update: Nov 24 12:00:00 2026 GMT" in ask(tmp_path, published.ocsp_url)
