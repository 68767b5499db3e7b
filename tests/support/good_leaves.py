"""Certificates that prove their holder, although a careless reader would stumble over them.

They are judged as those of :mod:`tests.support.negative_leaves`, but for the portal's rules.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography import x509

from cps.issuer import profiles
from cps.issuer.extensions import UNKNOWN, plain
from cps.issuer.hierarchy import Hierarchy
from tests.support import pki, strange_leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodLeaf:
    """One certificate of a good card."""

    name: str
    rows: tuple[int, ...]
    """Of the project's list of tests."""
    build: Callable[[], bytes]
    """Returns DER."""
    pinned: Callable[[], Hierarchy] = pki.hierarchy
    """The authorities that are trusted."""


def _good(name: str, row: int, make: Callable[[], x509.Certificate]) -> GoodLeaf:
    return GoodLeaf(name=name, rows=(row,), build=lambda: pki.der(make()))


def _person(name: str, given_name: str, family_name: str) -> GoodLeaf:
    holder = replace(pki.DOCTOR, given_name=given_name, family_name=family_name)
    return _good(name, 52, lambda: pki.leaf(holder))


def _without(name: str, oid: x509.ObjectIdentifier) -> GoodLeaf:
    return _good(name, 70, lambda: pki.leaf(without=[oid]))


GOOD: tuple[GoodLeaf, ...] = (
    _good("doctor", 70, pki.leaf),
    _good("specialist", 70, lambda: pki.leaf(pki.SPECIALIST)),
    _good("ADELI number", 53, lambda: pki.leaf(pki.NURSE)),
    # DER sorts the three attributes of one RDN by their length.
    _person("given name stands first", "LÉA", "EXEMPLE-DU-MODELE"),
    _person("family name stands first", "ANNE-CHARLOTTE", "LE"),
    _person("number stands first", "ANNE-CHARLOTTE", "EXEMPLE-DU-MODELE"),
    _person("apostrophes", "ZOÉ", "D'EXEMPLE L’ÎLE"),
    _person("other scripts", "例", "ПРИМЕР ΔΕΙΓΜΑ"),
    GoodLeaf(
        name="one attribute an RDN",
        rows=(52,),
        build=lambda: strange_leaves.with_numbers(pki.DOCTOR.national_id),
    ),
    GoodLeaf(
        name="number with a slash",
        rows=(53,),
        build=lambda: strange_leaves.card(profiles.cpe, pki.CLERK, pki.standard_hierarchy()),
        pinned=pki.standard_hierarchy,
    ),
    _without("no basic constraints", x509.BasicConstraints.oid),
    _without("no principal name", x509.SubjectAlternativeName.oid),
    _good("unknown extension", 68, lambda: pki.leaf(extensions=[plain(UNKNOWN)])),
    _good("valid from this second", 72, lambda: pki.leaf(not_before=pki.NOW)),
    _good("valid until this second", 73, lambda: pki.leaf(not_after=pki.NOW)),
)
