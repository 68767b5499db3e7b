from cryptography import x509

from gateway.trust.extensions import find_extension
from tests.support import pki
from tests.support.trust import extension, key_usage


def test_an_extension_is_found_with_its_criticality() -> None:
    usage = key_usage("digital_signature")
    for critical in (True, False):
        found = find_extension(
            pki.leaf(extensions=[extension(usage, critical=critical)]), x509.KeyUsage
        )
        assert found is not None
        assert (found.value, found.critical) == (usage, critical)


def test_an_extension_that_is_not_there_is_not_found() -> None:
    assert find_extension(pki.leaf(), x509.NameConstraints) is None
    assert find_extension(pki.leaf(without=[x509.KeyUsage.oid]), x509.KeyUsage) is None
