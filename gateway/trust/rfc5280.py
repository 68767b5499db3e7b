"""Path validation as RFC 5280 §6.1 writes it down: one certificate after the other, anchor first.

In a login this only takes away: the library's verifier has accepted the path before, and what it
does not look at, or only coarsely, is looked at here: policies, name constraints of every kind, the
form that the standard's profile gives each certificate. Alone it is complete but for revocation,
and alone it is measured on the public conformance suites.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.trust.constraints import NameLimits, names_of
from gateway.trust.extensions import find_extension
from gateway.trust.names import is_same
from gateway.trust.policy import POLICY_MAPPINGS, PolicyInputs, PolicyState
from gateway.trust.strength import Strength

MAX_SERIAL_BITS = 159
"""Twenty bytes, of which the first bit says that the number is positive."""
MAX_AUTHORITIES = 16
"""Authorities between anchor and leaf, unless the caller asks for fewer."""

FOREIGN_PURPOSES = frozenset(
    {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.CODE_SIGNING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
        ExtendedKeyUsageOID.TIME_STAMPING,
    }
)
"""Purposes that no key for logging in has besides."""
_UNDERSTOOD = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.NameConstraints.oid,
        x509.SubjectAlternativeName.oid,
        x509.CertificatePolicies.oid,
        x509.PolicyConstraints.oid,
        x509.InhibitAnyPolicy.oid,
        POLICY_MAPPINGS,
    }
)
"""Extensions that code here heeds, and which may therefore be critical."""
_ALWAYS_CRITICAL = frozenset({x509.NameConstraints.oid, x509.InhibitAnyPolicy.oid})
"""policyConstraints too by the standard of today, not by the one before; heeded in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathInputs:
    """What the relying party asks of a path."""

    strength: Strength
    policies: PolicyInputs = field(default_factory=PolicyInputs)
    max_authorities: int = MAX_AUTHORITIES
    """Between anchor and leaf; self-issued ones do not count."""
    purpose: x509.ObjectIdentifier | None = None
    """What extKeyUsage must name in every certificate that has one; ``None`` for no demand."""
    purpose_required: bool = False
    """Whether the leaf must name its purpose, and nobody any of :data:`FOREIGN_PURPOSES`."""
    private: frozenset[x509.ObjectIdentifier] = frozenset()
    """More extensions that may be critical in the leaf, because the caller heeds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathState:
    """What is known, and demanded, after some certificates of a path; never changes."""

    inputs: PathInputs
    issuer: x509.Certificate
    """The last certificate: the next one must be issued by it."""
    issuer_key: bytes | None
    """What it calls its key; ``None`` where it does not."""
    policies: PolicyState
    names: NameLimits
    authorities_left: int

    @classmethod
    def start(cls, anchor: x509.Certificate, inputs: PathInputs) -> Self:
        """Return the state before the first certificate below *anchor*.

        The standard takes name and key of an anchor alone. Here it also has to have an authority's
        form, and its own constraints hold.

        :raises ValueError: where the anchor cannot be one.

        Source: RFC 5280 §6.1.2; RFC 5937.
        """
        _require_form(anchor, inputs, authority=True)
        constraints = find_extension(anchor, x509.BasicConstraints)
        if constraints is not None and not constraints.critical:
            raise ValueError("an anchor's basicConstraints are critical")
        if not is_same(anchor.subject, anchor.issuer):
            _key_identifier(anchor)
        return cls(
            inputs=inputs,
            issuer=anchor,
            issuer_key=_own_key_identifier(anchor),
            policies=PolicyState.start(inputs.policies),
            names=_narrowed(NameLimits(), anchor),
            authorities_left=_path_length(anchor, inputs.max_authorities),
        )

    def after_authority(self, certificate: x509.Certificate) -> Self:
        """Return the state behind *certificate*, an authority that is not the end of the path.

        Neither its signature nor its dates are looked at.

        :raises ValueError: with the first demand that it does not meet.

        Source: RFC 5280 §6.1.3, §6.1.4.
        """
        self_issued = is_same(certificate.subject, certificate.issuer)
        self._require_issued(certificate, authority=True)
        if not self_issued:
            self.names.require_allowed(names_of(certificate))
            if self.authorities_left == 0:
                raise ValueError("more authorities than allowed")
        left = self.authorities_left - (0 if self_issued else 1)
        return replace(
            self,
            issuer=certificate,
            issuer_key=_own_key_identifier(certificate),
            policies=self.policies.after_authority(certificate, self_issued=self_issued),
            names=_narrowed(self.names, certificate),
            authorities_left=_path_length(certificate, left),
        )

    def require_leaf(self, certificate: x509.Certificate) -> None:
        """Refuse *certificate* as the end of the path.

        Neither its signature nor its dates are looked at.

        :raises PolicyError: where none of the accepted policies stands.
        :raises ValueError: with any other demand that it does not meet.

        Source: RFC 5280 §6.1.3, §6.1.5.
        """
        self._require_issued(certificate, authority=False)
        self.names.require_allowed(names_of(certificate))
        self.policies.require_accepted(certificate)

    def _require_issued(self, certificate: x509.Certificate, *, authority: bool) -> None:
        if not is_same(certificate.issuer, self.issuer.subject):
            raise ValueError("the issuer's name is not that of the certificate above")
        _require_form(certificate, self.inputs, authority=authority)
        named = _key_identifier(certificate)
        if self.issuer_key is not None and named != self.issuer_key:
            raise ValueError("authorityKeyIdentifier: another key than the issuer's")


def require_valid_path(
    path: Sequence[x509.Certificate],
    anchor: x509.Certificate,
    *,
    inputs: PathInputs,
    now: datetime,
) -> None:
    """Refuse a path of which not every certificate is good at *now*, revocation aside.

    :param path: at least one; the first issued by *anchor*, the last the one in question.
    :param now: aware UTC.
    :raises ValueError: with the first fault.

    Source: RFC 5280 §6.1.
    """
    *authorities, leaf = path
    _require_dates(anchor, now)
    state = PathState.start(anchor, inputs)
    for certificate in authorities:
        _require_dates(certificate, now)
        inputs.strength.require_signed(certificate, state.issuer)
        state = state.after_authority(certificate)
    _require_dates(leaf, now)
    inputs.strength.require_signed(leaf, state.issuer)
    state.require_leaf(leaf)


def _require_dates(certificate: x509.Certificate, now: datetime) -> None:
    # The dates have whole seconds, and the last second belongs to the validity.
    second = now.replace(microsecond=0)
    if not certificate.not_valid_before_utc <= second <= certificate.not_valid_after_utc:
        raise ValueError("outside its validity")


def _require_form(certificate: x509.Certificate, inputs: PathInputs, *, authority: bool) -> None:
    """Refuse what RFC 5280's profile, section 4, does not allow to stand in a certificate."""
    inputs.strength.require_stated(certificate)
    if not 0 < certificate.serial_number.bit_length() <= MAX_SERIAL_BITS:
        raise ValueError("the serial number is not positive, or too long")
    if not certificate.issuer.rdns:
        raise ValueError("the issuer has no name")
    _require_understood(certificate, frozenset() if authority else inputs.private)
    if authority:
        _require_authority(certificate)
    else:
        _require_end(certificate)
    _require_purpose(certificate, inputs, authority=authority)


