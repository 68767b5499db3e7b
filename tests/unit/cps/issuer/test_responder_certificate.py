from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cps.issuer.extensions import UNKNOWN, critical, plain
from cps.issuer.responder_certificate import create_signer
from tests.support import pki
from tests.support.responder import delegate


def test_certificate_is_issued_by_the_authority_it_answers_for() -> None:
    certificate = delegate().certificate
    certificate.verify_directly_issued_by(pki.hierarchy().intermediate.certificate)
    assert certificate.public_key() == delegate().key.public_key()
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=365)


def test_it_may_sign_answers_and_nothing_else() -> None:
    extensions = delegate().certificate.extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.public_bytes().hex() == "03020780"
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_it_says_that_it_needs_not_be_looked_up() -> None:
    value = delegate().certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert not value.critical
    with pytest.raises(x509.ExtensionNotFound):
        delegate(no_check=False).certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)


def test_name_tells_whose_responder_it_is() -> None:
    [name] = delegate().certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "OCSP TEST AC SIMULATEUR FORT PERSONNES"


def test_dates_and_extensions_can_be_wrong() -> None:
    end = pki.NOW - timedelta(days=1)
    signer = create_signer(
        pki.hierarchy().intermediate,
        pki.key("responder"),
        not_before=pki.NOW - timedelta(days=9),
        not_after=end,
        replaced=[
            plain(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])),
            critical(UNKNOWN),
        ],
    )
    extensions = signer.certificate.extensions
    assert signer.certificate.not_valid_after_utc == end
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert extensions.get_extension_for_oid(UNKNOWN.oid).critical
