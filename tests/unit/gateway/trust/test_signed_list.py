import pytest
from cryptography import x509

from gateway.trust.signed_list import one_list, require_signed_list, require_version
from gateway.trust.strength import LOGIN_STRENGTH
from tests.support import pki
from tests.support.revocation import entry, list_der


def signer(raw: bytes, *authorities: x509.Certificate) -> x509.Certificate:
    return require_signed_list(x509.load_der_x509_crl(raw), raw, authorities, LOGIN_STRENGTH)


def test_der_is_left_as_it_is_and_pem_becomes_der() -> None:
    crl = pki.crl()
    assert one_list(pki.der(crl)) == pki.der(crl)
    assert one_list(pki.pem(crl)) == pki.der(crl)
    with pytest.raises(ValueError, match="several PEM blocks"):
        one_list(pki.pem(crl) * 2)


def test_the_signer_is_found_among_authorities() -> None:
    ours, sibling = pki.hierarchy(), pki.sibling_intermediate()
    candidates = (ours.root.certificate, sibling.certificate, ours.intermediate.certificate)
    assert signer(list_der(entry(1)), *candidates) == ours.intermediate.certificate


def test_the_reason_tells_a_wrong_name_from_a_wrong_key() -> None:
    with pytest.raises(ValueError, match="its issuer is not one of"):
        signer(list_der(), pki.hierarchy().root.certificate)
    with pytest.raises(ValueError, match="not made with the key"):
        signer(list_der(), pki.sibling_intermediate().certificate)
    with pytest.raises(ValueError, match="its issuer is not one of"):
        signer(list_der())


def test_extensions_want_a_version() -> None:
    raw = list_der()
    require_version(x509.load_der_x509_crl(raw), raw)
