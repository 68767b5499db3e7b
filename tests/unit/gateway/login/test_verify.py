import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from hypothesis import given
from hypothesis import strategies as st

from cps.authtoken.codes import ErrorCode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken, CardDescription
from cps.issuer import oids
from cps.issuer.leaf import Purpose, future_profession, specialities
from gateway.errors import LoginRejectedError
from gateway.identity import CardKind, VerifiedIdentity
from gateway.login.challenge import Challenge, Nonce
from gateway.login.rules import AccessRules
from gateway.login.verify import LoginVerifier
from gateway.trust.crl import RevocationLists
from gateway.trust.revocation_memory import owner_of
from gateway.trust.store import Environment
from tests.support import pki
from tests.support.trust import extension, real_der, real_store, refuses, trust_store

ORIGIN = "https://portail.example"
NONCE = bytes(range(32))
RID = "AAECAwQFBgcICQoLDA0ODw"
OTHER_RID = "EAECAwQFBgcICQoLDA0ODw"
ATR = bytes.fromhex("3BAC00402A001225006480000310009000")
AGENT, OTHER_AGENT = (
    AgentKey.of(ec.derive_private_key(secret, ec.SECP256R1()).public_key()) for secret in (7, 8)
)
CHALLENGE = Challenge(
    rid=RID,
    nonce=Nonce(NONCE),
    target="/dossiers",
    agent_key=AGENT,
    expires_at=pki.NOW + timedelta(seconds=60),
)
CPS_ALONE = AccessRules(card_types={CardKind.CPS})


@dataclass(frozen=True, kw_only=True)
class Login:
    """What an agent does; each field can be wrong."""

    certificate: bytes
    signed_certificate: bytes | None = None
    origin: str = ORIGIN
    nonce: bytes = NONCE
    rid: str = RID
    agent: AgentKey = AGENT
    key: str = "leaf"
    interface: str = "contact"
    signature: bytes | None = None

    def token(self) -> AuthToken:
        message = login_message(
            origin=self.origin,
            nonce=self.nonce,
            rid=self.rid,
            jwk_thumbprint=self.agent.thumbprint(),
            certificate=self.signed_certificate or self.certificate,
        )
        return token(self.certificate, self.signature or sign(message, self.key), self.interface)


def sign(message: bytes, key: str = "leaf") -> bytes:
    return pki.key(key).sign(message, padding.PKCS1v15(), hashes.SHA256())


def token(certificate: bytes, signature: bytes, interface: str = "contact") -> AuthToken:
    return AuthToken(
        rid=RID,
        unverified_certificate=certificate,
        algorithm="RS256",
        signature=signature,
        card=CardDescription(interface=interface, atr=ATR),
        agent_version="0.1.0",
    )


