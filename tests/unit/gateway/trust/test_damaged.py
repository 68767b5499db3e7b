"""Certificates with damaged bytes: refused by every reader, whatever the damage, and never a crash.

A damaged certificate has a wrong signature, so nothing would look at it after the path. Here each
reader gets it all the same: an authority may sign the strangest things.
"""

from collections.abc import Callable

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LoginRejectedError
from gateway.trust.certificate import MAX_CERTIFICATE_BYTES, load_certificate
from gateway.trust.constraints import NameLimits, names_of
from gateway.trust.names import canonical
from gateway.trust.path import PathVerifier
from gateway.trust.policy import PolicyInputs, PolicyState
from gateway.trust.profile import require_authentication_profile
from gateway.trust.rfc5280 import PathState, require_valid_path
from tests.support import pki
from tests.support.plain_certificates import (
    INPUTS,
    certificate,
    mappings,
    policies,
    root,
)
from tests.support.trust import extension, real_certificate, trust_store

EXAMPLES = 40


def rich_authority() -> x509.Certificate:
    """Return an authority with every extension that a path looks at."""
    return certificate(
        "ca",
        policies("1", "any"),
        mappings(("1", "2"), ("1", "3")),
        extension(x509.PolicyConstraints(1, 2), critical=True),
        extension(x509.InhibitAnyPolicy(1), critical=True),
        extension(
            x509.NameConstraints(
                [x509.DNSName("example.org"), x509.RFC822Name(".example.org")],
                [x509.UniformResourceIdentifier("example.net")],
            ),
            critical=True,
        ),
        extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("a.example.org"), x509.RFC822Name("a@b.example.org")]
            )
        ),
        authority=True,
    )


SAMPLES: dict[str, Callable[[], x509.Certificate]] = {
    "card": pki.leaf,
    "employee": lambda: pki.leaf(pki.CLERK),
    "authority": rich_authority,
    "intermediate": lambda: pki.hierarchy().intermediate.certificate,
}


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Return what changes, cuts, doubles or inserts a few bytes."""
    edits = draw(
        st.lists(
            st.tuples(
                st.floats(0, 1, exclude_max=True),
                st.sampled_from(["set", "cut", "insert", "double"]),
                st.binary(min_size=1, max_size=4),
            ),
            min_size=1,
            max_size=3,
        )
    )

    def apply(der: bytes) -> bytes:
        for where, kind, value in edits:
            at = int(where * len(der))
            match kind:
                case "set":
                    der = der[:at] + value + der[at + len(value) :]
                case "cut":
                    der = der[:at] + der[at + len(value) :]
                case "insert":
                    der = der[:at] + value + der[at:]
                case _:
                    der = der[:at] + der[at : at + 40] + der[at:]
        return der

    return apply


def readers(certificate: x509.Certificate) -> list[Callable[[], object]]:
    """Return everything that ever looks at a certificate from outside."""
    state = PathState.start(root(), INPUTS)
    policy_state = PolicyState.start(PolicyInputs(explicit=True))
    return [
        lambda: canonical(certificate.subject),
        lambda: names_of(certificate),
        lambda: NameLimits().require_allowed(names_of(certificate)),
        lambda: policy_state.after_authority(certificate, self_issued=False),
        lambda: policy_state.require_accepted(certificate),
        lambda: state.after_authority(certificate),
        lambda: state.require_leaf(certificate),
        lambda: require_valid_path([certificate], root(), inputs=INPUTS, now=pki.NOW),
        lambda: require_authentication_profile(certificate, environment="test"),
    ]


@pytest.mark.parametrize("sample", SAMPLES)
@settings(max_examples=EXAMPLES, deadline=1000, derandomize=True)
@given(change=damage())
def test_no_damage_makes_a_reader_crash(sample: str, change: Callable[[bytes], bytes]) -> None:
    try:
        damaged = load_certificate(change(pki.der(SAMPLES[sample]())))
    except ValueError:
        return
    for read in readers(damaged):
        try:
            read()
        except (ValueError, LoginRejectedError):
            continue


@settings(max_examples=EXAMPLES, deadline=1000, derandomize=True)
@given(change=damage())
def test_no_damaged_card_is_trusted(change: Callable[[bytes], bytes]) -> None:
    good = pki.leaf()
    der = change(pki.der(good))
    try:
        damaged = load_certificate(der)
        PathVerifier(trust_store()).require_chain(damaged, pki.NOW)
    except (ValueError, LoginRejectedError):
        return
    assert damaged == good


@settings(max_examples=100, deadline=1000)
@given(der=st.binary(max_size=200))
def test_any_bytes_are_no_certificate(der: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_certificate(der)


def test_the_legacy_certificate_of_the_agency_is_refused_and_does_not_crash() -> None:
    with pytest.raises(ValueError, match="not a readable certificate"):
        real_certificate("test-cps2ter-auth-MEDECIN-2013.der")


@pytest.mark.parametrize("depth", [10, 100, 1000])
def test_nesting_without_end_is_refused_quickly(depth: int) -> None:
    der = b""
    for _ in range(depth):
        length = len(der)
        head = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
        der = b"\x30" + head + der
    with pytest.raises(ValueError, match=r"."):
        load_certificate(der)


def test_a_large_certificate_is_not_even_parsed() -> None:
    with pytest.raises(ValueError, match="8192 are allowed"):
        load_certificate(bytes(MAX_CERTIFICATE_BYTES + 1))
