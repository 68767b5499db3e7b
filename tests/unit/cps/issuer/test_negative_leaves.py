"""The tables of good and bad certificates, judged by programs that are not ours."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from cps.issuer.hierarchy import Hierarchy
from tests.support import negative_leaves, pki
from tests.support.good_leaves import GOOD, GoodLeaf
from tests.support.negative_leaves import NEGATIVE, NegativeLeaf

OK = "leaf.pem: OK"
ALL: tuple[NegativeLeaf | GoodLeaf, ...] = (*NEGATIVE, *GOOD)
LAST_SECOND = "valid until this second"
"""Good by RFC 5280 §4.1.2.5, but over for openssl."""
NO_CARDS = {"intermediate", "root"}
"""Certificates that somebody else than the intermediate issued."""
WITH_ONE_FAULT_INSIDE = [
    *(leaf for leaf in negative_leaves.USE if leaf.name not in NO_CARDS),
    *negative_leaves.POLICY,
    *negative_leaves.CARD,
    *negative_leaves.HOLDER,
    *negative_leaves.RULES,
]
REFUSED_BY_OPENSSL = {
    "valid from the next second": "not yet valid",
    "expired since a second": "has expired",
    "signature changed": "signature failure",
    "content changed": "signature failure",
    "unknown critical extension": "unhandled critical extension",
    "names that its authority may not give": "subtree violation",
    "third level": "path length",
    "authority not valid yet": "not yet valid",
    "authority expired": "has expired",
    "authority that nobody knows": "unable to get",
    "our names, other keys": "error",
    "signed by itself": "error",
    "authority of our name under our root": "error",
    "authority for organisations": "unable to get",
    "family ÉLÉMENTAIRE": "unable to get",
}
"""Those of the path that openssl refuses, and why; the rest breaks rules that only we have."""


def named(leaf: NegativeLeaf | GoodLeaf) -> str:
    return leaf.name


def openssl_verify(folder: Path, leaf: bytes, pinned: Hierarchy, *below: x509.Certificate) -> str:
    """Return what openssl says of *leaf* under the pinned authorities and others *below* them."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl is not installed")
    certificate = x509.load_der_x509_certificate(leaf)
    chain = (pinned.intermediate.certificate, *below)
    (folder / "root.pem").write_bytes(pki.pem(pinned.root.certificate))
    (folder / "chain.pem").write_bytes(b"".join(map(pki.pem, chain)))
    (folder / "leaf.pem").write_bytes(pki.pem(certificate))
    arguments = "verify -purpose sslclient -CAfile root.pem -untrusted chain.pem -attime"
    result = subprocess.run(
        [program, *arguments.split(), str(int(pki.NOW.timestamp())), "leaf.pem"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return result.stdout + result.stderr


def test_every_leaf_has_a_name_of_its_own() -> None:
    names = [leaf.name for leaf in ALL]
    assert len(set(names)) == len(names)


def test_every_row_about_certificates_is_there() -> None:
    elsewhere = {*range(41, 46), 70, 71, 76, 79, 82, 85, 86} - {42}
    rows = {row for leaf in ALL for row in leaf.rows}
    assert rows | elsewhere == set(range(41, 87))


@pytest.mark.parametrize("leaf", [leaf for leaf in GOOD if leaf.name != LAST_SECOND], ids=named)
def test_openssl_accepts_every_good_leaf(leaf: GoodLeaf, tmp_path: Path) -> None:
    assert OK in openssl_verify(tmp_path, leaf.build(), leaf.pinned())


@pytest.mark.parametrize(
    "leaf",
    [leaf for leaf in negative_leaves.PATH if leaf.name in REFUSED_BY_OPENSSL],
    ids=named,
)
def test_openssl_refuses_what_has_no_path(leaf: NegativeLeaf, tmp_path: Path) -> None:
    between = [pki.subordinate_authority().certificate] if leaf.name == "third level" else []
    printed = openssl_verify(tmp_path, leaf.build(), leaf.pinned(), *between)
    assert OK not in printed
    assert REFUSED_BY_OPENSSL[leaf.name] in printed


@pytest.mark.parametrize("leaf", WITH_ONE_FAULT_INSIDE, ids=named)
def test_leaf_with_a_fault_inside_has_no_other(leaf: NegativeLeaf) -> None:
    certificate = x509.load_der_x509_certificate(leaf.build())
    certificate.verify_directly_issued_by(leaf.pinned().intermediate.certificate)
    assert certificate.not_valid_before_utc < pki.NOW < certificate.not_valid_after_utc


@pytest.mark.parametrize("leaf", [*negative_leaves.CARD, *negative_leaves.HOLDER], ids=named)
def test_path_and_use_of_what_is_no_card_are_good(leaf: NegativeLeaf, tmp_path: Path) -> None:
    assert OK in openssl_verify(tmp_path, leaf.build(), leaf.pinned())


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("leaf", negative_leaves.FORM, ids=named)
def test_what_is_no_certificate_cannot_be_read_or_breaks_a_rule(leaf: NegativeLeaf) -> None:
    raw = leaf.build()
    try:
        certificate = x509.load_der_x509_certificate(raw)
        _ = certificate.subject, certificate.extensions, certificate.not_valid_after_utc
    except (ValueError, x509.DuplicateExtension, x509.InvalidVersion):
        return
    assert certificate.serial_number <= 0
