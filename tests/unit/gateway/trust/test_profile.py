from collections.abc import Callable, Mapping

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from cps import tlv
from cps.authtoken.codes import ErrorCode
from cps.issuer import oids
from cps.issuer.leaf import (
    Purpose,
    card_category,
    card_type,
    future_profession,
    issue,
    profession,
    specialities,
)
from cps.issuer.profiles import Support
from cps.issuer.profiles import service_card as make_service_card
from gateway.errors import LoginRejectedError
from gateway.identity import CardKind
from gateway.trust import profile as module
from gateway.trust.profile import (
    MAX_SPECIALITIES,
    CardProfile,
    require_authentication_profile,
    require_purpose,
)
from gateway.trust.store import Environment
from tests.support import pki
from tests.support.trust import extension, key_usage, real_certificate, refuses


def profile(leaf: x509.Certificate, environment: Environment = "test") -> CardProfile:
    return require_authentication_profile(leaf, environment=environment)


def replacing(value: x509.ExtensionType, *, critical: bool = False) -> x509.Certificate:
    return pki.leaf(extensions=[extension(value, critical=critical)])


def private(oid: x509.ObjectIdentifier, der: str) -> x509.Certificate:
    """Return a good certificate but for the bytes of one private extension, in hexadecimal."""
    return replacing(x509.UnrecognizedExtension(oid, bytes.fromhex(der)))


def principal_name(value: bytes) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.OtherName(oids.USER_PRINCIPAL_NAME, value)])


def test_the_card_and_its_holder_are_read() -> None:
    read = profile(pki.leaf())
    assert read.kind is CardKind.CPS
    assert read.card_number == pki.CARD_NUMBER
    assert read.profession == 10
    assert read.holder.national_id == pki.DOCTOR.national_id
    assert read.upn_mismatch is None


def test_specialities_are_read_known_or_not() -> None:
    """The bytes of the first are those of the legacy sample."""
    assert profile(private(oids.SPECIALITIES, "30060C04534D3336")).specialities == ("SM36",)
    assert profile(replacing(specialities(["SM54", "ZZ99"]))).specialities == ("SM54", "ZZ99")
    assert profile(replacing(specialities([]))).specialities == ()
    assert profile(pki.leaf()).specialities == ()


def test_somebody_in_training_has_a_future_profession() -> None:
    student = pki.leaf(
        pki.CLERK, card_type=CardKind.CPF, extensions=[extension(future_profession(40))]
    )
    assert profile(student).future_profession == 40
    assert profile(student).profession is None
    assert profile(pki.leaf(pki.CLERK, card_type=CardKind.CPF)).future_profession is None


def service_card() -> x509.Certificate:
    """Return the certificate of a card that belongs to a service and names nobody."""
    support = Support(
        public_key=pki.key("leaf").public_key(),
        number=pki.CARD_NUMBER,
        not_before=pki.CARDS_SINCE,
    )
    structure = pki.CLERK.structure
    assert structure is not None
    request = make_service_card(
        structure, support, pseudonym="ACCUEIL", national_id=pki.CLERK.national_id
    )
    return issue(pki.hierarchy().intermediate, request)


def test_a_service_card_is_told_in_the_log() -> None:
    with pytest.raises(LoginRejectedError) as caught:
        profile(service_card())
    assert "a service's card, which names no person" in caught.value.detail


def test_an_employee_has_no_profession() -> None:
    read = profile(pki.leaf(pki.CLERK))
    assert (read.kind, read.profession) == (CardKind.CPE, None)


def test_the_object_identifiers_are_those_of_the_issuer() -> None:
    for name in (
        "CARD_CATEGORY",
        "CARD_TYPE",
        "TOKEN_ID",
        "PROFESSION",
        "FUTURE_PROFESSION",
        "SPECIALITIES",
        "USER_PRINCIPAL_NAME",
    ):
        assert getattr(module, name) == getattr(oids, name)


