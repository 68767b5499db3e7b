"""RFC 5280 path: from a card's certificate over a pinned intermediate to a pinned root."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.trust.profile import require_purpose
from gateway.trust.store import TrustStore, is_issued_by

INTERMEDIATES = 1
"""Authorities between root and card: the IGC-Santé has one, so no path is longer or shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidChain:
    """A path that was verified at one instant; only :func:`require_chain` makes one."""

    leaf: x509.Certificate
    intermediate: x509.Certificate
    anchor: x509.Certificate


def require_chain(leaf: x509.Certificate, store: TrustStore, now: datetime) -> ValidChain:
    """Return the path from *leaf* to one of the store's anchors, or raise.

    The intermediate comes from the store, never from the other side. Nothing here reads revocation
    data.

    :param leaf: from :func:`gateway.trust.certificate.load_certificate`.
    :param now: aware UTC; the one instant for every date in the path.
    :raises LoginRejectedError: CERT_NOT_YET or CERT_EXPIRED for the leaf's dates, CERT_PURPOSE
        where a pinned authority issued it for another use, CERT_UNTRUSTED for anything else.

    Source: RFC 5280 §6.1.
    """
    _require_dates(leaf, now)
    try:
        verified = _verifier(store, now).verify(leaf, list(store.intermediates))
    except verification.VerificationError as exc:
        raise LoginRejectedError(_reason(leaf, store), str(exc)) from exc
    if len(verified.chain) != INTERMEDIATES + 2:
        raise LoginRejectedError(
            ErrorCode.CERT_UNTRUSTED, "issued by a root and not by a pinned intermediate"
        )
    _, intermediate, anchor = verified.chain
    return ValidChain(leaf=leaf, intermediate=intermediate, anchor=anchor)


def _require_dates(leaf: x509.Certificate, now: datetime) -> None:
    # The verifier looks at the same dates again, but does not say which of them failed.
    if now < leaf.not_valid_before_utc:
        raise LoginRejectedError(
            ErrorCode.CERT_NOT_YET, f"valid from {leaf.not_valid_before_utc.isoformat()}"
        )
    if now > leaf.not_valid_after_utc:
        raise LoginRejectedError(
            ErrorCode.CERT_EXPIRED, f"valid until {leaf.not_valid_after_utc.isoformat()}"
        )


def _verifier(store: TrustStore, now: datetime) -> verification.ClientVerifier:
    return (
        verification.PolicyBuilder()
        .store(verification.Store(list(store.anchors)))
        .time(now)
        .max_chain_depth(INTERMEDIATES)
        .extension_policies(ca_policy=_authority_policy(), ee_policy=_holder_policy())
        .build_client_verifier()
    )


def _holder_policy() -> verification.ExtensionPolicy:
    """Return what a card's certificate may carry.

    A critical extension that no line names is refused by the verifier, whatever it is. To name one
    here without code that heeds it would be to ignore it, so certificatePolicies, for instance, is
    not named: until policies are processed, a critical one must be refused.
    """
    either = verification.Criticality.AGNOSTIC
    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.KeyUsage, either, _require_holder_key_usage)
        .require_present(x509.ExtendedKeyUsage, either, _require_client_authentication)
        .may_be_present(x509.BasicConstraints, either, _require_no_authority)
        .require_present(x509.AuthorityKeyIdentifier, verification.Criticality.NON_CRITICAL, None)
        .require_not_present(x509.NameConstraints)
    )


def _authority_policy() -> verification.ExtensionPolicy:
    """Return what the certificates above the card's must carry."""
    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, verification.Criticality.CRITICAL, None)
        .require_present(
            x509.KeyUsage, verification.Criticality.AGNOSTIC, _require_authority_key_usage
        )
        .require_present(x509.SubjectKeyIdentifier, verification.Criticality.NON_CRITICAL, None)
    )


def _require_holder_key_usage(
    _policy: verification.Policy, _certificate: x509.Certificate, usage: x509.KeyUsage
) -> None:
    if not usage.digital_signature or usage.content_commitment or usage.key_cert_sign:
        raise ValueError("keyUsage: not for authentication alone")


def _require_client_authentication(
    _policy: verification.Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage
) -> None:
    # anyExtendedKeyUsage is not enough: the purpose must be named.
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise ValueError("extKeyUsage: no clientAuth")


def _require_no_authority(
    _policy: verification.Policy,
    _certificate: x509.Certificate,
    constraints: x509.BasicConstraints | None,
) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("basicConstraints: an authority, not a card holder")


def _require_authority_key_usage(
    _policy: verification.Policy, _certificate: x509.Certificate, usage: x509.KeyUsage
) -> None:
    if not usage.key_cert_sign:
        raise ValueError("keyUsage: may not sign certificates")


def _reason(leaf: x509.Certificate, store: TrustStore) -> ErrorCode:
    """Return the code for a path that the verifier refused, without giving a cause of its own.

    Only a certificate that one of ours issued is told that its purpose is wrong: what a stranger's
    certificate says of itself is of no interest.
    """
    if not any(is_issued_by(leaf, authority) for authority in store.authorities()):
        return ErrorCode.CERT_UNTRUSTED
    try:
        require_purpose(leaf)
    except LoginRejectedError as exc:
        return exc.reason
    return ErrorCode.CERT_UNTRUSTED
