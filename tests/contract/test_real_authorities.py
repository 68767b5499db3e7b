"""The nine production authorities of the IGC-Santé, by our own validation, signatures included."""

import itertools

import pytest

from gateway.trust.path import PathVerifier
from gateway.trust.rfc5280 import PathInputs, require_valid_path
from gateway.trust.store import TrustStore
from gateway.trust.strength import LOGIN_STRENGTH
from tests.support import pki
from tests.support.trust import real_certificate

FAMILIES = ("ELEMENTAIRE", "STANDARD", "FORT")
INPUTS = PathInputs(strength=LOGIN_STRENGTH)


@pytest.mark.parametrize(
    ("family", "population"), list(itertools.product(FAMILIES, ("PERSONNES", "ORGANISATIONS")))
)
def test_each_leads_to_the_root_of_its_family_alone(family: str, population: str) -> None:
    intermediate = real_certificate(f"AC_{family}_{population}_20130625.cer")
    for other in FAMILIES:
        root = real_certificate(f"ACR_{other}_20130625.cer")
        if other == family:
            require_valid_path([intermediate], root, inputs=INPUTS, now=pki.NOW)
        else:
            with pytest.raises(ValueError, match="not signed by"):
                require_valid_path([intermediate], root, inputs=INPUTS, now=pki.NOW)


def test_both_judges_prove_all_of_them_for_logins() -> None:
    store = TrustStore(
        environment="production",
        anchors=tuple(real_certificate(f"ACR_{family}_20130625.cer") for family in FAMILIES),
        intermediates=tuple(
            real_certificate(f"AC_{family}_{population}_20130625.cer")
            for family, population in itertools.product(FAMILIES, ("PERSONNES", "ORGANISATIONS"))
        ),
    )
    proven = PathVerifier(store)._proven_issuers(pki.NOW).proven
    assert set(proven) == set(store.intermediates)
