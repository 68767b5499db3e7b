from collections.abc import Mapping, Sequence

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from cps.authtoken.codes import ErrorCode
from cps.issuer.leaf import subject_name
from gateway.identity import NationalIdKind
from gateway.trust.holder import MAX_NAME_CHARACTERS, Holder, read_holder
from tests.support import pki
from tests.support.trust import real_certificate, refuses

Attributes = Sequence[tuple[x509.ObjectIdentifier, str]]
CN, SN, GN = NameOID.COMMON_NAME, NameOID.SURNAME, NameOID.GIVEN_NAME
O, OU = NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME  # noqa: E741 - as in X.520
DOCTOR_ID = pki.DOCTOR.national_id


def name(*rdns: Attributes) -> x509.Name:
    return x509.Name(
        [
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(oid, value) for oid, value in attributes]
            )
            for attributes in rdns
        ]
    )


def person(national_id: str, family: str = "EXEMPLE", given: str = "CAMILLE") -> x509.Name:
    return name([(CN, national_id), (SN, family), (GN, given)])


def test_three_attributes_are_read_from_one_rdn() -> None:
    assert read_holder(subject_name(pki.DOCTOR)) == Holder(
        national_id=DOCTOR_ID,
        family_name="EXEMPLE",
        given_name="CAMILLE",
        organisation=None,
        organisation_id=None,
    )


def test_the_employer_is_read() -> None:
    holder = read_holder(subject_name(pki.CLERK))
    assert holder.national_id == "30B9900001/CPET0001"
    assert holder.organisation == "HOPITAL IMAGINAIRE"
    assert holder.organisation_id == "10B9900001"


@pytest.mark.parametrize(
    "subject",
    [
        name([(SN, "ÉLAN")], [(CN, DOCTOR_ID)], [(GN, "LÉA")]),
        name([(GN, "LÉA"), (CN, DOCTOR_ID), (SN, "ÉLAN")]),
        name([(CN, DOCTOR_ID), (SN, "ÉLAN"), (GN, "LÉA")]),
    ],
    ids=["three RDNs", "one RDN", "another order"],
)
def test_neither_order_nor_grouping_matters(subject: x509.Name) -> None:
    holder = read_holder(subject)
    assert (holder.national_id, holder.family_name, holder.given_name) == (
        DOCTOR_ID,
        "ÉLAN",
        "LÉA",
    )


@pytest.mark.parametrize(
    "national_id",
    [
        "00B6087510",
        "0751234567",
        "02A1234567",
        "112345678901/EMPLOYE-1",
        "30B0057881/CPET0002",
        "4123456789/A.1",
        "512345678901234/a_b",
        "699900000011017/1",
        DOCTOR_ID,
        "9123456789",
    ],
    ids=[
        "ADELI test",
        "ADELI",
        "Corsica",
        "practice",
        "FINESS",
        "SIREN",
        "SIRET",
        "RPPS+",
        "RPPS",
        "student",
    ],
)
def test_the_kinds_of_national_number_are_known(national_id: str) -> None:
    assert read_holder(person(national_id)).national_id == national_id
    assert NationalIdKind(national_id[0])


MALFORMED_IDS: Mapping[str, str] = {
    "RPPS with a wrong key": DOCTOR_ID[:-1] + str((int(DOCTOR_ID[-1]) + 1) % 10),
    "RPPS with two digits swapped": "8" + "99700218869",
    "RPPS too short": DOCTOR_ID[:-1],
    "RPPS too long": DOCTOR_ID + "0",
    "RPPS with other digits": "8" + "٩٩٧٠٠٢١٨٨٩٦",
    "RPPS with a letter": "8" + "9970021889A",
    "RPPS with an employee": DOCTOR_ID + "/1",
    "ADELI in small letters": "00b6087510",
    "FINESS without employee": "30B0057881",
    "FINESS with an empty employee": "30B0057881/",
    "FINESS with two slashes": "30B0057881/A/B",
    "employee with a space": "30B0057881/A B",
    "employee with a line break": "30B0057881/A\n",
    "employee too long": "30B0057881/" + "A" * 33,
    "DRASS": "2123456789",
    "student with a slash": "9123456789/1",
    "student too short": "91234",
    "mail address": "10camille@example.org",
    "unknown kind": "7123456789",
    "a host": "portail.example.org",
    "space before": " " + DOCTOR_ID,
    "line break behind": DOCTOR_ID + "\n",
}


