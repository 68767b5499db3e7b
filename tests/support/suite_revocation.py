"""The door between the conformance suites and the gateway's revocation code."""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509

from gateway.trust.revocation_list import RevocationList

Chain = Sequence[x509.Certificate]
"""The leaf first, the anchor last."""


def check_revocation(
    chain: Chain,
    crls: Sequence[bytes],
    now: datetime,
    *,
    others: Sequence[x509.Certificate] = (),
    find_chain: Callable[[x509.Certificate], Chain] | None = None,
) -> None:
    """Refuse *chain* unless each certificate below the anchor is known not to be revoked.

    :param crls: every list of the case, in DER: also such as have nothing to do with the chain.
    :param others: every certificate of the case, for those that sign lists and stand in no chain.
    :param find_chain: returns the valid chain of one of *others*, or raises ValueError.
    :raises ValueError: for anything but a certain "not revoked".
    """
    for certificate, issuer in itertools.pairwise(chain):
        lists = [found for crl in crls if (found := _usable(crl, issuer, now)) is not None]
        if not lists:
            raise ValueError("no revocation list in force")
        if any(certificate.serial_number in each.serials for each in lists):
            raise ValueError("revoked")


def _usable(crl: bytes, issuer: x509.Certificate, now: datetime) -> RevocationList | None:
    try:
        found = RevocationList.parse(crl, [issuer])
    except (ValueError, x509.ExtensionNotFound):
        return None
    return found if found.is_in_force(now) else None
