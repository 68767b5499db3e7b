"""Revocation lists for tests of what is made of them: any scope, any kind, at the fixed clock."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from cryptography import x509

from cps.issuer.crl import ListRequest, Revocation, encode_entries, sign_list
from cps.issuer.extensions import AnyExtension
from cps.issuer.hierarchy import Authority
from gateway.trust.revocation_list import RevocationList
from tests.support import pki

PLACE = "http://lists.example/cards.crl"
HOLD = x509.ReasonFlags.certificate_hold
REMOVED = x509.ReasonFlags.remove_from_crl
STOLEN = x509.ReasonFlags.key_compromise


def entry(
    certificate: x509.Certificate | int,
    reason: x509.ReasonFlags | None = None,
    extensions: tuple[AnyExtension, ...] = (),
) -> Revocation:
    """Return the entry of *certificate*, or of a serial number."""
    serial = certificate if isinstance(certificate, int) else certificate.serial_number
    return Revocation(
        serial=serial,
        revoked_at=pki.NOW - timedelta(days=3),
        reason=reason,
        extensions=extensions,
    )


class ListOptions(TypedDict, total=False):
    """What may differ from a complete list, number 1, of our intermediate, in force for days."""

    issuer: Authority
    number: int | None
    base_number: int
    this_update: datetime
    next_update: datetime
    scope: x509.IssuingDistributionPoint
    replaced: tuple[AnyExtension, ...]
    omitted: frozenset[x509.ObjectIdentifier]


def list_der(*entries: Revocation, **options: Unpack[ListOptions]) -> bytes:
    """Return the DER of a list."""
    request = ListRequest(
        number=options.get("number", 1),
        base_number=options.get("base_number"),
        this_update=options.get("this_update", pki.NOW - timedelta(hours=5)),
        next_update=options.get("next_update", pki.NOW + timedelta(days=2)),
        entries=encode_entries(entries),
        scope=options.get("scope"),
        replaced=options.get("replaced", ()),
        omitted=options.get("omitted", frozenset()),
    )
    return sign_list(options.get("issuer", pki.hierarchy().intermediate), request)


def make_list(*entries: Revocation, **options: Unpack[ListOptions]) -> RevocationList:
    """Return the list of :func:`list_der` as the gateway reads it."""
    authority = options.get("issuer", pki.hierarchy().intermediate)
    return RevocationList.parse(list_der(*entries, **options), [authority.certificate])


def scope(
    *,
    place: str | x509.Name | None = None,
    relative: x509.RelativeDistinguishedName | None = None,
    only_users: bool = False,
    only_authorities: bool = False,
    only_attributes: bool = False,
    indirect: bool = False,
    reasons: Iterable[x509.ReasonFlags] = (),
) -> x509.IssuingDistributionPoint:
    """Return what limits a list."""
    return x509.IssuingDistributionPoint(
        full_name=None if place is None else [_general(place)],
        relative_name=relative,
        only_contains_user_certs=only_users,
        only_contains_ca_certs=only_authorities,
        only_some_reasons=frozenset(reasons) or None,
        indirect_crl=indirect,
        only_contains_attribute_certs=only_attributes,
    )


def points(
    *,
    place: str | x509.Name | None = None,
    relative: x509.RelativeDistinguishedName | None = None,
    reasons: Iterable[x509.ReasonFlags] = (),
    crl_issuer: x509.Name | None = None,
) -> AnyExtension:
    """Return a certificate's cRLDistributionPoints with one of them."""
    point = x509.DistributionPoint(
        full_name=None if place is None else [_general(place)],
        relative_name=relative,
        reasons=frozenset(reasons) or None,
        crl_issuer=None if crl_issuer is None else [x509.DirectoryName(crl_issuer)],
    )
    return pki.extension(x509.CRLDistributionPoints([point]))


def _general(place: str | x509.Name) -> x509.GeneralName:
    if isinstance(place, str):
        return x509.UniformResourceIdentifier(place)
    return x509.DirectoryName(place)
