"""Certificate policies along a path, as the valid policy graph of RFC 9618 has them.

The graph itself is not kept. Of each policy that still stands at the end of the path so far, what
later steps ask is only from which policies of the first authority it came, its *origins*; so one
flat table is all there is, and the exponential growth of the older tree cannot happen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self

from cryptography import x509

from gateway.trust.der import decode_identifier_pairs
from gateway.trust.extensions import find_extension

OID = x509.ObjectIdentifier
ANY_POLICY = x509.ObjectIdentifier("2.5.29.32.0")
POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
"""The library has no class for this extension."""
MAX_POLICIES = 128
"""Policies that may stand at one step, and mappings in one certificate: real ones have one or two.
"""
_NEVER = 1_000_000
"""A counter that no path brings to zero."""
_NO_POLICIES: Mapping[OID, frozenset[OID]] = MappingProxyType({})


class PolicyError(ValueError):
    """No accepted certificate policy stands along a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInputs:
    """What the relying party asks of policies before the first certificate.

    Source: RFC 5280 §6.1.1 (c), (e), (f), (g).
    """

    accepted: frozenset[OID] = frozenset({ANY_POLICY})
    """user-initial-policy-set."""
    explicit: bool = False
    """Whether a path without any accepted policy is refused."""
    inhibit_mapping: bool = False
    inhibit_any: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """What policies a path allows, after some of its certificates."""

    accepted: frozenset[OID]
    valid: Mapping[OID, frozenset[OID]] = field(default_factory=lambda: _NO_POLICIES)
    """Each policy that the next certificate may assert, with its origins."""
    any_valid: bool = True
    """Whether every policy may be asserted, anyPolicy having been so far."""
    explicit_policy: int = _NEVER
    policy_mapping: int = _NEVER
    inhibit_any: int = _NEVER

    @classmethod
    def start(cls, inputs: PolicyInputs) -> Self:
        """Return the state before the first certificate.

        Source: RFC 5280 §6.1.2 (d) to (f).
        """
        return cls(
            accepted=inputs.accepted,
            explicit_policy=0 if inputs.explicit else _NEVER,
            policy_mapping=0 if inputs.inhibit_mapping else _NEVER,
            inhibit_any=0 if inputs.inhibit_any else _NEVER,
        )

    def after_authority(self, certificate: x509.Certificate, *, self_issued: bool) -> Self:
        """Return the state behind *certificate*, from which the next one was issued.

        :param self_issued: whether subject and issuer are the same name.
        :raises PolicyError: where no policy is left although one is demanded.
        :raises ValueError: where the extensions cannot be read, or where there are more policies
            than :data:`MAX_POLICIES`.

        Source: RFC 5280 §6.1.3 (d) to (f), §6.1.4 (a), (b), (h) to (j); RFC 9618 §5.
        """
        valid, any_valid = self._asserted(
            certificate, any_allowed=self.inhibit_any > 0 or self_issued
        )
        step = 0 if self_issued else 1
        explicit, mapping = _constraints(certificate)
        return replace(
            self,
            valid=self._mapped(valid, _mappings(certificate), any_valid=any_valid),
            any_valid=any_valid,
            explicit_policy=min(_less(self.explicit_policy, step), explicit),
            policy_mapping=min(_less(self.policy_mapping, step), mapping),
            inhibit_any=min(_less(self.inhibit_any, step), _inhibit_any(certificate)),
        )

    def require_accepted(self, certificate: x509.Certificate) -> None:
        """Refuse a path that ends with *certificate* under none of the accepted policies.

        :raises PolicyError: and ValueError; see :meth:`after_authority`.

        Source: RFC 5280 §6.1.5 (a), (b), (g).
        """
        valid, any_valid = self._asserted(certificate, any_allowed=self.inhibit_any > 0)
        explicit, _ = _constraints(certificate)
        if _less(self.explicit_policy, 1) > 0 and explicit > 0:
            return
        origins = frozenset[OID]().union(*valid.values())
        any_accepted = ANY_POLICY in self.accepted
        if not (any_valid or origins & self.accepted or (any_accepted and origins)):
            raise PolicyError("none of the accepted certificate policies stands along the path")

    def _asserted(
        self, certificate: x509.Certificate, *, any_allowed: bool
    ) -> tuple[Mapping[OID, frozenset[OID]], bool]:
        """Return what *certificate* asserts of what was valid, and whether that is everything."""
        policies = _policies(certificate)
        valid = {
            policy: self.valid[policy] if policy in self.valid else frozenset({policy})
            for policy in policies - {ANY_POLICY}
            if policy in self.valid or self.any_valid
        }
        any_valid = ANY_POLICY in policies and any_allowed
        if any_valid:
            valid = {**self.valid, **valid}
        any_valid = any_valid and self.any_valid
        if self.explicit_policy == 0 and not valid and not any_valid:
            raise PolicyError("no certificate policy is left along the path, and one is demanded")
        return _bounded(valid), any_valid

    def _mapped(
        self,
        asserted: Mapping[OID, frozenset[OID]],
        mappings: Mapping[OID, frozenset[OID]],
        *,
        any_valid: bool,
    ) -> Mapping[OID, frozenset[OID]]:
        """Return what was *asserted* in the next authority's terms."""
        if not mappings:
            return asserted
        valid: dict[OID, frozenset[OID]] = {
            policy: origins for policy, origins in asserted.items() if policy not in mappings
        }
        if self.policy_mapping > 0:
            for policy, targets in mappings.items():
                origins = asserted.get(policy, frozenset({policy} if any_valid else ()))
                for target in targets if origins else ():
                    valid[target] = valid.get(target, frozenset()) | origins
        return _bounded(valid)


