"""Name constraints: the names under which an authority may issue."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.trust.extensions import find_extension
from gateway.trust.names import canonical, is_within

MAX_COMPARISONS = 4096
"""Names of one certificate times the constraints on it; real ones have none."""
MAX_HOST_CHARACTERS = 253

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}", re.IGNORECASE)
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_URI = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[^@/?#\\]*@)?([a-z0-9.-]*)(?::[0-9]*)?(?:[/?#].*)?", re.I
)
_WILDCARD = "*."


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLimits:
    """What the authorities of a path so far allow and forbid."""

    permitted: tuple[tuple[x509.GeneralName, ...], ...] = ()
    """One entry for each authority that has such a list: a name must be in all of them, where they
    have names of its kind."""
    excluded: tuple[x509.GeneralName, ...] = ()

    def narrowed(self, constraints: x509.NameConstraints) -> Self:
        """Return the limits with those of one more authority.

        :raises ValueError: for a constraint that cannot be understood.

        Source: RFC 5280 §4.2.1.10, §6.1.4 (g).
        """
        permitted = tuple(constraints.permitted_subtrees or ())
        excluded = tuple(constraints.excluded_subtrees or ())
        for base in permitted + excluded:
            _require_readable_base(base)
        return type(self)(
            permitted=(*self.permitted, permitted) if permitted else self.permitted,
            excluded=self.excluded + excluded,
        )

    def require_allowed(self, names: tuple[x509.GeneralName, ...]) -> None:
        """Refuse a certificate of which not every name is allowed.

        :param names: all that :func:`names_of` returned.
        :raises ValueError: also where a limit is on names of a kind that is not understood here,
            and the certificate has one, and where there are too many to compare.

        Source: RFC 5280 §6.1.3 (b), (c).
        """
        limits = sum(map(len, self.permitted), start=len(self.excluded))
        if limits * len(names) > MAX_COMPARISONS:
            raise ValueError("too many names and name constraints")
        for name in names:
            for group in self.permitted:
                bases = [base for base in group if type(base) is type(name)]
                if bases and not any(_is_under(name, base) for base in bases):
                    raise ValueError(f"name outside the permitted ones: {name!r}")
            for base in self.excluded:
                if type(base) is type(name) and _overlaps(name, base):
                    raise ValueError(f"excluded name: {name!r}")


def names_of(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """Return every name of *certificate* to which a constraint may apply.

    :raises ValueError: where a host, an address or a mailbox is not one.

    Source: RFC 5280 §4.2.1.6, §4.2.1.10.
    """
    return tuple(_names_of(certificate))


def _names_of(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    if certificate.subject.rdns:
        yield x509.DirectoryName(certificate.subject)
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        mailbox = x509.RFC822Name(str(attribute.value))
        _require_mailbox(mailbox.value)
        yield mailbox
    names = find_extension(certificate, x509.SubjectAlternativeName)
    if names is not None and not len(names.value):
        raise ValueError("subjectAltName: empty")
    for name in () if names is None else names.value:
        match name:
            case x509.DNSName():
                _require_host(name.value.removeprefix(_WILDCARD))
            case x509.RFC822Name():
                _require_mailbox(name.value)
            case x509.IPAddress() if isinstance(
                name.value, ipaddress.IPv4Network | ipaddress.IPv6Network
            ):
                raise ValueError(f"an address, not a network, is wanted: {name.value}")
        yield name


def _require_readable_base(base: x509.GeneralName) -> None:
    match base:
        case x509.DNSName():
            if base.value:
                _require_host(base.value)
        case x509.RFC822Name():
            if "@" in base.value:
                _require_mailbox(base.value)
            else:
                _require_host(base.value.removeprefix("."))
        case x509.UniformResourceIdentifier():
            _require_host(base.value.removeprefix("."))


def _require_host(value: str) -> None:
    if len(value) > MAX_HOST_CHARACTERS or not _HOST.fullmatch(value):
        raise ValueError(f"not a host's name: {value!r}")


def _require_mailbox(value: str) -> None:
    local, _, host = value.partition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise ValueError(f"not a mailbox: {value!r}")
    _require_host(host)


def _is_under(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Return whether *name* is one of those that *base* stands for.

    :raises ValueError: for kinds of names of which that is not known.
    """
    match name, base:
        case x509.DirectoryName(), x509.DirectoryName():
            return is_within(canonical(name.value), canonical(base.value))
        case x509.DNSName(), x509.DNSName():
            return not base.value or f".{name.value}".lower().endswith(f".{base.value}".lower())
        case x509.RFC822Name(), x509.RFC822Name():
            return _is_mailbox_under(name.value, base.value)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _is_host_under(_host_of(name.value), base.value)
        case x509.IPAddress(), x509.IPAddress():
            return _is_address_under(name, base)
    raise ValueError(f"constraints on names of this kind are not supported: {name!r}")


def _overlaps(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Return whether *name* may stand for one that *base* stands for."""
    if _is_under(name, base):
        return True
    # A wildcard also stands for a host of which the parent is not excluded as a whole.
    return (
        isinstance(name, x509.DNSName)
        and name.value.startswith(_WILDCARD)
        and _is_under(base, x509.DNSName(name.value.removeprefix(_WILDCARD)))
    )


def _is_mailbox_under(mailbox: str, base: str) -> bool:
    local, _, host = mailbox.partition("@")
    if "@" in base:
        base_local, _, base_host = base.partition("@")
        return local == base_local and host.lower() == base_host.lower()
    return _is_host_under(host, base)


def _is_host_under(host: str, base: str) -> bool:
    """Return whether *host* is *base*, or below it where *base* begins with a dot."""
    host, base = host.lower(), base.lower()
    return host.endswith(base) if base.startswith(".") else host == base


def _host_of(uri: str) -> str:
    found = _URI.fullmatch(uri)
    if found is None:
        raise ValueError(f"a URI without a host, where hosts are constrained: {uri!r}")
    _require_host(found.group(1))
    return found.group(1)


def _is_address_under(name: x509.IPAddress, base: x509.IPAddress) -> bool:
    address, network = name.value, base.value
    # names_of() refuses a network as a name, and the library an address as a constraint.
    return (
        isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
        and isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network)
        and address in network
    )
