import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.trust.policy import PolicyError, PolicyInputs
from gateway.trust.rfc5280 import (
    FOREIGN_PURPOSES,
    MAX_AUTHORITIES,
    PathInputs,
    PathState,
    require_valid_path,
)
from gateway.trust.strength import Strength
from tests.support import pki
from tests.support.plain_certificates import (
    INPUTS,
    Extension,
    certificate,
    curve_key,
    named,
    policies,
    policy,
    root,
)
from tests.support.trust import extension, key_usage

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
LOGIN = replace(INPUTS, purpose=CLIENT, purpose_required=True)
SECOND = timedelta(seconds=1)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.250.1.999"), b"\x05\x00")


def validate(
    path: Sequence[x509.Certificate],
    anchor: x509.Certificate | None = None,
    inputs: PathInputs = INPUTS,
    *,
    now_after: timedelta = timedelta(),
) -> None:
    require_valid_path(path, anchor or root(), inputs=inputs, now=pki.NOW + now_after)


def authority(name: str = "ca", *extensions: Extension, issuer: str = "root") -> x509.Certificate:
    return certificate(name, *extensions, issuer=issuer, authority=True)


def constraints(length: int | None, *, ca: bool = True, critical: bool = True) -> Extension:
    return extension(x509.BasicConstraints(ca=ca, path_length=length), critical=critical)


def purposes(*oids: x509.ObjectIdentifier) -> Extension:
    return extension(x509.ExtendedKeyUsage(oids))


def permitted(name: str, *, critical: bool = True) -> Extension:
    value = x509.NameConstraints([x509.DNSName(name)], None)
    return extension(value, critical=critical)


def hosts(*names: str, critical: bool = False) -> Extension:
    value = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    return extension(value, critical=critical)


