"""What a revocation list speaks of: which certificates of which authority, and which reasons."""

from collections.abc import Iterable, Iterator

from cryptography import x509

from gateway.trust.names import is_same

ALL_REASONS = frozenset(x509.ReasonFlags) - {
    x509.ReasonFlags.unspecified,
    x509.ReasonFlags.remove_from_crl,
}
"""Every reason that a list can be limited to; a list without limit speaks of these."""
NO_REASONS: frozenset[x509.ReasonFlags] = frozenset()


def covered_reasons(
    certificate: x509.Certificate,
    *,
    signer: x509.Name,
    direct: bool,
    scope: x509.IssuingDistributionPoint,
) -> frozenset[x509.ReasonFlags]:
    """Return for which reasons a limited list would name *certificate*, were it revoked.

    :param signer: who made the list.
    :param direct: whether that is who issued the certificate.
    :param scope: the list's issuingDistributionPoint; one without it speaks of all that its signer
        issued.
    :returns: nothing where the list does not speak of this certificate.

    Source: RFC 5280 §6.3.3 (b) and (d).
    """
    if scope.only_contains_attribute_certs or (
        scope.only_contains_ca_certs
        if not _is_authority(certificate)
        else scope.only_contains_user_certs
    ):
        return NO_REASONS
    reasons = NO_REASONS
    for point in _points(certificate):
        if point.crl_issuer is None:
            from_here = direct
        else:
            named = _directory_names(point.crl_issuer)
            from_here = scope.indirect_crl and any(is_same(signer, name) for name in named)
        if from_here and _meet(scope, point, signer=signer, issuer=certificate.issuer):
            reasons |= point.reasons or ALL_REASONS
    return reasons & (scope.only_some_reasons or ALL_REASONS)


def _points(certificate: x509.Certificate) -> Iterator[x509.DistributionPoint]:
    """Yield where the certificate says that its lists are, and the place that goes without saying.

    Source: RFC 5280 §6.3.3, the last paragraph.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    except x509.ExtensionNotFound:
        pass
    else:
        yield from extension.value
    yield x509.DistributionPoint(
        full_name=[x509.DirectoryName(certificate.issuer)],
        relative_name=None,
        reasons=None,
        crl_issuer=None,
    )


def _meet(
    scope: x509.IssuingDistributionPoint,
    point: x509.DistributionPoint,
    *,
    signer: x509.Name,
    issuer: x509.Name,
) -> bool:
    """Return whether list and certificate name one place, or the list names none.

    Source: RFC 5280 §6.3.3 (b) (2) (i).
    """
    if scope.full_name is None and scope.relative_name is None:
        return True
    ours: list[x509.GeneralName] = list(scope.full_name or ())
    if scope.relative_name is not None:
        ours.append(_below(signer, scope.relative_name))
    if point.relative_name is not None:
        bases = [issuer] if point.crl_issuer is None else _directory_names(point.crl_issuer)
        theirs: list[x509.GeneralName] = [_below(base, point.relative_name) for base in bases]
    else:
        theirs = list(point.full_name or point.crl_issuer or ())
    return any(_is_same_place(one, other) for one in ours for other in theirs)


def _is_same_place(one: x509.GeneralName, other: x509.GeneralName) -> bool:
    if isinstance(one, x509.DirectoryName) and isinstance(other, x509.DirectoryName):
        return is_same(one.value, other.value)
    return one == other


def _below(name: x509.Name, last: x509.RelativeDistinguishedName) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([*name.rdns, last]))


def _directory_names(names: Iterable[x509.GeneralName]) -> list[x509.Name]:
    return [name.value for name in names if isinstance(name, x509.DirectoryName)]


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
