from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from cps.authtoken.codes import ErrorCode
from cps.issuer.hierarchy import Authority, create_intermediate, create_root
from cps.issuer.leaf import TOKEN_PREFIX, Purpose, card_category, profession, token_id
from gateway.trust.certificate import load_certificate
from gateway.trust.path import ISSUERS_KEPT, PathVerifier, require_chain
from gateway.trust.rfc5280 import PathInputs, PathState
from gateway.trust.store import TrustStore
from gateway.trust.strength import LOGIN_STRENGTH
from tests.support import pki
from tests.support.trust import (
    extension,
    key_usage,
    real_certificate,
    real_store,
    refuses,
    trust_store,
)

REAL_NOW = datetime(2019, 6, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_card_certificate_leads_to_the_pinned_root() -> None:
    leaf = pki.leaf()
    chain = require_chain(leaf, trust_store(), pki.NOW)
    assert chain.leaf == leaf
    assert chain.intermediate == pki.hierarchy().intermediate.certificate
    assert chain.anchor == pki.hierarchy().root.certificate


def test_the_right_one_of_two_pinned_authorities_of_one_name_is_found() -> None:
    sibling = pki.sibling_intermediate()
    ours = pki.hierarchy()
    store = TrustStore(
        environment="test",
        anchors=(ours.root.certificate,),
        intermediates=(ours.intermediate.certificate, sibling.certificate),
    )
    chain = require_chain(pki.leaf(issuer=sibling), store, pki.NOW)
    assert chain.intermediate == sibling.certificate


def test_a_pinned_authority_that_has_expired_does_not_disturb_another() -> None:
    expired = create_root(
        now=datetime(2000, 1, 1, tzinfo=UTC), names=pki.NAMES, key=pki.key("foreign root")
    )
    ours = pki.hierarchy()
    store = TrustStore(
        environment="test",
        anchors=(expired.certificate, ours.root.certificate),
        intermediates=(ours.intermediate.certificate,),
    )
    assert require_chain(pki.leaf(), store, pki.NOW).anchor == ours.root.certificate


def test_a_cross_certificate_of_the_same_key_serves_where_its_root_is_pinned() -> None:
    other_root = pki.foreign_hierarchy().root
    cross = create_intermediate(
        other_root,
        now=pki.AUTHORITIES_SINCE,
        names=pki.NAMES,
        key=pki.hierarchy().intermediate.key,
    )
    store = TrustStore(
        environment="test",
        anchors=(other_root.certificate,),
        intermediates=(cross.certificate,),
    )
    assert require_chain(pki.leaf(), store, pki.NOW).intermediate == cross.certificate


def test_both_ends_of_the_validity_are_inside() -> None:
    leaf = pki.leaf()
    for now in (leaf.not_valid_before_utc, leaf.not_valid_after_utc):
        assert require_chain(leaf, trust_store(), now).leaf == leaf


def test_one_second_before_its_time_a_certificate_is_not_yet_good() -> None:
    leaf = pki.leaf()
    with refuses(ErrorCode.CERT_NOT_YET):
        require_chain(leaf, trust_store(), leaf.not_valid_before_utc - SECOND)


def test_one_second_after_its_time_a_certificate_is_expired() -> None:
    leaf = pki.leaf()
    with refuses(ErrorCode.CERT_EXPIRED):
        require_chain(leaf, trust_store(), leaf.not_valid_after_utc + SECOND)


def test_an_expired_authority_is_not_trusted() -> None:
    after = datetime(2040, 1, 2, tzinfo=UTC)
    leaf = pki.leaf(not_before=after - timedelta(days=9), not_after=after + timedelta(days=9))
    with refuses(ErrorCode.CERT_UNTRUSTED):
        require_chain(leaf, trust_store(), after)


def test_an_authority_before_its_time_is_not_trusted() -> None:
    before = pki.AUTHORITIES_SINCE - timedelta(days=1)
    leaf = pki.leaf(not_before=before - timedelta(days=9))
    with refuses(ErrorCode.CERT_UNTRUSTED):
        require_chain(leaf, trust_store(), before)


def self_signed() -> x509.Certificate:
    request = pki.leaf()
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(request.subject)
        .public_key(request.public_key())
        .serial_number(1)
        .not_valid_before(request.not_valid_before_utc)
        .not_valid_after(request.not_valid_after_utc)
    )
    for each in request.extensions:
        builder = builder.add_extension(each.value, each.critical)
    return builder.sign(pki.key("leaf"), hashes.SHA256())