def login(certificate: x509.Certificate | None = None) -> Login:
    return Login(certificate=pki.der(certificate or pki.leaf()))


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Return lists of the root and the intermediate, in which the serial number 666 is revoked."""
    folder = tmp_path_factory.mktemp("lists")
    ours = pki.hierarchy()
    contents = (
        pki.crl(pki.leaf(serial=666), number=1),
        pki.crl(issuer=ours.root, number=1),
    )
    files = (folder / "intermediate.crl", folder / "root.crl")
    for file, crl in zip(files, contents, strict=True):
        file.write_bytes(pki.der(crl))
    return files


@pytest.fixture(scope="module")
def verifier(lists: tuple[Path, ...]) -> LoginVerifier:
    return make_verifier(lists)


def make_verifier(
    lists: tuple[Path, ...],
    *,
    rules: AccessRules = CPS_ALONE,
    environment: Environment = "test",
    origin: str = ORIGIN,
) -> LoginVerifier:
    store = trust_store(environment=environment)
    return LoginVerifier(store, RevocationLists.load(lists, store, pki.NOW), rules, origin)


def test_a_doctor_with_a_good_card_is_recognised(verifier: LoginVerifier) -> None:
    certificate = pki.leaf(serial=0xABC123)
    identity = verifier.verify(login(certificate).token(), CHALLENGE, now=pki.NOW)
    assert identity == VerifiedIdentity(
        national_id=pki.DOCTOR.national_id,
        family_name="EXEMPLE",
        given_name="CAMILLE",
        profession=10,
        card_type=CardKind.CPS,
        card_number=pki.CARD_NUMBER,
        organisation=None,
        organisation_id=None,
        certificate_serial="ABC123",
        certificate_issuer=owner_of(pki.hierarchy().intermediate.certificate),
        certificate_sha256=hashlib.sha256(pki.der(certificate)).hexdigest(),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        upn_mismatch=None,
    )


def test_an_employee_with_a_good_card_is_recognised(lists: tuple[Path, ...]) -> None:
    verifier = make_verifier(lists, rules=AccessRules(card_types={CardKind.CPE}))
    identity = verifier.verify(login(pki.leaf(pki.CLERK)).token(), CHALLENGE, now=pki.NOW)
    assert identity.card_type is CardKind.CPE
    assert identity.profession is None
    assert identity.organisation == "HOPITAL IMAGINAIRE"
    assert identity.organisation_id == "10B9900001"


def test_specialities_and_what_is_learnt_are_told(lists: tuple[Path, ...]) -> None:
    verifier = make_verifier(lists, rules=AccessRules(card_types={CardKind.CPS, CardKind.CPF}))
    specialist = pki.leaf(extensions=[extension(specialities(["SM54"]))])
    student = pki.leaf(
        pki.CLERK, card_type=CardKind.CPF, extensions=[extension(future_profession(10))]
    )
    found = verifier.verify(login(specialist).token(), CHALLENGE, now=pki.NOW)
    assert (found.specialities, found.future_profession) == (("SM54",), None)
    found = verifier.verify(login(student).token(), CHALLENGE, now=pki.NOW)
    assert (found.specialities, found.future_profession) == ((), 10)


def test_another_principal_name_is_told(verifier: LoginVerifier) -> None:
    certificate = pki.leaf(without=[x509.SubjectAlternativeName.oid])
    identity = verifier.verify(login(certificate).token(), CHALLENGE, now=pki.NOW)
    assert identity.upn_mismatch == "(absent)"


def test_a_contactless_card_is_refused_before_anything_is_read(verifier: LoginVerifier) -> None:
    with refuses(ErrorCode.CARD_CONTACTLESS):
        verifier.verify(token(b"", b"x", "contactless"), CHALLENGE, now=pki.NOW)


def test_a_contactless_card_is_refused_also_where_the_agent_lies(verifier: LoginVerifier) -> None:
    lie = login(pki.leaf(purpose=Purpose.TECHNICAL))
    with refuses(ErrorCode.CERT_PURPOSE):
        verifier.verify(lie.token(), CHALLENGE, now=pki.NOW)


def test_a_challenge_that_was_never_claimed_lets_nobody_in(verifier: LoginVerifier) -> None:
    with refuses(ErrorCode.RID_UNKNOWN):
        verifier.verify(login().token(), replace(CHALLENGE, agent_key=None), now=pki.NOW)


# What is signed.

OTHER_LOGINS: Mapping[str, Callable[[], Login]] = {
    "nonce": lambda: replace(login(), nonce=bytes(32)),
    "origin": lambda: replace(login(), origin="https://portail.example.net"),
    "origin with http": lambda: replace(login(), origin="http://portail.example"),
    "origin with a port": lambda: replace(login(), origin="https://portail.example:8443"),
    "request id": lambda: replace(login(), rid=OTHER_RID),
    "agent's key": lambda: replace(login(), agent=OTHER_AGENT),
    "certificate in the message": lambda: replace(
        login(), signed_certificate=pki.der(pki.leaf(pki.NURSE))
    ),
    "certificate in the token": lambda: replace(
        login(pki.leaf(pki.NURSE)), signed_certificate=pki.der(pki.leaf())
    ),
    "card": lambda: replace(login(), key="other"),
}


@pytest.mark.parametrize("case", OTHER_LOGINS)
def test_a_signature_for_another_login_is_refused(verifier: LoginVerifier, case: str) -> None:
    with refuses(ErrorCode.SIG_INVALID):
        verifier.verify(OTHER_LOGINS[case]().token(), CHALLENGE, now=pki.NOW)


def test_the_request_id_in_the_token_is_not_the_one_that_counts(verifier: LoginVerifier) -> None:
    other = replace(replace(login(), rid=OTHER_RID).token(), rid=OTHER_RID)
    with refuses(ErrorCode.SIG_INVALID):
        verifier.verify(other, CHALLENGE, now=pki.NOW)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def message(
    certificate: bytes,
    *,
    context: bytes = b"CPS-GATEWAY-LOGIN-V1\x00",
    origin: bytes = ORIGIN.encode(),
    nonce: bytes = NONCE,
    rid: bytes = RID.encode(),
) -> bytes:
    """Return M, written down here once more so that each part can be spelt another way."""
    return b"".join(
        (
            context,
            sha256(origin),
            sha256(nonce),
            sha256(rid),
            AGENT.thumbprint(),
            sha256(certificate),
        )
    )


def test_the_message_of_these_tests_is_the_one_of_the_protocol(verifier: LoginVerifier) -> None:
    der = login().certificate
    assert verifier.verify(token(der, sign(message(der))), CHALLENGE, now=pki.NOW)


OTHER_MESSAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "an older version": lambda der: message(der, context=b"CPS-GATEWAY-LOGIN-V0\x00"),
    "no end of the context": lambda der: message(der, context=b"CPS-GATEWAY-LOGIN-V1"),
    "a lease": lambda der: message(der, context=b"CPS-GATEWAY-LEASE-V1\x00"),
    "origin with a slash": lambda der: message(der, origin=b"https://portail.example/"),
    "origin with the default port": lambda der: message(der, origin=b"https://portail.example:443"),
    "origin in capitals": lambda der: message(der, origin=b"https://PORTAIL.example"),
    "origin without scheme": lambda der: message(der, origin=b"portail.example"),
    "nonce as hexadecimal": lambda der: message(der, nonce=NONCE.hex().encode()),
    "request id decoded": lambda der: message(der, rid=bytes(range(16))),
    "bytes behind": lambda der: message(der) + b"\x00",
    "Web eID": lambda _: sha256(ORIGIN.encode()) + sha256(NONCE),
    "TLS 1.3 CertificateVerify": lambda _: (
        b"\x20" * 64 + b"TLS 1.3, client CertificateVerify\x00" + sha256(NONCE)
    ),
    "TLS 1.2 transcript": lambda _: b"\x01\x00\x00\x20\x03\x03" + NONCE,
    "CMS signed attributes": lambda der: b"\x31\x22\x04\x20" + sha256(message(der)),
    "its hash alone": lambda der: sha256(message(der)),
}


@pytest.mark.parametrize("case", OTHER_MESSAGES)
def test_a_signature_over_other_bytes_is_refused(verifier: LoginVerifier, case: str) -> None:
    der = login().certificate
    with refuses(ErrorCode.SIG_INVALID):
        verifier.verify(token(der, sign(OTHER_MESSAGES[case](der))), CHALLENGE, now=pki.NOW)


@pytest.mark.parametrize("signature", [b"\x00", bytes(256), bytes(1024)])
def test_no_signature_is_refused(verifier: LoginVerifier, signature: bytes) -> None:
    with refuses(ErrorCode.SIG_INVALID):
        verifier.verify(replace(login(), signature=signature).token(), CHALLENGE, now=pki.NOW)


# What certifies the key.

OTHER_CERTIFICATES: Mapping[str, tuple[Callable[[], x509.Certificate], ErrorCode]] = {
    "expired": (lambda: pki.leaf(not_after=pki.NOW - timedelta(1)), ErrorCode.CERT_EXPIRED),
    "not yet valid": (lambda: pki.leaf(not_before=pki.NOW + timedelta(1)), ErrorCode.CERT_NOT_YET),
    "unknown authority": (
        lambda: pki.leaf(issuer=pki.foreign_hierarchy().intermediate),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "signature certificate": (lambda: pki.leaf(purpose=Purpose.SIGNATURE), ErrorCode.CERT_PURPOSE),
    "real card in a test": (lambda: pki.leaf(category=0x00), ErrorCode.CERT_TYPE),
    "software certificate": (lambda: pki.leaf(category=0x83), ErrorCode.CERT_TYPE),
    "CPE": (lambda: pki.leaf(pki.CLERK), ErrorCode.CERT_TYPE),
    "service card": (lambda: pki.leaf(without=[oids.PROFESSION]), ErrorCode.CERT_TYPE),
    "RPPS with a wrong key": (
        lambda: pki.leaf(replace(pki.DOCTOR, national_id="899900000010")),
        ErrorCode.CERT_MALFORMED,
    ),
    "revoked": (lambda: pki.leaf(serial=666), ErrorCode.CERT_REVOKED),
}


@pytest.mark.parametrize("case", OTHER_CERTIFICATES)
def test_a_certificate_is_refused_with_its_code(verifier: LoginVerifier, case: str) -> None:
    make, code = OTHER_CERTIFICATES[case]
    with refuses(code):
        verifier.verify(login(make()).token(), CHALLENGE, now=pki.NOW)


def test_a_short_key_is_refused_though_its_signature_is_right(verifier: LoginVerifier) -> None:
    short = login(pki.leaf(leaf_key=pki.key("short", 1024)))
    with refuses(ErrorCode.CERT_UNTRUSTED):
        verifier.verify(replace(short, key="short").token(), CHALLENGE, now=pki.NOW)


def test_a_test_card_is_refused_in_production_whatever_its_authoritys_name(
    tmp_path: Path,
) -> None:
    innocent = pki.production_looking_hierarchy()
    store = trust_store(innocent, environment="production")
    files = (tmp_path / "intermediate.crl", tmp_path / "root.crl")
    for file, issuer in zip(files, (innocent.intermediate, innocent.root), strict=True):
        file.write_bytes(pki.der(pki.crl(issuer=issuer)))
    revocation = RevocationLists.load(files, store, pki.NOW)
    verifier = LoginVerifier(store, revocation, CPS_ALONE, ORIGIN)
    test_card = login(pki.leaf(issuer=innocent.intermediate))
    with refuses(ErrorCode.CERT_TYPE):
        verifier.verify(test_card.token(), CHALLENGE, now=pki.NOW)
    real_card = login(pki.leaf(issuer=innocent.intermediate, category=0x00))
    assert verifier.verify(real_card.token(), CHALLENGE, now=pki.NOW).profession == 10


def test_a_profession_that_the_portal_does_not_want_is_refused(lists: tuple[Path, ...]) -> None:
    verifier = make_verifier(
        lists, rules=AccessRules(card_types={CardKind.CPS}, professions={21, 60})
    )
    with refuses(ErrorCode.NOT_AUTHORISED):
        verifier.verify(login().token(), CHALLENGE, now=pki.NOW)
    assert verifier.verify(login(pki.leaf(pki.NURSE)).token(), CHALLENGE, now=pki.NOW)


def test_without_revocation_lists_nobody_gets_in() -> None:
    with refuses(ErrorCode.REVOCATION_UNAVAILABLE):
        make_verifier(()).verify(login().token(), CHALLENGE, now=pki.NOW)


@pytest.mark.parametrize(
    "certificate",
    [
        lambda: b"",
        lambda: pki.pem(pki.leaf()),
        lambda: pki.der(pki.leaf()) + b"\x00",
        lambda: pki.der(pki.leaf()) + pki.der(pki.hierarchy().intermediate.certificate),
        lambda: pki.der(pki.leaf())[:-1],
    ],
    ids=["empty", "PEM", "trailing byte", "a chain", "truncated"],
)
def test_anything_but_one_certificate_is_malformed(
    verifier: LoginVerifier, certificate: Callable[[], bytes]
) -> None:
    sent = Login(certificate=certificate())
    with refuses(ErrorCode.CERT_MALFORMED):
        verifier.verify(sent.token(), CHALLENGE, now=pki.NOW)


# The order: a token with two faults is told the earlier one.


def two_faults(
    *, certificate: x509.Certificate, key: str = "leaf", damaged: bool = False
) -> AuthToken:
    der = pki.der(certificate) + (b"\x00" if damaged else b"")
    return replace(Login(certificate=der), key=key).token()


ORDER: Mapping[str, tuple[Callable[[], AuthToken], ErrorCode]] = {
    "form before key": (
        lambda: two_faults(
            certificate=pki.leaf(leaf_key=pki.key("short", 1024)), key="short", damaged=True
        ),
        ErrorCode.CERT_MALFORMED,
    ),
    "key before signature": (
        lambda: two_faults(certificate=pki.leaf(leaf_key=pki.key("short", 1024)), key="other"),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "signature before dates": (
        lambda: two_faults(certificate=pki.leaf(not_after=pki.NOW - timedelta(1)), key="other"),
        ErrorCode.SIG_INVALID,
    ),
    "signature before revocation": (
        lambda: two_faults(certificate=pki.leaf(serial=666), key="other"),
        ErrorCode.SIG_INVALID,
    ),
    "path before category": (
        lambda: two_faults(
            certificate=pki.leaf(category=0x83, issuer=pki.foreign_hierarchy().intermediate)
        ),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "purpose before revocation": (
        lambda: two_faults(certificate=pki.leaf(serial=666, purpose=Purpose.TECHNICAL)),
        ErrorCode.CERT_PURPOSE,
    ),
    "revocation before access": (
        lambda: two_faults(certificate=pki.leaf(pki.CLERK, serial=666)),
        ErrorCode.CERT_REVOKED,
    ),
}


@pytest.mark.parametrize("case", ORDER)
def test_the_first_failed_check_gives_the_code(verifier: LoginVerifier, case: str) -> None:
    make, code = ORDER[case]
    with refuses(code):
        verifier.verify(make(), CHALLENGE, now=pki.NOW)


# Real certificates: nobody here has their keys, so the signature is where they end.


def test_a_real_certificate_without_its_key_ends_at_the_signature(
    lists: tuple[Path, ...],
) -> None:
    store = real_store()
    verifier = LoginVerifier(store, RevocationLists.load(lists, store, pki.NOW), CPS_ALONE, ORIGIN)
    der = real_der("test-igcsante-auth-CPE-STANDARD.pem")
    with refuses(ErrorCode.SIG_INVALID):
        verifier.verify(
            Login(certificate=der).token(), CHALLENGE, now=datetime(2019, 6, 1, tzinfo=UTC)
        )


def test_the_real_legacy_certificate_is_malformed(verifier: LoginVerifier) -> None:
    der = real_der("test-cps2ter-auth-MEDECIN-2013.der")
    with refuses(ErrorCode.CERT_MALFORMED):
        verifier.verify(
            Login(certificate=der).token(), CHALLENGE, now=datetime(2014, 6, 1, tzinfo=UTC)
        )


@given(certificate=st.binary(max_size=300), signature=st.binary(min_size=1, max_size=1024))
def test_random_bytes_are_refused_with_a_code(
    verifier: LoginVerifier, certificate: bytes, signature: bytes
) -> None:
    with pytest.raises(LoginRejectedError):
        verifier.verify(token(certificate, signature), CHALLENGE, now=pki.NOW)
