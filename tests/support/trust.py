"""What tests of the gateway's trust decisions share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509

from cps.authtoken.codes import ErrorCode
from cps.issuer.hierarchy import Hierarchy
from gateway.errors import LoginRejectedError
from gateway.trust.certificate import load_certificate
from gateway.trust.store import Environment, TrustStore
from tests.support import pki
from tests.support.shared import shared_file


def trust_store(*hierarchies: Hierarchy, environment: Environment = "test") -> TrustStore:
    """Return a store that pins the root and the intermediate of each, ours where none is named."""
    pinned = hierarchies or (pki.hierarchy(),)
    return TrustStore(
        environment=environment,
        anchors=tuple(each.root.certificate for each in pinned),
        intermediates=tuple(each.intermediate.certificate for each in pinned),
    )


def real_store(*, environment: Environment = "test") -> TrustStore:
    """Return a store with the agency's TEST authorities of the family STANDARD."""
    return TrustStore(
        environment=environment,
        anchors=(real_certificate("TEST-CA-TEST_AC_RACINE_IGC-SANTE_STANDARD.pem"),),
        intermediates=(real_certificate("TEST-CA-TEST_AC_IGC-SANTE_STANDARD_PERSONNES.pem"),),
    )


def real_certificate(name: str) -> x509.Certificate:
    """Return a certificate of the agency, where that folder is at hand."""
    return load_certificate(real_der(name))


def real_der(name: str) -> bytes:
    """Return the DER bytes of a certificate of the agency, where that folder is at hand."""
    raw = shared_file(f"certs/{name}").read_bytes()
    return pki.der(x509.load_pem_x509_certificate(raw)) if b"-----BEGIN" in raw else raw


def extension(
    value: x509.ExtensionType, *, critical: bool = False
) -> x509.Extension[x509.ExtensionType]:
    """Return *value* as it stands in a certificate."""
    return x509.Extension(value.oid, critical, value)


def key_usage(*names: str) -> x509.KeyUsage:
    """Return a keyUsage with the bits of these names alone."""
    bits = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**bits | dict.fromkeys(names, True))


@contextmanager
def refuses(code: ErrorCode) -> Iterator[None]:
    """Expect a refusal with exactly this code."""
    with pytest.raises(LoginRejectedError) as caught:
        yield
    assert caught.value.reason is code