def of_a_smaller_authority() -> x509.Certificate:
    """Issue by an authority that our intermediate certified, though its path length is 0."""
    smaller = create_intermediate(
        pki.hierarchy().intermediate,
        now=pki.AUTHORITIES_SINCE,
        names=pki.PRODUCTION_LOOKING_NAMES,
        key=pki.key("smaller"),
    )
    return pki.leaf(issuer=smaller)


def with_a_damaged_signature() -> x509.Certificate:
    der = bytearray(pki.der(pki.leaf()))
    der[-1] ^= 1
    return load_certificate(bytes(der))


def with_sha1() -> x509.Certificate:
    """Return a good certificate but for the name of its algorithm; the library signs no SHA-1."""
    sha256, sha1 = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "05"))
    der = pki.der(pki.leaf())
    assert der.count(sha256) == 2
    return load_certificate(der.replace(sha256, sha1))


def replacing(value: x509.ExtensionType, *, critical: bool = False) -> x509.Certificate:
    return pki.leaf(extensions=[extension(value, critical=critical)])


POLICIES = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.250.1.999"), b"\x05\x00")
CONSTRAINTS = x509.NameConstraints(
    permitted_subtrees=[x509.DNSName("example.org")], excluded_subtrees=None
)

REFUSED: Mapping[str, tuple[Callable[[], x509.Certificate], ErrorCode]] = {
    "same names, other keys": (
        lambda: pki.leaf(issuer=pki.foreign_hierarchy().intermediate),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "sibling with the same name that is not pinned": (
        lambda: pki.leaf(issuer=pki.sibling_intermediate()),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "authority for organisations that is not pinned": (
        lambda: pki.leaf(issuer=pki.organisations_authority()),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "another family's authority": (
        lambda: pki.leaf(issuer=pki.standard_hierarchy().intermediate),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "issued by the root itself": (
        lambda: pki.leaf(issuer=pki.hierarchy().root),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "self-signed": (self_signed, ErrorCode.CERT_UNTRUSTED),
    "authority below ours": (of_a_smaller_authority, ErrorCode.CERT_UNTRUSTED),
    "damaged signature": (with_a_damaged_signature, ErrorCode.CERT_UNTRUSTED),
    "SHA-1": (with_sha1, ErrorCode.CERT_UNTRUSTED),
    "the intermediate itself": (
        lambda: pki.hierarchy().intermediate.certificate,
        ErrorCode.CERT_PURPOSE,
    ),
    "the root itself": (lambda: pki.hierarchy().root.certificate, ErrorCode.CERT_PURPOSE),
    "signature certificate": (
        lambda: pki.leaf(purpose=Purpose.SIGNATURE),
        ErrorCode.CERT_PURPOSE,
    ),
    "signature certificate of a stranger": (
        lambda: pki.leaf(purpose=Purpose.SIGNATURE, issuer=pki.foreign_hierarchy().intermediate),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "authority as card holder": (
        lambda: replacing(x509.BasicConstraints(ca=True, path_length=None)),
        ErrorCode.CERT_PURPOSE,
    ),
    "no keyUsage": (
        lambda: pki.leaf(without=[ExtensionOID.KEY_USAGE]),
        ErrorCode.CERT_PURPOSE,
    ),
    "keyUsage for both": (
        lambda: replacing(key_usage("digital_signature", "content_commitment"), critical=True),
        ErrorCode.CERT_PURPOSE,
    ),
    "keyUsage for encryption": (
        lambda: replacing(key_usage("key_encipherment"), critical=True),
        ErrorCode.CERT_PURPOSE,
    ),
    "no extKeyUsage": (
        lambda: pki.leaf(without=[ExtensionOID.EXTENDED_KEY_USAGE]),
        ErrorCode.CERT_PURPOSE,
    ),
    "any extKeyUsage": (
        lambda: replacing(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])),
        ErrorCode.CERT_PURPOSE,
    ),
    "critical unknown extension": (
        lambda: replacing(UNKNOWN, critical=True),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "more purposes than logging in": (
        lambda: replacing(
            x509.ExtendedKeyUsage(
                [
                    ExtendedKeyUsageOID.CLIENT_AUTH,
                    ExtendedKeyUsageOID.SMARTCARD_LOGON,
                    ExtendedKeyUsageOID.OCSP_SIGNING,
                ]
            )
        ),
        ErrorCode.CERT_PURPOSE,
    ),
    "a policy twice": (
        lambda: replacing(x509.CertificatePolicies([*POLICIES, *POLICIES])),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "name constraints": (lambda: replacing(CONSTRAINTS), ErrorCode.CERT_UNTRUSTED),
    "no authorityKeyIdentifier": (
        lambda: pki.leaf(without=[ExtensionOID.AUTHORITY_KEY_IDENTIFIER]),
        ErrorCode.CERT_UNTRUSTED,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_certificate_is_refused_with_its_code(case: str) -> None:
    make, code = REFUSED[case]
    with refuses(code):
        require_chain(make(), trust_store(), pki.NOW)


@pytest.mark.parametrize(
    "value",
    [POLICIES, card_category(0x80), profession(10), token_id(TOKEN_PREFIX, pki.CARD_NUMBER)],
    ids=["policies", "category", "profession", "token id"],
)
def test_an_extension_that_is_heeded_may_be_critical(value: x509.ExtensionType) -> None:
    assert require_chain(replacing(value, critical=True), trust_store(), pki.NOW)


@pytest.mark.parametrize(
    ("policies", "accepted"),
    [
        (["1.2.3"], True),
        (["1.2.3", "1.2.4"], True),
        (["1.2.4"], False),
        ([], True),
    ],
    ids=["the one it has", "one of two", "another", "none demanded"],
)
def test_a_policy_is_demanded_where_the_settings_name_some(
    policies: list[str], accepted: bool
) -> None:
    store = replace(trust_store(), policies=frozenset(map(x509.ObjectIdentifier, policies)))
    leaf = replacing(POLICIES)
    if accepted:
        assert require_chain(leaf, store, pki.NOW).leaf == leaf
    else:
        with refuses(ErrorCode.CERT_POLICY):
            require_chain(leaf, store, pki.NOW)


def test_a_certificate_without_policy_is_refused_where_one_is_demanded() -> None:
    store = replace(trust_store(), policies=frozenset({x509.ObjectIdentifier("1.2.3")}))
    with refuses(ErrorCode.CERT_POLICY):
        require_chain(pki.leaf(without=[POLICIES.oid]), store, pki.NOW)


def test_the_real_test_card_stands_under_its_published_policy() -> None:
    published, other = (
        frozenset({x509.ObjectIdentifier(f"1.2.250.1.213.1.7.2.1.1.1.{last}")}) for last in (1, 2)
    )
    leaf = real_certificate("test-igcsante-auth-CPE-STANDARD.pem")
    assert require_chain(leaf, replace(real_store(), policies=published), REAL_NOW)
    with refuses(ErrorCode.CERT_POLICY):
        require_chain(leaf, replace(real_store(), policies=other), REAL_NOW)


def intermediate_with(*extensions: x509.Extension[x509.ExtensionType]) -> Authority:
    """Return our intermediate with further extensions."""
    ours = pki.hierarchy()
    good = ours.intermediate.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(good.subject)
        .issuer_name(good.issuer)
        .public_key(good.public_key())
        .serial_number(good.serial_number)
        .not_valid_before(good.not_valid_before_utc)
        .not_valid_after(good.not_valid_after_utc)
    )
    for each in (*good.extensions, *extensions):
        builder = builder.add_extension(each.value, each.critical)
    return replace(ours.intermediate, certificate=builder.sign(ours.root.key, hashes.SHA256()))


def chain_under(authority: Authority, leaf: x509.Certificate) -> object:
    store = replace(trust_store(), intermediates=(authority.certificate,))
    return require_chain(leaf, store, pki.NOW)


def test_an_authority_that_demands_a_policy_is_obeyed_without_any_setting() -> None:
    demand = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
    authority = intermediate_with(extension(demand, critical=True))
    assert chain_under(authority, pki.leaf(issuer=authority))
    with refuses(ErrorCode.CERT_POLICY):
        chain_under(authority, pki.leaf(issuer=authority, without=[POLICIES.oid]))


@pytest.mark.parametrize(
    ("limit", "accepted"),
    [
        (x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")])), True),
        (x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")])), False),
    ],
    ids=["inside", "outside"],
)
def test_an_authority_bound_to_directory_names_is_refused_whatever_the_name(
    limit: x509.GeneralName, accepted: bool
) -> None:
    """The library's verifier knows no such constraint and refuses: two judges, the stricter wins.

    Our own code tells the two apart.
    """
    constraints = x509.NameConstraints(permitted_subtrees=[limit], excluded_subtrees=None)
    authority = intermediate_with(extension(constraints, critical=True))
    leaf = pki.leaf(issuer=authority)
    with refuses(ErrorCode.CERT_UNTRUSTED):
        chain_under(authority, leaf)
    state = PathState.start(
        pki.hierarchy().root.certificate, PathInputs(strength=LOGIN_STRENGTH)
    ).after_authority(authority.certificate)
    if accepted:
        state.require_leaf(leaf)
    else:
        with pytest.raises(ValueError, match="outside the permitted"):
            state.require_leaf(leaf)


def test_a_purpose_that_the_authority_may_not_certify_is_refused() -> None:
    other = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    authority = intermediate_with(extension(other))
    with refuses(ErrorCode.CERT_UNTRUSTED):
        chain_under(authority, pki.leaf(issuer=authority))


def test_intermediates_are_proven_anew_after_a_minute_and_at_once_when_the_clock_goes_back() -> (
    None
):
    verifier = PathVerifier(trust_store())
    leaf = pki.leaf()
    verifier.require_chain(leaf, pki.NOW)
    first = verifier._issuers
    verifier.require_chain(leaf, pki.NOW + ISSUERS_KEPT)
    assert verifier._issuers is first
    verifier.require_chain(leaf, pki.NOW + ISSUERS_KEPT + SECOND)
    second = verifier._issuers
    assert second is not first
    verifier.require_chain(leaf, pki.NOW)
    assert verifier._issuers is not second


def test_an_authority_that_expires_within_the_minute_is_not_believed_longer() -> None:
    ours = pki.hierarchy()
    end = ours.intermediate.certificate.not_valid_after_utc
    verifier = PathVerifier(trust_store())
    leaf = pki.leaf(not_before=end - timedelta(days=9), not_after=end + timedelta(days=9))
    verifier.require_chain(leaf, end - SECOND)
    verifier.require_chain(leaf, end)
    with refuses(ErrorCode.CERT_UNTRUSTED):
        verifier.require_chain(leaf, end + SECOND)


def test_an_extension_that_is_not_critical_may_be_unknown() -> None:
    assert require_chain(replacing(UNKNOWN), trust_store(), pki.NOW)


@pytest.mark.parametrize("lost", ["anchors", "intermediates"], ids=["no anchor", "no intermediate"])
def test_without_the_pinned_authorities_nothing_is_trusted(lost: str) -> None:
    ours, foreign = trust_store(), trust_store(pki.foreign_hierarchy())
    store = TrustStore(
        environment="test",
        anchors=foreign.anchors if lost == "anchors" else ours.anchors,
        intermediates=foreign.intermediates if lost == "intermediates" else ours.intermediates,
    )
    with refuses(ErrorCode.CERT_UNTRUSTED):
        require_chain(pki.leaf(), store, pki.NOW)


def test_the_real_test_card_is_trusted_in_its_time() -> None:
    store = real_store()
    chain = require_chain(real_certificate("test-igcsante-auth-CPE-STANDARD.pem"), store, REAL_NOW)
    assert (chain.intermediate,) == store.intermediates


def test_the_real_test_card_is_expired_today() -> None:
    with refuses(ErrorCode.CERT_EXPIRED):
        require_chain(
            real_certificate("test-igcsante-auth-CPE-STANDARD.pem"), real_store(), pki.NOW
        )


@pytest.mark.parametrize(
    ("name", "now"),
    [
        ("test-cps-signature-INFIRMIER-2020.der", datetime(2022, 1, 1, tzinfo=UTC)),
        ("test-leaf-org-sign-testsign.test.asipsante.fr.pem", datetime(2023, 1, 1, tzinfo=UTC)),
    ],
    ids=["signature certificate", "organisation certificate"],
)
def test_real_certificates_of_other_authorities_are_not_trusted(name: str, now: datetime) -> None:
    with refuses(ErrorCode.CERT_UNTRUSTED):
        require_chain(real_certificate(name), real_store(), now)


def test_a_real_organisation_certificate_is_refused_for_its_purpose_under_its_own_authority() -> (
    None
):
    store = TrustStore(
        environment="test",
        anchors=(real_certificate("TEST-CA-TEST_AC_RACINE_IGC-SANTE_ELEMENTAIRE.pem"),),
        intermediates=(
            real_certificate("TEST-CA-TEST_AC_IGC-SANTE_ELEMENTAIRE_ORGANISATIONS.pem"),
        ),
    )
    leaf = real_certificate("test-leaf-org-sign-testsign.test.asipsante.fr.pem")
    with refuses(ErrorCode.CERT_PURPOSE):
        require_chain(leaf, store, datetime(2023, 1, 1, tzinfo=UTC))
