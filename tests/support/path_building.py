"""Finds the paths from a certificate to an anchor, for suites that hand over a heap of them.

The gateway needs none of this: its cards have one authority above them, and that one is pinned.
"""

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.trust.names import canonical

MAX_AUTHORITIES = 12
MAX_STEPS = 3000
"""Certificates looked at in one search: heaps that were made to have no end are given up."""


def candidate_paths(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
) -> Iterator[tuple[tuple[x509.Certificate, ...], x509.Certificate]]:
    """Yield paths that fit by name, each as (certificates from the anchor down, anchor)."""
    by_subject: dict[object, list[x509.Certificate]] = {}
    for certificate in intermediates:
        by_subject.setdefault(canonical(certificate.subject), []).append(certificate)
    steps = 0

    def climb(
        path: tuple[x509.Certificate, ...], seen: frozenset[object]
    ) -> Iterator[tuple[tuple[x509.Certificate, ...], x509.Certificate]]:
        nonlocal steps
        issuer = canonical(path[0].issuer)
        for anchor in anchors:
            if canonical(anchor.subject) == issuer:
                yield path, anchor
        if len(path) > MAX_AUTHORITIES:
            return
        for above in by_subject.get(issuer, ()):
            steps += 1
            if steps > MAX_STEPS:
                return
            if _entity(above) not in seen:
                yield from climb((above, *path), seen | {_entity(above)})

    yield from climb((leaf,), frozenset({_entity(leaf)}))


def _entity(certificate: x509.Certificate) -> object:
    """Return whose certificate it is: a path never needs two for the same name and key."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return canonical(certificate.subject), key
