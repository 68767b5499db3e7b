from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.operator.trust_import import (
    MAX_FILE_BYTES,
    MAX_FILES,
    Candidate,
    ImportRefusedError,
    parse_fingerprint,
    read_candidates,
    require_acceptable,
    write_authorities,
)
from gateway.trust.certificate import load_certificate
from gateway.trust.national import fingerprint
from gateway.trust.store import Environment
from tests.support import pki
from tests.support.shared import shared_file
from tests.support.trust import real_certificate


def ours() -> tuple[x509.Certificate, x509.Certificate]:
    made = pki.production_looking_hierarchy()
    return made.root.certificate, made.intermediate.certificate


def candidates(*certificates: x509.Certificate) -> list[Candidate]:
    return [Candidate(file=Path("a.cer"), certificate=each) for each in certificates]


def require(
    *certificates: x509.Certificate,
    accepted: tuple[str, ...] = (),
    environment: Environment = "production",
    now: datetime = pki.NOW,
) -> None:
    require_acceptable(
        candidates(*certificates), accepted=accepted, environment=environment, now=now
    )


def test_der_and_pem_and_several_in_one_file_are_read(tmp_path: Path) -> None:
    root, intermediate = ours()
    (tmp_path / "root.cer").write_bytes(pki.der(root))
    (tmp_path / "both.pem").write_bytes(
        b"# our authorities\n" + pki.pem(root) + b"\n" + pki.pem(intermediate)
    )
    found = read_candidates([tmp_path / "root.cer", tmp_path / "both.pem"])
    assert [each.certificate for each in found] == [root, intermediate]
    assert [each.is_root for each in found] == [True, False]


def test_a_folder_is_looked_through_for_certificates_alone(tmp_path: Path) -> None:
    root, intermediate = ours()
    (tmp_path / "b.CRT").write_bytes(pki.der(root))
    (tmp_path / "a.pem").write_bytes(pki.pem(intermediate))
    (tmp_path / "README.md").write_text("hello")
    found = read_candidates([tmp_path])
    assert [each.certificate for each in found] == [intermediate, root]


def test_the_nine_national_authorities_are_taken_without_a_word() -> None:
    folder = shared_file("certs/ACR_FORT_20130625.cer").parent
    found = read_candidates(sorted(folder.glob("AC*.cer")))
    assert len(found) == 9
    require_acceptable(found, accepted=(), environment="production", now=pki.NOW)


def test_any_other_has_to_be_named_by_its_fingerprint() -> None:
    root, intermediate = ours()
    accepted = fingerprint(root), fingerprint(intermediate)
    require(root, intermediate, accepted=accepted)
    with pytest.raises(ImportRefusedError, match=f"--accept-unknown {accepted[1]}") as caught:
        require(root, intermediate, accepted=accepted[:1])
    assert accepted[0] not in caught.value.reason


def test_a_fingerprint_of_nothing_is_told() -> None:
    """A slip of the pen must not look like success."""
    root, _ = ours()
    with pytest.raises(ImportRefusedError, match="no certificate found with the fingerprint"):
        require(root, accepted=(fingerprint(root), "0" * 64))


def test_a_test_authority_is_for_a_test_environment_alone() -> None:
    root = pki.hierarchy().root.certificate
    accepted = (fingerprint(root),)
    require(root, accepted=accepted, environment="test")
    with pytest.raises(ImportRefusedError, match="a TEST authority"):
        require(root, accepted=accepted)
    with pytest.raises(ImportRefusedError, match="--accept-unknown"):
        require(root, environment="test")


def test_the_agencys_test_authorities_are_no_national_ones() -> None:
    real = real_certificate("TEST-CA-TEST_AC_RACINE_IGC-SANTE_STANDARD.pem")
    with pytest.raises(ImportRefusedError, match="a TEST authority"):
        require(real, accepted=(fingerprint(real),))


@pytest.mark.parametrize("environment", ["production", "test"])
def test_what_is_no_authority_is_refused_though_named(environment: Environment) -> None:
    leaf = pki.leaf()
    with pytest.raises(ImportRefusedError, match="not an authority"):
        require(leaf, accepted=(fingerprint(leaf),), environment=environment)


@pytest.mark.parametrize("years", [-30, 30], ids=["not yet", "expired"])
def test_an_authority_outside_its_time_is_refused(years: int) -> None:
    root, _ = ours()
    with pytest.raises(ImportRefusedError, match="outside its validity"):
        require(root, accepted=(fingerprint(root),), now=pki.NOW + timedelta(days=365 * years))


def test_every_fault_is_told_at_once() -> None:
    root, intermediate = ours()
    with pytest.raises(ImportRefusedError) as caught:
        require(root, intermediate, pki.leaf())
    assert len(caught.value.reason.splitlines()) == 3


def test_what_was_written_is_what_the_gateway_reads(tmp_path: Path) -> None:
    folder = tmp_path / "igc"
    root, intermediate = ours()
    written = write_authorities(candidates(root, intermediate), folder)
    assert sorted(folder.iterdir()) == sorted(written)
    for file, certificate in zip(written, (root, intermediate), strict=True):
        found = x509.load_pem_x509_certificate(file.read_bytes())
        assert load_certificate(found.public_bytes(Encoding.DER)) == certificate
        assert file.name.endswith(f"-{fingerprint(certificate)[:8]}.pem")


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    root, _ = ours()
    (first,) = write_authorities(candidates(root), tmp_path)
    before = first.read_bytes()
    assert write_authorities(candidates(root), tmp_path) == [first]
    assert first.read_bytes() == before


def test_authorities_of_one_name_get_files_of_their_own(tmp_path: Path) -> None:
    one, other = pki.hierarchy().root.certificate, pki.foreign_hierarchy().root.certificate
    assert one.subject == other.subject
    assert len(set(write_authorities(candidates(one, other), tmp_path))) == 2


def test_the_name_in_a_certificate_leads_to_no_other_folder(tmp_path: Path) -> None:
    name = pki.PRODUCTION_LOOKING_NAMES
    evil = pki.hierarchy(type(name)(prefix="../../", unit="x/../y"), keys="ours")
    (file,) = write_authorities(candidates(evil.root.certificate), tmp_path)
    assert file.parent == tmp_path
    assert "/" not in file.name
    assert ".." not in file.name


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="cannot be written"):
        write_authorities(candidates(ours()[0]), tmp_path / "no" / "parent")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a readable certificate"),
        (b"text", "not a readable certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "."),
        (bytes(MAX_FILE_BYTES + 1), "larger than"),
    ],
    ids=["empty", "text", "damaged PEM", "too large"],
)
def test_a_file_that_is_no_certificate_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "a.cer"
    file.write_bytes(content)
    with pytest.raises(ImportRefusedError, match=reason):
        read_candidates([file])


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="cannot be read: No such file"):
        read_candidates([tmp_path / "a.cer"])


def test_nothing_to_import_is_told(tmp_path: Path) -> None:
    key = pki.key("leaf").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(ImportRefusedError, match="no certificate found"):
        read_candidates([tmp_path])


def test_a_folder_of_everything_is_refused(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number}.cer").touch()
    with pytest.raises(ImportRefusedError, match="more than 200 files"):
        read_candidates([tmp_path])


@pytest.mark.parametrize(
    "text", ["AB" * 32, "ab" * 32, ":".join(["AB"] * 32), " ".join(["ab"] * 32)]
)
def test_a_fingerprint_is_read_as_it_is_printed(text: str) -> None:
    assert parse_fingerprint(text) == "ab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "zz" * 32, "ab" * 20])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        parse_fingerprint(text)