def _less(counter: int, step: int) -> int:
    return max(counter - step, 0)


def _bounded(valid: dict[OID, frozenset[OID]]) -> Mapping[OID, frozenset[OID]]:
    if len(valid) > MAX_POLICIES:
        raise ValueError(f"more than {MAX_POLICIES} certificate policies along the path")
    return valid


def _policies(certificate: x509.Certificate) -> frozenset[OID]:
    extension = find_extension(certificate, x509.CertificatePolicies)
    if extension is None:
        return frozenset()
    found = frozenset(each.policy_identifier for each in extension.value)
    if not found:
        raise ValueError("certificatePolicies: empty")
    if len(found) != len(extension.value):
        raise ValueError("certificatePolicies: a policy stands twice")
    return found


def _constraints(certificate: x509.Certificate) -> tuple[int, int]:
    """Return requireExplicitPolicy and inhibitPolicyMapping of policyConstraints."""
    found = find_extension(certificate, x509.PolicyConstraints)
    if found is None:
        return _NEVER, _NEVER
    explicit = found.value.require_explicit_policy
    mapping = found.value.inhibit_policy_mapping
    return (_NEVER if explicit is None else explicit, _NEVER if mapping is None else mapping)


def _inhibit_any(certificate: x509.Certificate) -> int:
    found = find_extension(certificate, x509.InhibitAnyPolicy)
    return _NEVER if found is None else found.value.skip_certs


def _mappings(certificate: x509.Certificate) -> Mapping[OID, frozenset[OID]]:
    """Return which policies of the issuer are which of the subject."""
    try:
        extension = certificate.extensions.get_extension_for_oid(POLICY_MAPPINGS)
    except x509.ExtensionNotFound:
        return _NO_POLICIES
    pairs = decode_identifier_pairs(extension.value.public_bytes())
    if not 1 <= len(pairs) <= MAX_POLICIES:
        raise ValueError(f"policyMappings: {len(pairs)} where 1 to {MAX_POLICIES} are allowed")
    if any(ANY_POLICY in pair for pair in pairs):
        raise ValueError("policyMappings: anyPolicy cannot be mapped")
    found: dict[OID, frozenset[OID]] = {}
    for issuer_policy, subject_policy in pairs:
        found[issuer_policy] = found.get(issuer_policy, frozenset()) | {subject_policy}
    return found
