"""Are two directory names the same? As RFC 5280 compares them, not byte by byte."""

import unicodedata
from typing import TypeAlias

from cryptography import x509

CanonicalName: TypeAlias = tuple[frozenset[tuple[x509.ObjectIdentifier, str | bytes]], ...]
"""A name in the one spelling of all that are equal to it: RDNs in order, each a set."""

_SPACES = frozenset("\t\n\v\f\r\x85")
"""Control characters that stand for a space."""
_IGNORED = frozenset("\u034f\u1806\u180b\u180c\u180d\ufffc") | {
    chr(code) for code in range(0xFE00, 0xFE10)
}
"""Characters that stand for nothing and are neither control nor format characters."""


def canonical(name: x509.Name) -> CanonicalName:
    """Return *name* so that equal names, and only those, give equal results.

    Letters' case, the number of spaces and the kind of string (PrintableString, UTF8String …) make
    no difference; the order of RDNs does, the order inside of one does not.

    Source: RFC 5280 §7.1; RFC 4518 §2.
    """
    return tuple(
        frozenset((attribute.oid, _prepared(attribute.value)) for attribute in rdn)
        for rdn in name.rdns
    )


def is_same(first: x509.Name, second: x509.Name) -> bool:
    """Return whether both are the same name."""
    # Names of one authority are nearly always the same byte by byte.
    return first == second or canonical(first) == canonical(second)


def is_within(name: CanonicalName, base: CanonicalName) -> bool:
    """Return whether *name* is *base* or lies below it in the directory.

    Source: RFC 5280 §7.1.
    """
    return name[: len(base)] == base


def _prepared(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value
    if value.isascii() and value.isprintable():
        return " ".join(value.lower().split())
    return " ".join(unicodedata.normalize("NFKC", _mapped(value).casefold()).split())


def _mapped(value: str) -> str:
    return "".join(
        " " if character in _SPACES else character
        for character in value
        if character in _SPACES
        or (character not in _IGNORED and unicodedata.category(character) not in ("Cc", "Cf"))
    )
