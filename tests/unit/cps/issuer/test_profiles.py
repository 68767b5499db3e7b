from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cps.issuer import der, oids, profiles
from cps.issuer.hierarchy import Authority, Gamme, Population
from cps.issuer.leaf import Holder, LeafRequest, Purpose, Structure, issue
from cps.issuer.profiles import Support
from tests.support import pki
from tests.support.shared import shared_file

PRIVATE = (
    oids.CARD_CATEGORY,
    oids.CARD_TYPE,
    oids.TOKEN_ID,
    oids.PROFESSION,
    oids.FUTURE_PROFESSION,
    oids.SPECIALITIES,
)
STRUCTURE = Structure(county="Paris (75)", name="HOPITAL IMAGINAIRE", number="10B9900001")


def issued(request: LeafRequest, issuer: Authority | None = None) -> x509.Certificate:
    return issue(issuer or pki.hierarchy().intermediate, request)


def private(certificate: x509.Certificate) -> dict[str, str]:
    """Return the private extensions but the token id, by the end of their OID."""
    return {
        extension.oid.dotted_string.rpartition("1.71.")[2]: extension.value.public_bytes().hex()
        for extension in certificate.extensions
        if extension.oid in PRIVATE and extension.oid != oids.TOKEN_ID
    }


def service_card(support: Support) -> LeafRequest:
    return profiles.service_card(
        STRUCTURE, support, pseudonym="URGENCES", national_id="30B9900001/SERV0001"
    )


@pytest.mark.parametrize(
    ("request_for", "expected"),
    [
        pytest.param(
            lambda support: profiles.cps(pki.NURSE, support),
            {"1.2.5": "040180", "1.2.2": "020100", "1.2.7": "02013c"},
            id="CPS",
        ),
        pytest.param(
            lambda support: profiles.cps(pki.SPECIALIST, support),
            {
                "1.2.5": "040180",
                "1.2.2": "020100",
                "1.2.7": "02010a",
                "4.2.5": "300c0c04534d33360c04534d3534",
            },
            id="CPS of a specialist",
        ),
        pytest.param(
            lambda support: profiles.cpf(pki.STUDENT, support),
            {"1.2.5": "040180", "1.2.2": "020101", "1.2.8": "02010a"},
            id="CPF",
        ),
        pytest.param(
            lambda support: profiles.cpe(pki.CLERK, support),
            {"1.2.5": "040180", "1.2.2": "020102"},
            id="CPE",
        ),
        pytest.param(
            lambda support: profiles.cpa(pki.HELPER, support),
            {"1.2.5": "040180", "1.2.2": "020103"},
            id="CPA",
        ),
        pytest.param(service_card, {"1.2.5": "040180", "1.2.2": "020102"}, id="service card"),
        pytest.param(
            lambda support: profiles.software(pki.DOCTOR, support),
            {"1.2.5": "040183", "1.2.2": "020100", "1.2.7": "02010a"},
            id="software",
        ),
        pytest.param(
            lambda support: profiles.module(pki.DOCTOR, support),
            {"1.2.5": "040182", "1.2.2": "020100", "1.2.7": "02010a"},
            id="module",
        ),
        pytest.param(
            lambda support: profiles.organisation(STRUCTURE, support, host="org.invalid"),
            {"1.2.5": "040183"},
            id="organisation",
        ),
    ],
)
def test_profile_has_its_private_extensions(
    request_for: Callable[[Support], LeafRequest], expected: dict[str, str]
) -> None:
    certificate = issued(request_for(pki.support()))
    assert private(certificate) == expected


def test_real_card_differs_from_a_test_card_in_the_category_alone() -> None:
    test, real = (
        issued(profiles.software(pki.DOCTOR, pki.support(real=real))) for real in (False, True)
    )
    assert private(test)["1.2.5"] == "040183"
    assert private(real) == {**private(test), "1.2.5": "040103"}
    assert private(issued(profiles.cps(pki.DOCTOR, pki.support(real=True))))["1.2.5"] == "040100"