ACCEPTED: Mapping[str, Callable[[], Sequence[x509.Certificate]]] = {
    "directly under the anchor": lambda: [certificate()],
    "one authority": lambda: [authority(), certificate(issuer="ca")],
    "an authority whose basicConstraints are not critical": lambda: [
        authority("ca", constraints(None, critical=False)),
        certificate(issuer="ca"),
    ],
    "issuer's name in another spelling": lambda: [
        authority(),
        certificate(issuer="CA ", signer="ca"),
    ],
    "path length just kept": lambda: [
        authority("ca", constraints(1)),
        authority("sub", issuer="ca"),
        certificate(issuer="sub"),
    ],
    "a renewal does not count for the path length": lambda: [
        authority("ca", constraints(0)),
        certificate("ca", issuer="ca", authority=True, key="ca new"),
        certificate(issuer="ca", signer="ca new"),
    ],
    "an authority as the end": lambda: [
        authority("ca", constraints(0)),
        authority("b", issuer="ca"),
    ],
    "no keyUsage": lambda: [certificate()],
    "critical policies": lambda: [certificate("a", policies("1", critical=True))],
    "names inside the constraint": lambda: [
        authority("ca", permitted("example.org")),
        certificate("a", hosts("a.example.org"), issuer="ca"),
    ],
    "no subject but a critical name": lambda: [certificate("", hosts("a.example", critical=True))],
    "an unknown extension that is not critical": lambda: [certificate("a", extension(UNKNOWN))],
    "the purpose is no matter": lambda: [certificate("a", purposes(SERVER))],
}
REFUSED: Mapping[str, tuple[Callable[[], Sequence[x509.Certificate]], str]] = {
    "another issuer": (lambda: [certificate(issuer="other", signer="root")], "issuer's name"),
    "another key": (lambda: [certificate(signer="other")], "not signed by"),
    "points to another key": (
        lambda: [
            certificate(
                "a",
                extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(
                        curve_key("other").public_key()
                    )
                ),
            )
        ],
        "another key than the issuer's",
    ),
    "points to a key in another way": (
        lambda: [
            certificate(
                "a",
                extension(
                    x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(named("root"))], 77)
                ),
            )
        ],
        "no authorityKeyIdentifier",
    ),
    "a list of no names": (
        lambda: [certificate("a", extension(x509.SubjectAlternativeName([])))],
        "subjectAltName: empty",
    ),
    "a list of no policies": (
        lambda: [certificate("a", extension(x509.CertificatePolicies([])))],
        "certificatePolicies: empty",
    ),
    "not an authority": (
        lambda: [certificate("ca"), certificate(issuer="ca")],
        "not an authority",
    ),
    "basicConstraints say no": (
        lambda: [authority("ca", constraints(None, ca=False)), certificate(issuer="ca")],
        "not an authority",
    ),
    "may not sign certificates": (
        lambda: [
            authority("ca", extension(key_usage("crl_sign"), critical=True)),
            certificate(issuer="ca"),
        ],
        "may not sign",
    ),
    "an authority without keyUsage": (
        lambda: [
            certificate("ca", authority=True, without=[x509.KeyUsage]),
            certificate(issuer="ca"),
        ],
        "may not sign",
    ),
    "an authority without key identifier": (
        lambda: [
            certificate("ca", authority=True, without=[x509.SubjectKeyIdentifier]),
            certificate(issuer="ca"),
        ],
        "no subjectKeyIdentifier",
    ),
    "no identifier of the issuer's key": (
        lambda: [certificate(without=[x509.AuthorityKeyIdentifier])],
        "no authorityKeyIdentifier",
    ),
    "an authority without name": (
        lambda: [
            certificate("", authority=True, key="ca"),
            certificate(issuer="", signer="ca"),
        ],
        "without a name",
    ),
    "path length": (
        lambda: [
            authority("ca", constraints(0)),
            authority("sub", issuer="ca"),
            certificate(issuer="sub"),
        ],
        "more authorities",
    ),
    "a longer path length below a shorter": (
        lambda: [
            authority("ca", constraints(0)),
            authority("sub", constraints(9), issuer="ca"),
            certificate(issuer="sub"),
        ],
        "more authorities",
    ),
    "path length two levels up": (
        lambda: [
            authority("ca", constraints(1)),
            authority("sub", issuer="ca"),
            authority("subsub", issuer="sub"),
            certificate(issuer="subsub"),
        ],
        "more authorities",
    ),
    "name outside the constraint": (
        lambda: [
            authority("ca", permitted("example.org")),
            certificate("a", hosts("example.net"), issuer="ca"),
        ],
        "outside the permitted",
    ),
    "an authority's name outside the constraint": (
        lambda: [
            authority("ca", permitted("example.org")),
            authority("sub", hosts("example.net"), issuer="ca"),
            certificate(issuer="sub"),
        ],
        "outside the permitted",
    ),
    "a constraint that is not critical": (
        lambda: [
            authority("ca", permitted("example.org", critical=False)),
            certificate("a", issuer="ca"),
        ],
        "is not critical",
    ),
    "a constraint of one that is no authority": (
        lambda: [certificate("a", permitted("example.org"))],
        "but is no authority",
    ),
    "signs certificates without being an authority": (
        lambda: [certificate("a", extension(key_usage("key_cert_sign"), critical=True))],
        "but is no authority",
    ),
    "no name": (lambda: [certificate("")], "no name"),
    "no name but one that is not critical": (
        lambda: [certificate("", hosts("a.example"))],
        "no name",
    ),
    "a name that is none": (lambda: [certificate("a", hosts("exa_mple.org"))], "not a host"),
    "an unknown critical extension": (
        lambda: [certificate("a", extension(UNKNOWN, critical=True))],
        "critical extension 1.2.250.1.999",
    ),
    "one in an authority": (
        lambda: [
            authority("ca", extension(UNKNOWN, critical=True)),
            certificate(issuer="ca"),
        ],
        "critical extension 1.2.250.1.999",
    ),
    "a critical identifier of the key": (
        lambda: [certificate("a", extension(x509.SubjectKeyIdentifier(b"1" * 20), critical=True))],
        "critical extension 2.5.29.14",
    ),
    "a serial number of 21 bytes": (lambda: [certificate(serial=1 << 159)], "serial number"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_valid_path_is_accepted(case: str) -> None:
    validate(ACCEPTED[case]())


@pytest.mark.parametrize("case", REFUSED)
def test_an_invalid_path_is_refused_with_its_reason(case: str) -> None:
    make, reason = REFUSED[case]
    with pytest.raises(ValueError, match=reason):
        validate(make())


def test_a_renewal_is_bound_by_no_name_constraint_unless_it_is_the_end() -> None:
    ca = authority("ca", permitted("example.org"))
    renewal = certificate("ca", hosts("example.net"), issuer="ca", authority=True, key="ca new")
    leaf = certificate("a", hosts("a.example.org"), issuer="ca", signer="ca new")
    validate([ca, renewal, leaf])
    with pytest.raises(ValueError, match="outside the permitted"):
        validate([ca, renewal])


@pytest.mark.parametrize("place", [0, 1, 2], ids=["anchor", "authority", "leaf"])
def test_every_certificate_has_to_be_in_its_time(place: int) -> None:
    def dated(number: int, subject: str, issuer: str) -> x509.Certificate:
        dates = (0, 1) if number == place else (-60, 60)
        return certificate(
            subject,
            issuer=issuer,
            authority=subject != "leaf",
            not_before=pki.NOW + dates[0] * SECOND,
            not_after=pki.NOW + dates[1] * SECOND,
        )

    path = [dated(0, "root", "root"), dated(1, "ca", "root"), dated(2, "leaf", "ca")]
    for seconds in (0, 1, 1.999):
        validate(path[1:], path[0], now_after=timedelta(seconds=seconds))
    for seconds in (-0.001, -1, 2):
        with pytest.raises(ValueError, match="outside its validity"):
            validate(path[1:], path[0], now_after=timedelta(seconds=seconds))


ANCHORS: Mapping[str, tuple[Callable[[], x509.Certificate], str]] = {
    "no basicConstraints": (lambda: root(without=[x509.BasicConstraints]), "not an authority"),
    "basicConstraints not critical": (lambda: root(constraints(None, critical=False)), "critical"),
    "no keyUsage": (lambda: root(without=[x509.KeyUsage]), "may not sign"),
    "no key identifier": (lambda: root(without=[x509.SubjectKeyIdentifier]), "no subjectKey"),
    "unknown critical extension": (lambda: root(extension(UNKNOWN, critical=True)), "1.2.250"),
    "another purpose": (lambda: root(purposes(SERVER)), "another purpose"),
    "cross-signed without naming the key": (
        lambda: certificate(
            "root", issuer="older", authority=True, without=[x509.AuthorityKeyIdentifier]
        ),
        "no authorityKeyIdentifier",
    ),
    "names forbidden by itself": (lambda: root(permitted("example.org")), "outside the permitted"),
    "path length of itself": (lambda: root(constraints(0)), "more authorities"),
}


@pytest.mark.parametrize("case", ANCHORS)
def test_an_anchor_is_held_to_its_own_words(case: str) -> None:
    make, reason = ANCHORS[case]
    leaf = certificate("a", purposes(CLIENT), hosts("a.example"), issuer="ca")
    validate([authority(), leaf], inputs=LOGIN)
    with pytest.raises(ValueError, match=reason):
        validate([authority(), leaf], make(), LOGIN)


@pytest.mark.parametrize(
    ("inputs", "leaf", "accepted"),
    [
        (LOGIN, [purposes(CLIENT)], True),
        (LOGIN, [purposes(SERVER)], False),
        (LOGIN, [], False),
        (replace(LOGIN, purpose_required=False), [], True),
        *((LOGIN, [purposes(CLIENT, oid)], False) for oid in sorted(FOREIGN_PURPOSES, key=str)),
        (replace(LOGIN, purpose_required=False), [purposes(CLIENT, *FOREIGN_PURPOSES)], True),
    ],
)
def test_the_purpose_is_demanded_as_asked(
    inputs: PathInputs, leaf: Sequence[Extension], accepted: bool
) -> None:
    path = [certificate("a", *leaf)]
    if accepted:
        validate(path, inputs=inputs)
    else:
        with pytest.raises(ValueError, match="extKeyUsage"):
            validate(path, inputs=inputs)


def test_an_authority_bound_to_another_purpose_certifies_nobody() -> None:
    any_purpose = purposes(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    leaf = certificate("a", purposes(CLIENT), issuer="ca")
    validate([authority("ca", purposes(CLIENT, SERVER)), leaf], inputs=LOGIN)
    for bound in (purposes(SERVER), any_purpose):
        with pytest.raises(ValueError, match="another purpose"):
            validate([authority("ca", bound), leaf], inputs=LOGIN)


def test_private_extensions_may_be_critical_in_the_leaf_alone() -> None:
    inputs = replace(INPUTS, private=frozenset({UNKNOWN.oid}))
    critical = extension(UNKNOWN, critical=True)
    validate([authority(), certificate("a", critical, issuer="ca")], inputs=inputs)
    with pytest.raises(ValueError, match="critical extension"):
        validate([authority("ca", critical), certificate("a", issuer="ca")], inputs=inputs)


def test_a_missing_policy_has_an_error_of_its_own() -> None:
    accepted = PolicyInputs(accepted=frozenset({policy("1")}), explicit=True)
    inputs = replace(INPUTS, policies=accepted)
    validate([certificate("a", policies("1"))], inputs=inputs)
    with pytest.raises(PolicyError):
        validate([certificate("a", policies("2"))], inputs=inputs)


@pytest.mark.parametrize("limit", [0, 2, MAX_AUTHORITIES])
def test_a_path_is_no_longer_than_asked(limit: int) -> None:
    def path(authorities: int) -> list[x509.Certificate]:
        names = ["root", *(f"ca {n}" for n in range(authorities)), "leaf"]
        return [
            certificate(name, issuer=above, authority=name != "leaf")
            for above, name in itertools.pairwise(names)
        ]

    inputs = replace(INPUTS, max_authorities=limit)
    validate(path(limit), inputs=inputs)
    with pytest.raises(ValueError, match="more authorities"):
        validate(path(limit + 1), inputs=inputs)


def test_a_key_that_is_not_accepted_is_refused_wherever_it_is() -> None:
    weak = replace(INPUTS, strength=Strength(algorithms=frozenset(), min_rsa_bits=2048))
    above = replace(PathState.start(root(), INPUTS), inputs=weak)
    with pytest.raises(ValueError, match="not accepted"):
        PathState.start(root(), weak)
    with pytest.raises(ValueError, match="not accepted"):
        above.after_authority(authority())
    with pytest.raises(ValueError, match="not accepted"):
        above.require_leaf(certificate())