@pytest.mark.parametrize("environment", ["production", "test"])
@pytest.mark.parametrize("category", [0x00, 0x02, 0x03, 0x80, 0x82, 0x83, 0x01, 0xFF])
def test_only_cards_of_the_same_world_are_let_in(category: int, environment: Environment) -> None:
    leaf = pki.leaf(category=category)
    if (category, environment) in ((0x00, "production"), (0x80, "test")):
        assert profile(leaf, environment).kind is CardKind.CPS
    else:
        with refuses(ErrorCode.CERT_TYPE):
            profile(leaf, environment)


@pytest.mark.parametrize("kind", CardKind)
def test_each_card_type_of_the_table_is_told(kind: CardKind) -> None:
    holder = pki.DOCTOR if kind is CardKind.CPS else pki.CLERK
    assert profile(pki.leaf(holder, card_type=kind)).kind is kind


@pytest.mark.parametrize("code", [0, 999], ids=["lowest", "highest"])
def test_unknown_codes_of_professions_are_kept(code: int) -> None:
    assert profile(replacing(profession(code))).profession == code


REFUSED: Mapping[str, tuple[Callable[[], x509.Certificate], ErrorCode]] = {
    # The purpose.
    "signature certificate": (lambda: pki.leaf(purpose=Purpose.SIGNATURE), ErrorCode.CERT_PURPOSE),
    "contactless certificate": (
        lambda: pki.leaf(purpose=Purpose.TECHNICAL),
        ErrorCode.CERT_PURPOSE,
    ),
    "no keyUsage": (lambda: pki.leaf(without=[ExtensionOID.KEY_USAGE]), ErrorCode.CERT_PURPOSE),
    "no extKeyUsage": (
        lambda: pki.leaf(without=[ExtensionOID.EXTENDED_KEY_USAGE]),
        ErrorCode.CERT_PURPOSE,
    ),
    "any extKeyUsage": (
        lambda: replacing(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])),
        ErrorCode.CERT_PURPOSE,
    ),
    "logon without clientAuth": (
        lambda: replacing(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SMARTCARD_LOGON])),
        ErrorCode.CERT_PURPOSE,
    ),
    "logon and signing code": (
        lambda: replacing(
            x509.ExtendedKeyUsage(
                [
                    ExtendedKeyUsageOID.CLIENT_AUTH,
                    ExtendedKeyUsageOID.SMARTCARD_LOGON,
                    ExtendedKeyUsageOID.CODE_SIGNING,
                ]
            )
        ),
        ErrorCode.CERT_PURPOSE,
    ),
    "keyUsage without digitalSignature": (
        lambda: replacing(key_usage("key_encipherment"), critical=True),
        ErrorCode.CERT_PURPOSE,
    ),
    "keyUsage with nonRepudiation": (
        lambda: replacing(key_usage("digital_signature", "content_commitment"), critical=True),
        ErrorCode.CERT_PURPOSE,
    ),
    "keyUsage with keyCertSign": (
        lambda: replacing(key_usage("digital_signature", "key_cert_sign"), critical=True),
        ErrorCode.CERT_PURPOSE,
    ),
    "keyUsage with cRLSign": (
        lambda: replacing(key_usage("digital_signature", "crl_sign"), critical=True),
        ErrorCode.CERT_PURPOSE,
    ),
    "authority": (
        lambda: replacing(x509.BasicConstraints(ca=True, path_length=None), critical=True),
        ErrorCode.CERT_PURPOSE,
    ),
    # The card.
    "no category": (lambda: pki.leaf(without=[oids.CARD_CATEGORY]), ErrorCode.CERT_TYPE),
    "category of no bytes": (lambda: private(oids.CARD_CATEGORY, "0400"), ErrorCode.CERT_TYPE),
    "category of two bytes": (lambda: private(oids.CARD_CATEGORY, "04028000"), ErrorCode.CERT_TYPE),
    "category as INTEGER": (
        lambda: private(oids.CARD_CATEGORY, "020200 80"),
        ErrorCode.CERT_MALFORMED,
    ),
    "category with a long length": (
        lambda: private(oids.CARD_CATEGORY, "04810180"),
        ErrorCode.CERT_MALFORMED,
    ),
    "category with a trailing byte": (
        lambda: private(oids.CARD_CATEGORY, "04018000"),
        ErrorCode.CERT_MALFORMED,
    ),
    "category truncated": (lambda: private(oids.CARD_CATEGORY, "0401"), ErrorCode.CERT_MALFORMED),
    "category empty": (lambda: private(oids.CARD_CATEGORY, ""), ErrorCode.CERT_MALFORMED),
    "no card type": (lambda: pki.leaf(without=[oids.CARD_TYPE]), ErrorCode.CERT_TYPE),
    "card type of no table": (lambda: replacing(card_type(4)), ErrorCode.CERT_TYPE),
    "card type negative": (lambda: private(oids.CARD_TYPE, "0201FF"), ErrorCode.CERT_TYPE),
    "card type not minimal": (
        lambda: private(oids.CARD_TYPE, "02020000"),
        ErrorCode.CERT_MALFORMED,
    ),
    "card type as OCTET STRING": (
        lambda: private(oids.CARD_TYPE, "040100"),
        ErrorCode.CERT_MALFORMED,
    ),
    "no token id": (lambda: pki.leaf(without=[oids.TOKEN_ID]), ErrorCode.CERT_TYPE),
    "token of another issuer": (
        lambda: pki.leaf(token_prefix="8025000002"),
        ErrorCode.CERT_TYPE,
    ),
    "token with a short number": (lambda: pki.leaf(card_number="289900000"), ErrorCode.CERT_TYPE),
    "token with a long number": (lambda: pki.leaf(card_number="28990000011"), ErrorCode.CERT_TYPE),
    "token as UTF8String": (
        lambda: private(oids.TOKEN_ID, "0C15" + b"8025000001/2899000001".hex()),
        ErrorCode.CERT_MALFORMED,
    ),
    "token with characters not printable": (
        lambda: private(oids.TOKEN_ID, "1316" + b"8025000001/2899000001\n".hex()),
        ErrorCode.CERT_MALFORMED,
    ),
    # The person.
    "CPS with a future profession": (
        lambda: replacing(future_profession(10)),
        ErrorCode.CERT_TYPE,
    ),
    "CPF with a profession": (
        lambda: pki.leaf(card_type=CardKind.CPF),
        ErrorCode.CERT_TYPE,
    ),
    "CPF with a future profession too high": (
        lambda: pki.leaf(
            pki.CLERK,
            card_type=CardKind.CPF,
            extensions=[extension(future_profession(1000))],
        ),
        ErrorCode.CERT_MALFORMED,
    ),
    "speciality as text": (
        lambda: private(oids.SPECIALITIES, "0C04534D3336"),
        ErrorCode.CERT_MALFORMED,
    ),
    "speciality as bytes": (
        lambda: private(oids.SPECIALITIES, "30060404534D3336"),
        ErrorCode.CERT_MALFORMED,
    ),
    "speciality that is no code": (
        lambda: replacing(specialities(["SM 36"])),
        ErrorCode.CERT_MALFORMED,
    ),
    "speciality of no characters": (
        lambda: replacing(specialities([""])),
        ErrorCode.CERT_MALFORMED,
    ),
    "too many specialities": (
        lambda: replacing(specialities(["SM36"] * (MAX_SPECIALITIES + 1))),
        ErrorCode.CERT_MALFORMED,
    ),
    "service card": (service_card, ErrorCode.CERT_TYPE),
    "CPS without profession": (lambda: pki.leaf(without=[oids.PROFESSION]), ErrorCode.CERT_TYPE),
    "CPE with a profession": (
        lambda: pki.leaf(pki.CLERK, extensions=[extension(profession(10))]),
        ErrorCode.CERT_TYPE,
    ),
    "profession negative": (lambda: private(oids.PROFESSION, "0201F6"), ErrorCode.CERT_MALFORMED),
    "profession too high": (lambda: replacing(profession(1000)), ErrorCode.CERT_MALFORMED),
    "profession as text": (
        lambda: private(oids.PROFESSION, "0C023130"),
        ErrorCode.CERT_MALFORMED,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_certificate_without_the_profile_is_refused_with_its_code(case: str) -> None:
    make, code = REFUSED[case]
    with refuses(code):
        profile(make())


def test_the_profile_alone_refuses_what_the_path_lets_through() -> None:
    """The contactless certificate has a good path: only the profile stands in its way."""
    with refuses(ErrorCode.CERT_PURPOSE):
        require_purpose(pki.leaf(purpose=Purpose.TECHNICAL))


def test_basic_constraints_may_be_absent() -> None:
    assert profile(pki.leaf(without=[ExtensionOID.BASIC_CONSTRAINTS]))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"0.0B1058110@carte-cps.fr", "0.0B1058110@carte-cps.fr"),
        (b"\xff", "(unreadable)"),
        (b"a\nb", "(unreadable)"),
        (b"a" * 129, "(unreadable)"),
    ],
    ids=["legacy form", "not UTF-8", "line break", "too long"],
)
def test_another_principal_name_is_told_and_not_refused(value: bytes, told: str) -> None:
    leaf = replacing(principal_name(tlv.encode(0x0C, value)))
    assert profile(leaf).upn_mismatch == told


