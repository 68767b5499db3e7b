import contextlib
from collections.abc import Callable, Mapping

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from hypothesis import given
from hypothesis import strategies as st

from cps import tlv
from cps.issuer import oids
from gateway.trust.certificate import MAX_CERTIFICATE_BYTES, load_certificate
from tests.support import pki, strange_leaves
from tests.support.trust import real_der

REAL_SAMPLES = (
    "test-igcsante-auth-CPE-STANDARD.pem",
    "test-cps-signature-INFIRMIER-2020.der",
    "test-leaf-org-sign-testsign.test.asipsante.fr.pem",
)


def good() -> bytes:
    return pki.der(pki.leaf(serial=0x7A11C0DE7A11C0DE))


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_serial_number_of_zero_is_refused_also_where_the_library_only_warns() -> None:
    with pytest.raises(ValueError, match="not positive"):
        load_certificate(serial_zero())


def test_a_card_certificate_is_read_as_it_is() -> None:
    certificate = pki.leaf()
    assert load_certificate(pki.der(certificate)) == certificate


def doubled_extension() -> bytes:
    der = good()
    category, kind = (
        tlv.encode(0x06, bytes.fromhex(arc)) for arc in ("2a817a01470102" + n for n in ("05", "02"))
    )
    assert der.count(category) == der.count(kind) == 1
    return der.replace(category, kind)


def with_serial(serial: str) -> bytes:
    return good().replace(bytes.fromhex("7A11C0DE7A11C0DE"), bytes.fromhex(serial), 1)


def serial_zero() -> bytes:
    der = pki.der(pki.leaf(serial=0x55))
    assert der.count(bytes.fromhex("a003020102020155")) == 1
    return der.replace(bytes.fromhex("a003020102020155"), bytes.fromhex("a003020102020100"))


def with_version(version: str) -> bytes:
    der = good()
    assert der.count(bytes.fromhex("a003020102")) == 1
    return der.replace(bytes.fromhex("a003020102"), bytes.fromhex(version))


def version_1() -> bytes:
    """Return a certificate without version and extensions, the first form of X.509."""
    whole, _ = tlv.read(good())
    signed, algorithm, signature = whole.children()
    fields = [field.encode() for field in signed.children()[1:-1]]
    return tlv.encode(0x30, tlv.encode(0x30, *fields), algorithm.encode(), signature.encode())


def test_a_certificate_of_version_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not an X\.509 version 3 certificate"):
        load_certificate(version_1())


MALFORMED: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "one byte": lambda: b"\x30",
    "not a certificate": lambda: pki.der(pki.crl()),
    "PEM": lambda: pki.pem(pki.leaf()),
    "trailing byte": lambda: good() + b"\x00",
    "two certificates": lambda: good() + good(),
    "last byte missing": lambda: good()[:-1],
    "BER, length in too many bytes": lambda: b"\x30\x83\x00" + good()[2:],
    "BER, indefinite length": lambda: b"\x30\x80" + good()[4:] + b"\x00\x00",
    "an extension twice": doubled_extension,
    "negative serial": lambda: with_serial("FA11C0DE7A11C0DE"),
    "zero serial": serial_zero,
    "an end in the year 0": strange_leaves.ends_in_the_year_0,
    "version 2": lambda: with_version("a003020101"),
    "version 1 spelt out": lambda: with_version("a003020100"),
    "larger than the limit": lambda: good() + bytes(MAX_CERTIFICATE_BYTES),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_anything_but_one_certificate_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_certificate(MALFORMED[case]())


def test_the_size_is_checked_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="8193 bytes where 8192 are allowed"):
        load_certificate(b"\x30" * (MAX_CERTIFICATE_BYTES + 1))


def test_a_subject_that_cannot_be_decoded_is_refused_and_does_not_crash() -> None:
    with pytest.raises(ValueError, match="not a readable certificate"):
        load_certificate(real_der("test-cps2ter-auth-MEDECIN-2013.der"))


@pytest.mark.parametrize("name", REAL_SAMPLES)
def test_real_certificates_are_read(name: str) -> None:
    certificate = load_certificate(real_der(name))
    category = certificate.extensions.get_extension_for_oid(oids.CARD_CATEGORY)
    assert category.value.public_bytes()[:2] == b"\x04\x01"
    assert certificate.extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE).critical


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_certificate(raw)


@given(changes=st.dictionaries(st.integers(0, 3000), st.integers(0, 255), min_size=1, max_size=3))
def test_a_damaged_certificate_is_refused_or_read_whole(changes: dict[int, int]) -> None:
    damaged = bytearray(good())
    for at, value in changes.items():
        damaged[at % len(damaged)] = value
    # Anything but ValueError fails the test.
    with contextlib.suppress(ValueError):
        assert load_certificate(bytes(damaged)).version is x509.Version.v3


@given(length=st.integers(0, 3000))
def test_a_truncated_certificate_is_refused(length: int) -> None:
    der = good()
    with pytest.raises(ValueError, match=r"."):
        load_certificate(der[: length % len(der)])
