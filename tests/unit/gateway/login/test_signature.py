import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cps.authtoken.codes import ErrorCode
from cps.issuer.leaf import issue
from gateway.login.signature import MAX_RSA_BITS, require_fitting_key, require_valid
from gateway.trust.certificate import load_certificate
from tests.support import pki, strange_leaves
from tests.support.trust import real_certificate, refuses

MESSAGE = b"a message of the gateway"
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def with_modulus(bits: int) -> x509.Certificate:
    """Return a certificate with a key of that length to which nobody has the private part."""
    public = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) | 1).public_key()
    request = replace(pki.leaf_request(), public_key=public)
    return issue(pki.hierarchy().intermediate, request)


def elliptic() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = pki.leaf().subject
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(pki.CARDS_SINCE)
        .not_valid_after(pki.NOW)
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_keys_of_today_fit(bits: int) -> None:
    assert require_fitting_key("RS256", with_modulus(bits)).key_size == bits


@pytest.mark.parametrize("bits", [1024, 2047, MAX_RSA_BITS + 1, 8192])
def test_other_lengths_are_not_trusted(bits: int) -> None:
    with refuses(ErrorCode.CERT_UNTRUSTED):
        require_fitting_key("RS256", with_modulus(bits))


@pytest.mark.parametrize("exponent", [3, (1 << 2000) + 1], ids=["small", "large"])
def test_unusual_exponents_are_not_trusted(exponent: int) -> None:
    with refuses(ErrorCode.CERT_UNTRUSTED):
        require_fitting_key("RS256", load_certificate(strange_leaves.with_exponent(exponent)))


def test_a_key_that_is_bound_to_another_scheme_is_refused() -> None:
    with refuses(ErrorCode.SIG_INVALID):
        require_fitting_key("RS256", load_certificate(strange_leaves.bound_to_pss()))


@pytest.mark.parametrize(
    "algorithm", ["", "none", "rs256", "RS1", "RS512", "PS256", "ES256", "HS256", "RS256 "]
)
def test_every_other_algorithm_is_refused(algorithm: str) -> None:
    with refuses(ErrorCode.SIG_INVALID):
        require_fitting_key(algorithm, pki.leaf())


def test_an_algorithm_that_does_not_fit_the_key_is_refused() -> None:
    with refuses(ErrorCode.SIG_INVALID):
        require_fitting_key("RS256", elliptic())


def test_the_real_card_key_fits() -> None:
    certificate = real_certificate("test-igcsante-auth-CPE-STANDARD.pem")
    assert require_fitting_key("RS256", certificate).key_size == 2048


def sign(message: bytes = MESSAGE) -> bytes:
    return pki.key("leaf").sign(message, padding.PKCS1v15(), hashes.SHA256())


def public() -> rsa.RSAPublicKey:
    return pki.key("leaf").public_key()


def test_the_cards_signature_is_accepted() -> None:
    require_valid(public(), MESSAGE, sign())


@pytest.mark.parametrize(
    "signature",
    [
        lambda: sign(b"another message"),
        lambda: pki.key("other").sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256()),
        lambda: pki.key("leaf").sign(MESSAGE, padding.PKCS1v15(), hashes.SHA512()),
        lambda: pki.key("leaf").sign(
            MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
        ),
        lambda: sign()[:-1],
        lambda: b"\x00" + sign(),
        lambda: sign() + b"\x00",
        lambda: sign()[::-1],
        lambda: b"",
        lambda: bytes(256),
        lambda: b"\xff" * 256,
    ],
    ids=[
        "other message",
        "other key",
        "SHA-512",
        "PSS",
        "too short",
        "zero before",
        "zero behind",
        "reversed",
        "empty",
        "zero",
        "above the modulus",
    ],
)
def test_anything_else_is_refused(signature: Callable[[], bytes]) -> None:
    with refuses(ErrorCode.SIG_INVALID):
        require_valid(public(), MESSAGE, signature())


def encoded(padding_string: bytes, content: bytes) -> int:
    return int.from_bytes(b"\x00\x01" + padding_string + b"\x00" + content, "big")


def raw_signature(block: int) -> bytes:
    """Return what the private key makes of a block that no honest padding would give."""
    numbers = pki.key("leaf").private_numbers()
    return pow(block, numbers.d, numbers.public_numbers.n).to_bytes(256, "big")


def test_the_padding_of_this_test_is_the_right_one() -> None:
    content = DIGEST_INFO + hashlib.sha256(MESSAGE).digest()
    signature = raw_signature(encoded(b"\xff" * (253 - len(content)), content))
    assert signature == sign()


@pytest.mark.parametrize("case", ["rest behind", "no parameters", "bare hash", "short padding"])
def test_loose_padding_is_refused(case: str) -> None:
    digest = hashlib.sha256(MESSAGE).digest()
    rest = bytes(64)
    content = {
        "rest behind": DIGEST_INFO + digest + rest,
        "no parameters": bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest,
        "bare hash": digest,
        "short padding": DIGEST_INFO + digest,
    }[case]
    length = 8 if case == "short padding" else 253 - len(content)
    with refuses(ErrorCode.SIG_INVALID):
        require_valid(public(), MESSAGE, raw_signature(encoded(b"\xff" * length, content)))


def test_a_cube_root_is_no_signature() -> None:
    """A key with exponent 3 lets anyone forge, where the bytes behind the hash are not looked at.

    Source: Bleichenbacher's attack of 2006, CVE-2006-4339.
    """
    weak = rsa.generate_private_key(public_exponent=3, key_size=2048).public_key()
    digest = hashlib.sha256(MESSAGE).digest()
    prefix = b"\x00\x01" + b"\xff" * 8 + b"\x00" + DIGEST_INFO + digest
    wanted = int.from_bytes(prefix + b"\xff" * (256 - len(prefix)), "big")
    forged = cube_root(wanted)
    assert (forged**3).to_bytes(256, "big").startswith(prefix)
    with refuses(ErrorCode.SIG_INVALID):
        require_valid(weak, MESSAGE, forged.to_bytes(256, "big"))


def cube_root(number: int) -> int:
    low, high = 0, 1 << (number.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**3 <= number:
            low = middle
        else:
            high = middle - 1
    return low
