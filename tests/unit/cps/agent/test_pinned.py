"""A pinned public key: one of several, and nothing without a certificate."""

import hashlib

import pytest
import urllib3
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cps.agent.pinned import require_pinned
from tests.support import pki

CERTIFICATE = pki.leaf(serial=5)
DIGEST = hashlib.sha256(
    CERTIFICATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).digest()


def test_one_of_the_keys_is_enough() -> None:
    require_pinned(pki.der(CERTIFICATE), {bytes(32), DIGEST})


def test_another_certificate_of_the_same_key_is_as_good() -> None:
    require_pinned(pki.der(pki.leaf(serial=6)), {DIGEST})


@pytest.mark.parametrize(
    ("certificate", "pins"),
    [
        pytest.param(pki.der(CERTIFICATE), {bytes(32)}, id="another key"),
        pytest.param(pki.der(CERTIFICATE), set(), id="no key"),
        pytest.param(None, {DIGEST}, id="no certificate"),
    ],
)
def test_anything_else_is_refused(certificate: bytes | None, pins: set[bytes]) -> None:
    with pytest.raises(urllib3.exceptions.SSLError, match="pinned"):
        require_pinned(certificate, pins)
