"""What a set of revocation lists, complete and delta, says of one certificate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto, unique

from cryptography import x509

from gateway.trust.list_entries import Reason, gravest, is_permanent
from gateway.trust.list_scope import ALL_REASONS, NO_REASONS
from gateway.trust.revocation_list import RevocationList


@unique
class Standing(Enum):
    """How a certificate stands."""

    GOOD = auto()
    REVOKED = auto()
    UNKNOWN = auto()
    """No list in force speaks of it, or not of every reason: nobody may rely on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How a certificate stands, and why."""

    standing: Standing
    reason: Reason | None = None
    """Of what is revoked; the gravest where there are several."""


_GOOD, _UNKNOWN = Finding(standing=Standing.GOOD), Finding(standing=Standing.UNKNOWN)


def find_standing(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    lists: Iterable[RevocationList],
    now: datetime,
    *,
    overdue: timedelta = timedelta(0),
) -> Finding:
    """Return how *certificate* stands by what *lists* say.

    A certificate is revoked if any list says so, be it out of date or limited to others: that is
    never unlearned. Only a hold is lifted, by a delta list that fits its complete list. To be good
    takes more: complete lists in force that together speak of it for every reason.

    :param issuer: who issued it.
    :param lists: all that the caller believes to speak for that authority; others do no harm.
    :param now: aware UTC.
    :param overdue: how long after its end a complete list still counts.

    Source: RFC 5280 §6.3.3.
    """
    known = tuple(lists)
    found = reasons_found(certificate.serial_number, issuer, known, now)
    if found:
        return Finding(standing=Standing.REVOKED, reason=gravest(found))
    covered = NO_REASONS
    for each in known:
        if each.base_number is None and each.is_in_force(now, overdue=overdue):
            covered |= each.covers(certificate, issuer)
    return _GOOD if covered >= ALL_REASONS else _UNKNOWN


def reasons_found(
    serial: int, issuer: x509.Certificate, lists: Iterable[RevocationList], now: datetime
) -> frozenset[Reason]:
    """Return why the certificate *serial* is revoked by what *lists* say; nothing if it is not.

    The parameters are those of :func:`find_standing`. Nothing found does not mean good.
    """
    complete: list[RevocationList] = []
    deltas: list[RevocationList] = []
    for each in lists:
        (complete if each.base_number is None else deltas).append(each)
    found: frozenset[Reason] = frozenset()
    for base in complete:
        found |= _listed(serial, issuer, base, deltas, now)
    for delta in deltas:
        # Whether it fits a complete list or not: it may always add.
        added = delta.reasons(serial, issuer) - {Reason.REMOVE_FROM_CRL}
        if added and (is_permanent(added) or not _is_contained(delta, complete, now)):
            found |= added
    return found


def _listed(
    serial: int,
    issuer: x509.Certificate,
    base: RevocationList,
    deltas: Sequence[RevocationList],
    now: datetime,
) -> frozenset[Reason]:
    """Return why *base* names the certificate, unless that is a hold which was lifted since."""
    found = base.reasons(serial, issuer)
    if not found or is_permanent(found):
        return found
    for delta in deltas:
        lifted = delta.completes(base) and delta.is_in_force(now)
        if lifted and delta.reasons(serial, issuer) == {Reason.REMOVE_FROM_CRL}:
            return frozenset()
    return found


def _is_contained(delta: RevocationList, complete: Sequence[RevocationList], now: datetime) -> bool:
    """Return whether a complete list in force was made after *delta* and of the same."""
    return any(
        base.is_in_force(now) and base.continues(delta) and not base.mark.is_before(delta.mark)
        for base in complete
    )