def _require_understood(
    certificate: x509.Certificate, private: frozenset[x509.ObjectIdentifier]
) -> None:
    for extension in certificate.extensions:
        oid = extension.oid
        if extension.critical:
            if oid not in _UNDERSTOOD and oid not in private:
                raise ValueError(f"critical extension {oid.dotted_string}")
        elif oid in _ALWAYS_CRITICAL:
            raise ValueError(f"extension {oid.dotted_string} is not critical")


def _require_authority(certificate: x509.Certificate) -> None:
    constraints = find_extension(certificate, x509.BasicConstraints)
    usage = find_extension(certificate, x509.KeyUsage)
    if constraints is None or not constraints.value.ca:
        raise ValueError("basicConstraints: not an authority")
    if usage is None or not usage.value.key_cert_sign:
        raise ValueError("keyUsage: may not sign certificates")
    if not certificate.subject.rdns:
        raise ValueError("an authority without a name")
    if find_extension(certificate, x509.SubjectKeyIdentifier) is None:
        raise ValueError("no subjectKeyIdentifier")


def _require_end(certificate: x509.Certificate) -> None:
    constraints = find_extension(certificate, x509.BasicConstraints)
    usage = find_extension(certificate, x509.KeyUsage)
    names = find_extension(certificate, x509.SubjectAlternativeName)
    authority = constraints is not None and constraints.value.ca
    if usage is not None and usage.value.key_cert_sign and not authority:
        raise ValueError("keyUsage: signs certificates, but is no authority")
    if find_extension(certificate, x509.NameConstraints) is not None and not authority:
        raise ValueError("nameConstraints, but is no authority")
    if not certificate.subject.rdns and (names is None or not names.critical):
        raise ValueError("no name, neither as subject nor in a critical extension")


def _own_key_identifier(certificate: x509.Certificate) -> bytes | None:
    found = find_extension(certificate, x509.SubjectKeyIdentifier)
    return None if found is None else found.value.digest


def _key_identifier(certificate: x509.Certificate) -> bytes:
    """Return what *certificate* calls the key that signed it.

    Source: RFC 5280 §4.2.1.1.
    """
    found = find_extension(certificate, x509.AuthorityKeyIdentifier)
    if found is None or not found.value.key_identifier:
        raise ValueError("no authorityKeyIdentifier")
    return found.value.key_identifier


def _require_purpose(certificate: x509.Certificate, inputs: PathInputs, *, authority: bool) -> None:
    found = find_extension(certificate, x509.ExtendedKeyUsage)
    if found is None:
        if inputs.purpose_required and not authority:
            raise ValueError("extKeyUsage is absent")
        return
    # anyExtendedKeyUsage is not enough: the purpose must be named.
    if inputs.purpose is not None and inputs.purpose not in found.value:
        raise ValueError("extKeyUsage: another purpose")
    if inputs.purpose_required and not FOREIGN_PURPOSES.isdisjoint(found.value):
        raise ValueError("extKeyUsage: purposes that do not go together")


def _narrowed(names: NameLimits, certificate: x509.Certificate) -> NameLimits:
    found = find_extension(certificate, x509.NameConstraints)
    return names if found is None else names.narrowed(found.value)


def _path_length(certificate: x509.Certificate, left: int) -> int:
    found = find_extension(certificate, x509.BasicConstraints)
    length = None if found is None else found.value.path_length
    return left if length is None else min(left, length)