@pytest.mark.parametrize("purpose", Purpose, ids=lambda purpose: purpose.value)
def test_each_key_of_a_card_has_its_certificate(purpose: Purpose) -> None:
    certificate = issued(profiles.cps(pki.DOCTOR, pki.support(purpose=purpose)))
    assert list(certificate.extensions) == list(pki.leaf(purpose=purpose).extensions)
    assert certificate.subject == pki.leaf().subject


def test_service_card_names_a_service_and_nobody() -> None:
    subject = issued(service_card(pki.support())).subject
    names = {attribute.oid: attribute.value for attribute in subject}
    assert names[NameOID.PSEUDONYM] == "URGENCES"
    assert names[NameOID.TITLE] == "Carte de service santé ou social"
    assert names[NameOID.COMMON_NAME] == "30B9900001/SERV0001"
    assert NameOID.SURNAME not in names
    assert NameOID.GIVEN_NAME not in names


def test_organisation_signs_documents_and_is_no_client() -> None:
    request = profiles.organisation(STRUCTURE, pki.support(), host="org.invalid")
    extensions = issued(request, pki.organisations_authority()).extensions
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.content_commitment
    assert usage.digital_signature


@pytest.mark.parametrize(
    ("builder", "holder", "complaint"),
    [
        pytest.param(profiles.cps, pki.CLERK, "says the profession", id="CPS without profession"),
        pytest.param(profiles.cpf, pki.DOCTOR, "future profession", id="CPF of a doctor"),
        pytest.param(
            profiles.cpf,
            replace(pki.STUDENT, future_profession=None),
            "future profession",
            id="CPF for nothing",
        ),
        pytest.param(profiles.cpe, pki.DOCTOR, "the structure", id="CPE of a doctor"),
        pytest.param(
            profiles.cpe,
            replace(pki.CLERK, profession=10),
            "no profession",
            id="CPE with profession",
        ),
        pytest.param(profiles.cpa, pki.STUDENT, "the structure", id="CPA of a student"),
    ],
)
def test_holder_has_to_fit_the_card(
    builder: Callable[[Holder, Support], LeafRequest], holder: Holder, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        builder(holder, pki.support())


def test_same_shape_as_the_agencys_own_organisation() -> None:
    file = shared_file("certs/test-leaf-org-sign-testsign.test.asipsante.fr.pem")
    real = x509.load_pem_x509_certificate(file.read_bytes())
    structure = Structure(
        county="Côte-d'Or (21)", name="MINISTERE DE TEST7708", number="300000000077081"
    )
    request = profiles.organisation(structure, pki.support(), host="testsign.test.asipsante.fr")
    names = replace(pki.NAMES, gamme=Gamme.ELEMENTAIRE, population=Population.ORGANISATIONS)
    request = replace(request, not_before=real.not_valid_before_utc)
    ours = issued(request, pki.sibling_intermediate(names))
    assert ours.subject.public_bytes() == real.subject.public_bytes()
    assert [(each.oid, each.critical) for each in ours.extensions] == [
        (each.oid, each.critical) for each in real.extensions
    ]
    same = {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.PrivateKeyUsagePeriod.oid,
        oids.CARD_CATEGORY,
    }
    for extension in real.extensions:
        if extension.oid in same:
            mine = ours.extensions.get_extension_for_oid(extension.oid).value
            assert mine.public_bytes() == extension.value.public_bytes(), extension.oid


def test_speciality_is_encoded_as_on_a_real_card() -> None:
    real = shared_file("certs/test-cps2ter-auth-MEDECIN-2013.der").read_bytes()
    holder = replace(pki.SPECIALIST, specialities=("SM36",))
    extensions = issued(profiles.cps(holder, pki.support())).extensions
    assert der.extension(extensions.get_extension_for_oid(oids.SPECIALITIES)) in real
