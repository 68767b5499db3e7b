import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from gateway.trust.names import canonical, is_same, is_within

C, O, CN = NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME  # noqa: E741 - as in X.520


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def common(value: str) -> x509.Name:
    return name((CN, value))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AC Racine", "ac RACINE"),
        ("AC Racine", "  AC   Racine "),
        ("Élan", "ÉLAN"),
        ("Straße", "STRASSE"),
        ("Ａ", "a"),
        ("é", "e\u0301"),
        ("AC\tRacine", "AC Racine"),
        ("AC\u00a0Racine", "AC Racine"),
        ("AC\u00adRacine", "ACRacine"),
        ("AC\u200bRacine", "ACRacine"),
        ("AC\ufe0fRacine", "ACRacine"),
    ],
    ids=[
        "case",
        "spaces",
        "accented case",
        "sharp s",
        "full width",
        "composed",
        "tab",
        "no-break space",
        "soft hyphen",
        "zero width space",
        "variation selector",
    ],
)
def test_spellings_of_one_name_are_the_same(one: str, other: str) -> None:
    assert is_same(common(one), common(other))
    assert canonical(common(one)) == canonical(common(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (common("AC Racine"), common("ACRacine")),
        (common("AC"), name((O, "AC"))),
        (name((C, "FR"), (CN, "AC")), name((CN, "AC"), (C, "FR"))),
        (name((C, "FR"), (CN, "AC")), common("AC")),
        (common("Élan"), common("Elan")),
        (common("A"), x509.Name([])),
    ],
    ids=["no space", "another attribute", "another order", "one more", "accent", "nothing"],
)
def test_other_names_are_not(one: x509.Name, other: x509.Name) -> None:
    assert not is_same(one, other)


def test_the_kind_of_string_makes_no_difference() -> None:
    one, other = (
        x509.Name([x509.NameAttribute(CN, "AC", _type=kind)])
        for kind in (_ASN1Type.UTF8String, _ASN1Type.PrintableString)
    )
    assert one.public_bytes() != other.public_bytes()
    assert is_same(one, other)


def test_the_order_inside_an_rdn_makes_no_difference() -> None:
    attributes = [x509.NameAttribute(CN, "a"), x509.NameAttribute(O, "b")]
    one, other = (
        x509.Name([x509.RelativeDistinguishedName(order)])
        for order in (attributes, attributes[::-1])
    )
    two_rdns = x509.Name(attributes)
    assert is_same(one, other)
    assert not is_same(one, two_rdns)


def test_a_name_lies_below_its_beginning_and_itself() -> None:
    whole = canonical(name((C, "FR"), (O, "Hôpital"), (CN, "a")))
    assert is_within(whole, canonical(name((C, "fr"), (O, "HÔPITAL"))))
    assert is_within(whole, whole)
    assert is_within(whole, ())
    assert not is_within(canonical(name((C, "FR"))), whole)
    assert not is_within(whole, canonical(name((O, "Hôpital"))))