@pytest.mark.parametrize("case", MALFORMED_IDS)
def test_another_spelling_of_the_national_number_is_refused(case: str) -> None:
    with refuses(ErrorCode.CERT_MALFORMED):
        read_holder(person(MALFORMED_IDS[case]))


@pytest.mark.parametrize(
    "subject",
    [
        name([(SN, "A"), (GN, "B")]),
        name([(CN, DOCTOR_ID), (GN, "B")]),
        name([(CN, DOCTOR_ID), (SN, "A")]),
        name([(CN, DOCTOR_ID)], [(NameOID.PSEUDONYM, "SERVICE")]),
        name([(CN, DOCTOR_ID), (SN, "A"), (GN, "B")], [(NameOID.PSEUDONYM, "SERVICE")]),
        name(),
    ],
    ids=["no CN", "no SN", "no GN", "service card", "a person with a pseudonym", "nothing"],
)
def test_a_card_that_names_no_person_is_another_type_of_card(subject: x509.Name) -> None:
    with refuses(ErrorCode.CERT_TYPE):
        read_holder(subject)


@pytest.mark.parametrize(
    "twice", [(CN, DOCTOR_ID), (SN, "B"), (GN, "B"), (O, "B"), (OU, "B")], ids=lambda v: str(v[1])
)
def test_an_attribute_that_stands_twice_is_refused(
    twice: tuple[x509.ObjectIdentifier, str],
) -> None:
    usual = [(CN, DOCTOR_ID), (SN, "A"), (GN, "A")]
    with refuses(ErrorCode.CERT_MALFORMED):
        read_holder(name(usual, [twice], [(O, "A")], [(OU, "A")]))


@pytest.mark.parametrize(
    "text",
    ["A\nB", "A\rB", "A\tB", "A\x00B", "A\x7fB", "A\u202eB", "A\u2028B", "A" * 129],
    ids=["LF", "CR", "TAB", "NUL", "DEL", "writing direction", "line separator", "too long"],
)
def test_text_that_could_deceive_a_log_or_a_page_is_refused(text: str) -> None:
    assert len(text) <= MAX_NAME_CHARACTERS + 1
    for subject in (
        person(DOCTOR_ID, family=text),
        person(DOCTOR_ID, given=text),
        name([(CN, DOCTOR_ID), (SN, "A"), (GN, "A")], [(O, text)]),
    ):
        with refuses(ErrorCode.CERT_MALFORMED):
            read_holder(subject)


def test_names_as_long_as_allowed_and_with_accents_are_kept() -> None:
    family = ("D'É-ÇŒ " * 19)[:MAX_NAME_CHARACTERS]
    assert read_holder(person(DOCTOR_ID, family=family)).family_name == family


@pytest.mark.parametrize(
    ("certificate", "holder"),
    [
        (
            "test-igcsante-auth-CPE-STANDARD.pem",
            Holder(
                national_id="30B0057881/CPET0002",
                family_name="ADMINISTRATIF-CH057880002",
                given_name="CHARLES",
                organisation="HOPITAL DES 3 DAMES",
                organisation_id="10B0057881",
            ),
        ),
        (
            "test-cps-signature-INFIRMIER-2020.der",
            Holder(
                national_id="00B6087510",
                family_name="INFIRMCS ADELI8751",
                given_name="OLIVIER",
                organisation=None,
                organisation_id=None,
            ),
        ),
    ],
    ids=["CPE", "CPS"],
)
def test_the_subjects_of_real_test_cards_are_read(certificate: str, holder: Holder) -> None:
    assert read_holder(real_certificate(certificate).subject) == holder


def test_a_real_organisation_is_no_person() -> None:
    subject = real_certificate("test-leaf-org-sign-testsign.test.asipsante.fr.pem").subject
    with refuses(ErrorCode.CERT_MALFORMED):
        read_holder(subject)
