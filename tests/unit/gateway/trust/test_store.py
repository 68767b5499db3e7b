import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from cps.issuer.hierarchy import AuthorityNames, Gamme, create_intermediate, create_root
from gateway.errors import ConfigurationError
from gateway.settings import TrustSettings
from gateway.trust.store import MAX_FILE_BYTES, TrustStore
from tests.support import pki
from tests.support.shared import shared_file
from tests.support.trust import key_usage

CONSTRAINTS = x509.BasicConstraints(ca=True, path_length=None)
USAGE = key_usage("key_cert_sign", "crl_sign")
GAMMES = [gamme.name for gamme in Gamme]


def write(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def settings(anchors: tuple[Path, ...], intermediates: tuple[Path, ...]) -> TrustSettings:
    return TrustSettings(anchors=anchors, intermediates=intermediates, crls=(Path("any.crl"),))


def hierarchy_files(folder: Path, names: AuthorityNames) -> TrustSettings:
    made = pki.hierarchy(names)
    return settings(
        (write(folder, "root", pki.pem(made.root.certificate)),),
        (write(folder, "intermediate", pki.pem(made.intermediate.certificate)),),
    )


@pytest.mark.parametrize("form", [pki.der, pki.pem], ids=["DER", "PEM"])
def test_authorities_are_read_from_der_and_pem(
    tmp_path: Path, form: Callable[[x509.Certificate], bytes]
) -> None:
    ours = pki.hierarchy()
    store = TrustStore.load(
        settings(
            (write(tmp_path, "root", form(ours.root.certificate)),),
            (write(tmp_path, "intermediate", form(ours.intermediate.certificate)),),
        ),
        "test",
        pki.NOW,
    )
    assert store.anchors == (ours.root.certificate,)
    assert store.intermediates == (ours.intermediate.certificate,)
    assert store.authorities() == store.anchors + store.intermediates
    assert store.environment == "test"


def test_text_around_the_pem_block_does_not_matter(tmp_path: Path) -> None:
    ours = pki.hierarchy()
    root = b"Root of our test hierarchy\n" + pki.pem(ours.root.certificate) + b"\nend\n"
    intermediate = pki.pem(ours.intermediate.certificate)
    store = TrustStore.load(
        settings(
            (write(tmp_path, "root", root),), (write(tmp_path, "intermediate", intermediate),)
        ),
        "test",
        pki.NOW,
    )
    assert store.anchors == (ours.root.certificate,)


def authority(
    *,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
    constraints: x509.BasicConstraints | None = CONSTRAINTS,
    usage: x509.KeyUsage | None = USAGE,
) -> bytes:
    """Return a self-signed certificate as PEM, with or without what makes it an authority."""
    key = key or pki.key("ours root")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST RACINE")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(pki.AUTHORITIES_SINCE)
        .not_valid_after(pki.NOW + timedelta(days=1))
    )
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    return pki.pem(builder.sign(key, hashes.SHA256()))


def unknown_version() -> bytes:
    der = pki.der(pki.hierarchy().root.certificate)
    version = bytes.fromhex("a003020102")
    assert der.count(version) == 1
    return pem_block(der.replace(version, bytes.fromhex("a003020105")))


