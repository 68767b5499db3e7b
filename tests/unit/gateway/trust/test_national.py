import pytest

from gateway.trust.national import NATIONAL_AUTHORITIES, fingerprint, national_authority
from tests.support import pki
from tests.support.trust import real_certificate

FILES = [
    "ACR_ELEMENTAIRE",
    "ACR_FORT",
    "ACR_STANDARD",
    *(
        f"AC_{f}_{p}"
        for f in ("ELEMENTAIRE", "FORT", "STANDARD")
        for p in ("ORGANISATIONS", "PERSONNES")
    ),
]


@pytest.mark.parametrize("name", FILES)
def test_the_real_authorities_are_known_by_their_bytes(name: str) -> None:
    certificate = real_certificate(f"{name}_20130625.cer")
    known = national_authority(certificate)
    assert known is not None
    assert f"CN={known.name}," in certificate.subject.rfc4514_string()
    assert known.root == (certificate.subject == certificate.issuer)


def test_there_are_nine_of_which_four_lead_to_cards() -> None:
    assert len(NATIONAL_AUTHORITIES) == 9
    leading = {each.name for each in NATIONAL_AUTHORITIES.values() if each.leads_to_cards}
    assert leading == {
        "AC RACINE IGC-SANTE FORT",
        "AC RACINE IGC-SANTE STANDARD",
        "AC IGC-SANTE FORT PERSONNES",
        "AC IGC-SANTE STANDARD PERSONNES",
    }


@pytest.mark.parametrize(
    "name",
    [
        "TEST-CA-TEST_AC_RACINE_IGC-SANTE_STANDARD.pem",
        "TEST-CA-TEST_AC_IGC-SANTE_STANDARD_PERSONNES.pem",
    ],
)
def test_the_test_authorities_are_not_among_them(name: str) -> None:
    assert national_authority(real_certificate(name)) is None


def test_our_own_are_not_among_them() -> None:
    root = pki.hierarchy().root.certificate
    assert national_authority(root) is None
    assert len(fingerprint(root)) == 64
