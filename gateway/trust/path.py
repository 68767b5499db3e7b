"""RFC 5280 path: from a card's certificate over a pinned intermediate to a pinned root.

Two judges, and both must accept: the verifier of the library ``cryptography``, which checks every
signature, and :mod:`gateway.trust.rfc5280`, which checks what that one leaves out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.trust.policy import POLICY_MAPPINGS, PolicyError, PolicyInputs
from gateway.trust.profile import PRIVATE_EXTENSIONS, require_purpose
from gateway.trust.rfc5280 import PathInputs, PathState
from gateway.trust.store import TrustStore, is_issued_by
from gateway.trust.strength import LOGIN_STRENGTH

INTERMEDIATES = 1
"""Authorities between root and card: the IGC-Santé has one, so no path is longer or shorter."""
ISSUERS_KEPT = timedelta(seconds=60)
"""How long the pinned intermediates, once proven, are not proven again.

Only signatures, form and dates are kept so, which cannot change within; whether one of them is
revoked is looked up at every login.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidChain:
    """A path that was verified at one instant; only :class:`PathVerifier` makes one."""

    leaf: x509.Certificate
    intermediate: x509.Certificate
    anchor: x509.Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issuer:
    """An intermediate that was proven to lead to an anchor."""

    anchor: x509.Certificate
    state: PathState
    """What it demands of the certificates below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issuers:
    """All that were proven at one time."""

    since: datetime
    until: datetime
    """How long the proof is believed."""
    proven: Mapping[x509.Certificate, _Issuer]
    store: verification.Store | None
    """All of them; ``None`` where there is none."""


class PathVerifier:
    """Verifies paths to the anchors of one store; good for use by several threads."""

    def __init__(self, store: TrustStore) -> None:
        self._store = store
        self._inputs = _inputs(store)
        self._authority_policy = _authority_policy()
        self._holder_policy = _holder_policy()
        self._anchors = verification.Store(list(store.anchors))
        self._known: dict[tuple[x509.Certificate, x509.Certificate], _Issuer] = {}
        self._issuers: _Issuers | None = None

    def require_chain(self, leaf: x509.Certificate, now: datetime) -> ValidChain:
        """Return the path from *leaf* to one of the store's anchors, or raise.

        The intermediate comes from the store, never from the other side. Nothing here reads
        revocation data.

        :param leaf: from :func:`gateway.trust.certificate.load_certificate`.
        :param now: aware UTC; the one instant for every date in the path.
        :raises LoginRejectedError: CERT_NOT_YET or CERT_EXPIRED for the leaf's dates, CERT_PURPOSE
            where a pinned authority issued it for another use, CERT_POLICY where it did so under
            another policy than those demanded, CERT_UNTRUSTED for anything else.

        Source: RFC 5280 §6.1.
        """
        _require_dates(leaf, now)
        issuers = self._proven_issuers(now)
        if issuers.store is None:
            raise LoginRejectedError(
                ErrorCode.CERT_UNTRUSTED, "none of the pinned authorities is good now"
            )
        try:
            # An intermediate that was proven is an anchor to what it issued.
            verifier = self._verifier(issuers.store, now, self._holder_policy)
            verified = verifier.verify(leaf, [])
            _, intermediate = verified.chain
            issuer = issuers.proven[intermediate]
            issuer.state.require_leaf(leaf)
        except PolicyError as exc:
            raise LoginRejectedError(ErrorCode.CERT_POLICY, str(exc)) from exc
        except (verification.VerificationError, ValueError) as exc:
            raise LoginRejectedError(_reason(leaf, self._store), str(exc)) from exc
        return ValidChain(leaf=leaf, intermediate=intermediate, anchor=issuer.anchor)

    def _proven_issuers(self, now: datetime) -> _Issuers:
        issuers = self._issuers
        if issuers is None or not issuers.since <= now <= issuers.until:
            issuers = self._issuers = self._prove(now)
        return issuers

    def _prove(self, now: datetime) -> _Issuers:
        proven: dict[x509.Certificate, _Issuer] = {}
        until = now + ISSUERS_KEPT
        verifier = self._verifier(self._anchors, now, self._authority_policy)
        for intermediate in self._store.intermediates:
            try:
                _, anchor = verifier.verify(intermediate, []).chain
                proven[intermediate] = self._issuer(intermediate, anchor)
            except (verification.VerificationError, ValueError):
                # Another one may still be good; with none nobody is let in.
                continue
            until = min(until, intermediate.not_valid_after_utc, anchor.not_valid_after_utc)
        before = self._issuers
        if before is not None and before.proven.keys() == proven.keys():
            store = before.store
        else:
            store = verification.Store(list(proven)) if proven else None
        return _Issuers(since=now, until=until, proven=proven, store=store)

    def _issuer(self, intermediate: x509.Certificate, anchor: x509.Certificate) -> _Issuer:
        """Return what nothing but the two certificates decides, not the time either."""
        known = self._known.get((intermediate, anchor))
        if known is None:
            state = PathState.start(anchor, self._inputs).after_authority(intermediate)
            known = self._known[intermediate, anchor] = _Issuer(anchor=anchor, state=state)
        return known

    def _verifier(
        self, anchors: verification.Store, now: datetime, end: verification.ExtensionPolicy
    ) -> verification.ClientVerifier:
        """Return a verifier of paths without anything between anchor and end."""
        return (
            verification.PolicyBuilder()
            .store(anchors)
            .time(now)
            .max_chain_depth(0)
            .extension_policies(ca_policy=self._authority_policy, ee_policy=end)
            .build_client_verifier()
        )


def require_chain(leaf: x509.Certificate, store: TrustStore, now: datetime) -> ValidChain:
    """Return the path from *leaf*, everything in it verified now: see :class:`PathVerifier`."""
    return PathVerifier(store).require_chain(leaf, now)


def _inputs(store: TrustStore) -> PathInputs:
    policies = PolicyInputs()
    if store.policies:
        policies = PolicyInputs(accepted=store.policies, explicit=True)
    return PathInputs(
        strength=LOGIN_STRENGTH,
        policies=policies,
        max_authorities=INTERMEDIATES,
        purpose=ExtendedKeyUsageOID.CLIENT_AUTH,
        purpose_required=True,
        private=PRIVATE_EXTENSIONS,
    )


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


def _holder_policy() -> verification.ExtensionPolicy:
    """Return what a card's certificate may carry.

    A critical extension that no line names is refused by the verifier, whatever it is. To name one
    here without code that heeds it would be to ignore it: the private ones are read with the
    profile, the policies by :mod:`gateway.trust.policy`.
    """
    either = verification.Criticality.AGNOSTIC
    policy = (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.KeyUsage, either, _require_holder_key_usage)
        .require_present(x509.ExtendedKeyUsage, either, _require_client_authentication)
        .may_be_present(x509.BasicConstraints, either, _require_no_authority)
        .require_present(x509.AuthorityKeyIdentifier, verification.Criticality.NON_CRITICAL, None)
        .require_not_present(x509.NameConstraints)
    )
    return _permitting(policy, [x509.CertificatePolicies, *map(_kind, PRIVATE_EXTENSIONS)])


def _authority_policy() -> verification.ExtensionPolicy:
    """Return what the certificates above the card's must carry."""
    either = verification.Criticality.AGNOSTIC
    policy = (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, verification.Criticality.CRITICAL, None)
        .require_present(x509.KeyUsage, either, _require_authority_key_usage)
        .require_present(x509.SubjectKeyIdentifier, verification.Criticality.NON_CRITICAL, None)
    )
    return _permitting(
        policy,
        [
            x509.CertificatePolicies,
            x509.PolicyConstraints,
            x509.InhibitAnyPolicy,
            _kind(POLICY_MAPPINGS),
        ],
    )


def _permitting(
    policy: verification.ExtensionPolicy, kinds: Iterable[type[x509.ExtensionType]]
) -> verification.ExtensionPolicy:
    for kind in kinds:
        policy = policy.may_be_present(kind, verification.Criticality.AGNOSTIC, None)
    return policy


def _kind(identifier: x509.ObjectIdentifier) -> type[x509.ExtensionType]:
    """Return a class for an extension of which the library has none."""
    return type("_NamedExtension", (x509.ExtensionType,), {"oid": identifier})


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