def pem_block(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


UNUSABLE: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a readable certificate"),
    "text": (lambda: b"certificate follows", "not a readable certificate"),
    "a damaged PEM block": (
        lambda: pki.pem(pki.hierarchy().root.certificate).replace(b"MII", b"!!!"),
        ".",
    ),
    "a version of no standard in PEM": (unknown_version, "not a readable certificate"),
    "a revocation list in PEM": (lambda: pki.pem(pki.crl()), "."),
    "two certificates": (lambda: pki.pem(pki.hierarchy().root.certificate) * 2, "several PEM"),
    "trailing bytes": (lambda: pki.der(pki.hierarchy().root.certificate) + b"\n", "not a readable"),
    "too large": (lambda: bytes(MAX_FILE_BYTES + 1), "larger than 65536 bytes"),
    "a card's certificate": (lambda: pki.pem(pki.leaf()), "not an authority"),
    "no basicConstraints": (
        lambda: authority(constraints=None),
        "not an authority: no extension 2.5.29.19",
    ),
    "no keyUsage": (
        lambda: authority(usage=None),
        "not an authority: no extension 2.5.29.15",
    ),
    "may not sign lists": (
        lambda: authority(usage=key_usage("key_cert_sign")),
        "keyUsage allows not both",
    ),
    "may not sign certificates": (
        lambda: authority(usage=key_usage("crl_sign")),
        "keyUsage allows not both",
    ),
    "short key": (
        lambda: authority(key=pki.key("short", 1024)),
        "RSA key of at least 2048 bits",
    ),
    "elliptic curve": (
        lambda: authority(key=ec.generate_private_key(ec.SECP256R1())),
        "RSA key of at least 2048 bits",
    ),
    "SHA-1": (lambda: sha1_signed(), "not signed with RSA and SHA-256"),
    "not self-signed": (
        lambda: pki.pem(pki.hierarchy().intermediate.certificate),
        "an anchor signs itself",
    ),
}


def sha1_signed() -> bytes:
    """Return our root with the algorithm's name changed; the library signs no SHA-1."""
    sha256, sha1 = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "05"))
    der = pki.der(pki.hierarchy().root.certificate)
    assert der.count(sha256) == 2
    return der.replace(sha256, sha1)


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_file_that_is_no_anchor_stops_the_start(tmp_path: Path, case: str) -> None:
    make, reason = UNUSABLE[case]
    file = write(tmp_path, "root", make())
    with pytest.raises(ConfigurationError, match=reason) as caught:
        TrustStore.load(settings((file,), (file,)), "test", pki.NOW)
    assert caught.value.file == str(file)
    assert caught.value.key == "trust.anchors"


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        TrustStore.load(settings((tmp_path / "absent",), (tmp_path,)), "test", pki.NOW)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (pki.AUTHORITIES_SINCE - timedelta(seconds=1), "valid only from 2020-01-01 00:00 UTC"),
        (datetime(2040, 1, 1, 0, 0, 1, tzinfo=UTC), "expired on 2040-01-01 00:00 UTC"),
    ],
    ids=["not yet", "expired"],
)
def test_an_authority_outside_its_time_stops_the_start(
    tmp_path: Path, now: datetime, reason: str
) -> None:
    file = write(tmp_path, "root", pki.pem(pki.hierarchy().root.certificate))
    with pytest.raises(ConfigurationError, match=reason):
        TrustStore.load(settings((file,), (file,)), "test", now)


INTERMEDIATES: Mapping[str, tuple[Callable[[], x509.Certificate], str]] = {
    "of another root": (
        lambda: pki.foreign_hierarchy().intermediate.certificate,
        "not issued by any of trust.anchors",
    ),
    "two levels down": (
        lambda: (
            create_intermediate(
                pki.hierarchy().intermediate,
                now=pki.AUTHORITIES_SINCE,
                names=pki.NAMES,
                key=pki.key("smaller"),
            ).certificate
        ),
        "not issued by any of trust.anchors",
    ),
    "the root": (lambda: pki.hierarchy().root.certificate, "belongs into trust.anchors"),
    "another root": (
        lambda: (
            create_root(
                now=pki.AUTHORITIES_SINCE, names=pki.NAMES, key=pki.key("another root")
            ).certificate
        ),
        "belongs into trust.anchors",
    ),
    "a card's certificate": (pki.leaf, "not an authority"),
}


@pytest.mark.parametrize("case", INTERMEDIATES)
def test_an_intermediate_that_leads_to_no_anchor_stops_the_start(tmp_path: Path, case: str) -> None:
    make, reason = INTERMEDIATES[case]
    root = write(tmp_path, "root", pki.pem(pki.hierarchy().root.certificate))
    file = write(tmp_path, "intermediate", pki.pem(make()))
    with pytest.raises(ConfigurationError, match=reason) as caught:
        TrustStore.load(settings((root,), (file,)), "test", pki.NOW)
    assert caught.value.file == str(file)
    assert caught.value.key == "trust.intermediates"