def test_a_principal_name_that_is_no_text_is_told_and_not_refused() -> None:
    assert profile(replacing(principal_name(b"\x02\x01\x00"))).upn_mismatch == "(unreadable)"


@pytest.mark.parametrize(
    "leaf",
    [
        lambda: pki.leaf(without=[ExtensionOID.SUBJECT_ALTERNATIVE_NAME]),
        lambda: replacing(x509.SubjectAlternativeName([x509.DNSName("example.org")])),
    ],
    ids=["no names", "other names"],
)
def test_a_missing_principal_name_is_told_and_not_refused(
    leaf: Callable[[], x509.Certificate],
) -> None:
    assert profile(leaf()).upn_mismatch == "(absent)"


def test_a_second_principal_name_is_told_and_not_refused() -> None:
    mine, other = (
        x509.OtherName(oids.USER_PRINCIPAL_NAME, tlv.encode(0x0C, f"{who}@carte-cps.fr".encode()))
        for who in (pki.DOCTOR.national_id, "other")
    )
    told = profile(replacing(x509.SubjectAlternativeName([mine, other]))).upn_mismatch
    assert told == f"{pki.DOCTOR.national_id}@carte-cps.fr, other@carte-cps.fr"


def test_a_category_marked_as_critical_is_read_all_the_same() -> None:
    assert profile(replacing(card_category(0x80), critical=True)).kind is CardKind.CPS


def test_the_real_test_card_has_the_profile() -> None:
    read = profile(real_certificate("test-igcsante-auth-CPE-STANDARD.pem"))
    assert read.kind is CardKind.CPE
    assert read.card_number == "2600301752"
    assert read.profession is None
    assert read.upn_mismatch is None


def test_the_real_test_card_is_refused_in_production() -> None:
    with refuses(ErrorCode.CERT_TYPE):
        profile(real_certificate("test-igcsante-auth-CPE-STANDARD.pem"), "production")


@pytest.mark.parametrize(
    "name",
    [
        "test-cps-signature-INFIRMIER-2020.der",
        "test-leaf-org-sign-testsign.test.asipsante.fr.pem",
    ],
    ids=["signature certificate", "organisation certificate"],
)
def test_real_certificates_for_other_purposes_are_refused(name: str) -> None:
    with refuses(ErrorCode.CERT_PURPOSE):
        profile(real_certificate(name))
