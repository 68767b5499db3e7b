import ipaddress
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.trust.constraints import MAX_COMPARISONS, NameLimits, names_of
from tests.support.plain_certificates import certificate, named
from tests.support.trust import extension

OTHER_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


def directory(*values: str) -> x509.DirectoryName:
    return x509.DirectoryName(
        x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, v) for v in values])
    )


def dns(value: str) -> x509.DNSName:
    return x509.DNSName(value)


def mail(value: str) -> x509.RFC822Name:
    # As the library reads it from a certificate; it makes none that it finds wrong.
    return x509.RFC822Name._init_without_validation(value)


def uri(value: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(value)


def ip(value: str) -> x509.IPAddress:
    return x509.IPAddress(
        ipaddress.ip_network(value) if "/" in value else ipaddress.ip_address(value)
    )


def other(value: bytes = b"\x0c\x01a") -> x509.OtherName:
    return x509.OtherName(OTHER_NAME, value)


def limits(
    permitted: Sequence[x509.GeneralName] = (), excluded: Sequence[x509.GeneralName] = ()
) -> NameLimits:
    return NameLimits().narrowed(x509.NameConstraints(permitted or None, excluded or None))


UNDER = [
    (directory("a", "b"), directory("a")),
    (directory("A "), directory("a")),
    (directory("a"), directory()),
    (dns("example.org"), dns("example.org")),
    (dns("www.EXAMPLE.org"), dns("example.ORG")),
    (dns("example.org"), dns("")),
    (dns("*.example.org"), dns("example.org")),
    (mail("a@example.org"), mail("a@example.org")),
    (mail("a@EXAMPLE.org"), mail("a@example.org")),
    (mail("a@example.org"), mail("example.org")),
    (mail("a@b.example.org"), mail(".example.org")),
    (mail("*@example.org"), mail("*@example.org")),
    (uri("https://example.org/a?b#c"), uri("example.org")),
    (uri("https://user@EXAMPLE.org:8443"), uri("example.org")),
    (uri("https://a.example.org"), uri(".example.org")),
    (ip("192.0.2.7"), ip("192.0.2.0/24")),
    (ip("2001:db8::1"), ip("2001:db8::/32")),
]
NOT_UNDER = [
    (directory("b"), directory("a")),
    (directory("a"), directory("a", "b")),
    (dns("badexample.org"), dns("example.org")),
    (dns("org"), dns("example.org")),
    (mail("b@example.org"), mail("a@example.org")),
    (mail("A@example.org"), mail("a@example.org")),
    (mail("a@b.example.org"), mail("example.org")),
    (mail("a@example.org"), mail(".example.org")),
    (mail("a@badexample.org"), mail(".example.org")),
    (mail("a@example.org"), mail("*@example.org")),
    (uri("https://a.example.org"), uri("example.org")),
    (uri("https://example.org"), uri(".example.org")),
    (uri("https://example.org@evil.example"), uri("example.org")),
    (ip("192.0.3.7"), ip("192.0.2.0/24")),
    (ip("192.0.2.7"), ip("2001:db8::/32")),
]


def label(value: object) -> str:
    return str(getattr(value, "value", value))


@pytest.mark.parametrize(("name", "base"), UNDER, ids=label)
def test_a_name_inside_is_permitted_and_excluded(
    name: x509.GeneralName, base: x509.GeneralName
) -> None:
    limits(permitted=[base]).require_allowed((name,))
    with pytest.raises(ValueError, match="excluded name"):
        limits(excluded=[base]).require_allowed((name,))


@pytest.mark.parametrize(("name", "base"), NOT_UNDER, ids=label)
def test_a_name_outside_is_not_permitted_and_not_excluded(
    name: x509.GeneralName, base: x509.GeneralName
) -> None:
    limits(excluded=[base]).require_allowed((name,))
    with pytest.raises(ValueError, match="outside the permitted"):
        limits(permitted=[base]).require_allowed((name,))


def test_a_wildcard_may_stand_for_an_excluded_host() -> None:
    """CVE-2025-61727: the name itself is not below the excluded one, but covers it."""
    with pytest.raises(ValueError, match="excluded name"):
        limits(excluded=[dns("test.example.org")]).require_allowed((dns("*.example.org"),))
    limits(excluded=[dns("test.example.net")]).require_allowed((dns("*.example.org"),))


def test_a_wildcard_is_not_permitted_by_one_host_that_it_covers() -> None:
    with pytest.raises(ValueError, match="outside the permitted"):
        limits(permitted=[dns("test.example.org")]).require_allowed((dns("*.example.org"),))


def test_names_of_another_kind_are_not_limited() -> None:
    limits(permitted=[dns("example.org")]).require_allowed((mail("a@example.net"),))


def test_every_authority_of_the_path_has_to_permit() -> None:
    wide = limits(permitted=[dns("example.org")])
    both = wide.narrowed(x509.NameConstraints([dns("a.example.org")], None))
    both.require_allowed((dns("b.a.example.org"),))
    with pytest.raises(ValueError, match="outside the permitted"):
        both.require_allowed((dns("b.example.org"),))
    with pytest.raises(ValueError, match="outside the permitted"):
        limits(permitted=[dns("a.example.org")]).narrowed(
            x509.NameConstraints([dns("example.org")], None)
        ).require_allowed((dns("b.example.org"),))


def test_what_one_authority_excludes_another_cannot_permit() -> None:
    both = limits(excluded=[dns("a.example.org")]).narrowed(
        x509.NameConstraints([dns("example.org")], [dns("c.example.org")])
    )
    both.require_allowed((dns("b.example.org"),))
    for value in ("a.example.org", "c.example.org"):
        with pytest.raises(ValueError, match="excluded name"):
            both.require_allowed((dns(value),))


@pytest.mark.parametrize("side", ["permitted", "excluded"])
def test_a_limit_on_a_kind_that_is_not_understood_refuses_every_name_of_it(side: str) -> None:
    found = limits(**{side: [other(b"\x0c\x01z")]})
    found.require_allowed((dns("example.org"),))
    with pytest.raises(ValueError, match="not supported"):
        found.require_allowed((other(),))


@pytest.mark.parametrize(
    "name",
    [uri("mailto:a@example.org"), uri("https://192.0.2.1/"), uri("https:///a"), uri("https://a b")],
    ids=["no authority", "an address", "no host", "space"],
)
def test_a_uri_without_host_is_refused_where_hosts_are_limited(name: x509.GeneralName) -> None:
    with pytest.raises(ValueError, match=r"."):
        limits(excluded=[uri("example.org")]).require_allowed((name,))


@pytest.mark.parametrize(
    "base",
    [dns(".example.org"), dns("*.example.org"), dns("a..b"), mail("@"), mail("a@"), uri("a/b")],
    ids=label,
)
def test_a_limit_that_cannot_be_understood_is_refused(base: x509.GeneralName) -> None:
    with pytest.raises(ValueError, match=r"not a|wildcard"):
        limits(permitted=[base])


def test_the_work_is_bounded() -> None:
    many = [dns(f"h{n}.example.org") for n in range(MAX_COMPARISONS // 2)]
    limits(excluded=many).require_allowed((dns("a.example"), dns("b.example")))
    with pytest.raises(ValueError, match="too many"):
        limits(excluded=many).require_allowed((dns("a"), dns("b"), dns("c")))


def test_every_name_of_a_certificate_is_found() -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "a"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@example.org"),
        ]
    )
    names = x509.SubjectAlternativeName([dns("*.example.org"), ip("192.0.2.1"), other()])
    assert names_of(certificate(subject, extension(names))) == (
        x509.DirectoryName(subject),
        mail("a@example.org"),
        *names,
    )


def test_a_certificate_may_have_no_name_at_all() -> None:
    assert names_of(certificate(named(""))) == ()


@pytest.mark.parametrize(
    "name",
    [
        dns("exa_mple.org"),
        dns("-a.example"),
        dns("a..example"),
        dns("192.0.2.1"),
        dns("*"),
        dns("a.*.example"),
        dns("a.example."),
        dns("a" * 64),
        dns(".".join(["a" * 60] * 5)),
        mail("example.org"),
        mail("a b@example.org"),
        mail("a@b@example.org"),
        mail("a@192.0.2.1"),
        ip("192.0.2.0/24"),
    ],
    ids=label,
)
def test_a_name_that_is_none_is_refused(name: x509.GeneralName) -> None:
    with pytest.raises(ValueError, match=r"."):
        names_of(certificate("a", extension(x509.SubjectAlternativeName([name]))))


def test_a_mailbox_in_the_subject_that_is_none_is_refused() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "nobody")])
    with pytest.raises(ValueError, match="not a"):
        names_of(certificate(subject))
