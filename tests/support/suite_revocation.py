"""The door between the conformance suites and the gateway's revocation code.

A login believes a list if it was signed with the key that issued the certificate. The standard, and
the suites with it, also believe another key of the same name, if a certificate of it leads to the
same anchor: that search for signers is here, and what lists then say is the gateway's own code.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from gateway.trust.list_standing import Standing, find_standing
from gateway.trust.revocation_list import RevocationList
from gateway.trust.strength import LOGIN_STRENGTH, Strength

Chain = Sequence[x509.Certificate]
"""The leaf first, the anchor last."""
FindChain = Callable[[x509.Certificate], Chain]


def check_revocation(
    chain: Chain,
    crls: Sequence[bytes],
    now: datetime,
    *,
    others: Sequence[x509.Certificate] = (),
    find_chain: FindChain | None = None,
    strength: Strength = LOGIN_STRENGTH,
) -> None:
    """Refuse *chain* unless each certificate below the anchor is known not to be revoked.

    :param crls: every list of the case, in DER: also such as have nothing to do with the chain.
    :param others: every certificate of the case, for those that sign lists and stand in no chain.
    :param find_chain: returns the valid chain of one of *others*, or raises ValueError.
    :param strength: of the signatures of lists.
    :raises ValueError: for anything but a certain "not revoked".
    """
    case = _Case(crls, now, others, find_chain, strength)
    case.require_good(chain, frozenset())


@dataclass(frozen=True, slots=True)
class _Case:
    crls: Sequence[bytes]
    now: datetime
    others: Sequence[x509.Certificate]
    find_chain: FindChain | None
    strength: Strength

    def require_good(self, chain: Chain, doubted: frozenset[x509.Certificate]) -> None:
        """Refuse *chain* unless lists that *doubted* did not sign say that all of it is good."""
        lists = self._believed(chain, doubted)
        for certificate, issuer in itertools.pairwise(chain):
            _require_good(certificate, issuer, lists, self.now)

    def _believed(self, chain: Chain, doubted: frozenset[x509.Certificate]) -> list[RevocationList]:
        found = []
        for crl in self.crls:
            for signer in (*chain[1:], *self.others):
                if signer in doubted:
                    continue
                try:
                    parsed = RevocationList.parse(crl, [signer], strength=self.strength)
                    if signer not in chain:
                        self._require_good_signer(signer, chain[-1], doubted)
                except ValueError:
                    continue
                found.append(parsed)
                break
        return found

    def _require_good_signer(
        self,
        signer: x509.Certificate,
        anchor: x509.Certificate,
        doubted: frozenset[x509.Certificate],
    ) -> None:
        if self.find_chain is None:
            raise ValueError("nobody says where the signer comes from")
        chain = self.find_chain(signer)
        if chain[-1] != anchor:
            raise ValueError("the signer has another anchor")
        doubted |= {signer}
        self.require_good(chain[1:], doubted)
        lists = self._believed(chain, doubted)
        if find_standing(signer, chain[1], lists, self.now).standing is Standing.UNKNOWN:
            # Nobody else speaks of it: an authority may let the signer of its lists do so itself.
            lists += self._signed_by(signer)
        _require_good(signer, chain[1], lists, self.now)

    def _signed_by(self, signer: x509.Certificate) -> Iterator[RevocationList]:
        for crl in self.crls:
            with suppress(ValueError):
                yield RevocationList.parse(crl, [signer], strength=self.strength)


def _require_good(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    lists: Sequence[RevocationList],
    now: datetime,
) -> None:
    found = find_standing(certificate, issuer, lists, now)
    if found.standing is not Standing.GOOD:
        raise ValueError(f"{certificate.subject.rfc4514_string()}: {found.standing.name}")