@pytest.mark.parametrize(
    "names",
    [
        replace(pki.PRODUCTION_LOOKING_NAMES, unit="IGC-IMAGINAIRE TEST"),
        replace(pki.PRODUCTION_LOOKING_NAMES, prefix="TEST "),
        replace(pki.PRODUCTION_LOOKING_NAMES, prefix="test-"),
    ],
    ids=["in the unit", "before the name", "in small letters"],
)
def test_a_test_authority_stops_the_start_in_production(
    tmp_path: Path, names: AuthorityNames
) -> None:
    files = hierarchy_files(tmp_path, names)
    with pytest.raises(ConfigurationError, match="a TEST authority"):
        TrustStore.load(files, "production", pki.NOW)
    assert TrustStore.load(files, "test", pki.NOW).anchors


def test_a_test_intermediate_under_an_innocent_root_stops_the_start_too(tmp_path: Path) -> None:
    root = pki.production_looking_hierarchy().root
    intermediate = create_intermediate(
        root, now=pki.AUTHORITIES_SINCE, names=pki.NAMES, key=pki.key("ours intermediate")
    )
    files = settings(
        (write(tmp_path, "root", pki.pem(root.certificate)),),
        (write(tmp_path, "intermediate", pki.pem(intermediate.certificate)),),
    )
    with pytest.raises(ConfigurationError, match="a TEST authority") as caught:
        TrustStore.load(files, "production", pki.NOW)
    assert caught.value.key == "trust.intermediates"


@pytest.mark.parametrize("unit", ["IGC-IMAGINAIRE", "ATTESTATION"])
def test_authorities_without_the_word_test_load_in_production(tmp_path: Path, unit: str) -> None:
    files = hierarchy_files(tmp_path, replace(pki.PRODUCTION_LOOKING_NAMES, unit=unit))
    assert TrustStore.load(files, "production", pki.NOW).environment == "production"


def test_the_nine_real_authorities_load_for_production() -> None:
    store = TrustStore.load(
        settings(
            tuple(shared_file(f"certs/ACR_{gamme}_20130625.cer") for gamme in GAMMES),
            tuple(
                shared_file(f"certs/AC_{gamme}_{population}_20130625.cer")
                for gamme in GAMMES
                for population in ("PERSONNES", "ORGANISATIONS")
            ),
        ),
        "production",
        pki.NOW,
    )
    assert len(store.authorities()) == 9
    fingerprints = {each.fingerprint(hashes.SHA256()).hex()[:16] for each in store.anchors}
    assert fingerprints == {"53d30a19570826bd", "5891815e864506c6", "2d9e22ca19f777c6"}


@pytest.mark.parametrize(
    ("anchor", "intermediate"),
    [
        (
            "TEST-CA-TEST_AC_RACINE_IGC-SANTE_STANDARD.pem",
            "TEST-CA-TEST_AC_IGC-SANTE_STANDARD_PERSONNES.pem",
        ),
        (
            "TEST-CA-TEST_AC_RACINE_IGC-SANTE_ELEMENTAIRE.pem",
            "TEST-CA-TEST_AC_IGC-SANTE_ELEMENTAIRE_ORGANISATIONS.pem",
        ),
    ],
    ids=["STANDARD", "ELEMENTAIRE"],
)
def test_the_real_test_authorities_load_for_tests_alone(anchor: str, intermediate: str) -> None:
    files = settings((shared_file(f"certs/{anchor}"),), (shared_file(f"certs/{intermediate}"),))
    assert len(TrustStore.load(files, "test", pki.NOW).authorities()) == 2
    with pytest.raises(ConfigurationError, match="a TEST authority"):
        TrustStore.load(files, "production", pki.NOW)
