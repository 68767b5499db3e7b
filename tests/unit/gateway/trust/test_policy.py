from collections.abc import Mapping, Sequence

import pytest
from cryptography import x509

from cps import tlv
from gateway.trust.policy import (
    ANY_POLICY,
    MAX_POLICIES,
    POLICY_MAPPINGS,
    PolicyError,
    PolicyInputs,
    PolicyState,
)
from tests.support.plain_certificates import (
    Extension,
    certificate,
    mappings,
    policies,
    policy,
)
from tests.support.trust import extension

EXPLICIT = PolicyInputs(explicit=True)
Step = Sequence[Extension]


def accepting(*names: str) -> PolicyInputs:
    return PolicyInputs(accepted=frozenset(map(policy, names)), explicit=True)


def limits(
    explicit: int | None = None, mapping: int | None = None
) -> x509.Extension[x509.ExtensionType]:
    value = x509.PolicyConstraints(require_explicit_policy=explicit, inhibit_policy_mapping=mapping)
    return extension(value, critical=True)


def inhibit_any(skip: int) -> x509.Extension[x509.ExtensionType]:
    return extension(x509.InhibitAnyPolicy(skip), critical=True)


def follow(inputs: PolicyInputs, *steps: Step, self_issued: Sequence[int] = ()) -> None:
    """Go a path: the extensions of each certificate, the leaf last."""
    *authorities, leaf = steps
    state = PolicyState.start(inputs)
    for number, step in enumerate(authorities):
        state = state.after_authority(certificate("ca", *step), self_issued=number in self_issued)
    state.require_accepted(certificate("leaf", *leaf))


ACCEPTED: Mapping[str, tuple[PolicyInputs, Sequence[Step]]] = {
    "nothing is demanded": (PolicyInputs(), [[], []]),
    "one along the path": (EXPLICIT, [[policies("1")], [policies("1")]]),
    "the accepted one": (accepting("1"), [[policies("1", "2")], [policies("1")]]),
    "any along the path": (accepting("1"), [[policies("any")], [policies("1")]]),
    "any at the end": (accepting("1"), [[policies("1")], [policies("any")]]),
    "any in all": (accepting("1"), [[policies("any")], [policies("any")]]),
    "mapped": (
        accepting("1"),
        [[policies("1"), mappings(("1", "2"))], [policies("2")]],
    ),
    "mapped from any": (
        accepting("1"),
        [[policies("any"), mappings(("1", "2"))], [policies("2")]],
    ),
    "mapped twice": (
        accepting("1"),
        [
            [policies("1"), mappings(("1", "2"))],
            [policies("2"), mappings(("2", "3"))],
            [policies("3")],
        ],
    ),
    "one of two mapped into one": (
        accepting("2"),
        [[policies("1", "2"), mappings(("1", "3"), ("2", "3"))], [policies("3")]],
    ),
    "a demand that comes later than the leaf": (
        PolicyInputs(),
        [[policies("1"), limits(explicit=2)], [policies("2")]],
    ),
    "mapping forbidden later": (
        accepting("1"),
        [
            [policies("1"), mappings(("1", "2")), limits(mapping=0)],
            [policies("2")],
        ],
    ),
    "any forbidden later": (
        accepting("1"),
        [[policies("any"), inhibit_any(1)], [policies("any")], [policies("1")]],
    ),
}
REFUSED: Mapping[str, tuple[PolicyInputs, Sequence[Step]]] = {
    "no policy at the end": (EXPLICIT, [[policies("1")], []]),
    "no policy in the middle": (EXPLICIT, [[], [policies("1")]]),
    "another policy at the end": (EXPLICIT, [[policies("1")], [policies("2")]]),
    "not the accepted one": (accepting("1"), [[policies("2")], [policies("2")]]),
    "any, then not the accepted one": (accepting("1"), [[policies("any")], [policies("2")]]),
    "the accepted one only by mapping": (
        accepting("2"),
        [[policies("1"), mappings(("1", "2"))], [policies("2")]],
    ),
    "mapped away": (
        accepting("1"),
        [[policies("1"), mappings(("1", "2"))], [policies("1")]],
    ),
    "mapping forbidden by us": (
        PolicyInputs(accepted=frozenset({policy("1")}), explicit=True, inhibit_mapping=True),
        [[policies("1"), mappings(("1", "2"))], [policies("2")]],
    ),
    "mapping forbidden above": (
        accepting("1"),
        [
            [policies("1"), limits(mapping=0)],
            [policies("1"), mappings(("1", "2"))],
            [policies("2")],
        ],
    ),
    "any forbidden by us": (
        PolicyInputs(explicit=True, inhibit_any=True),
        [[policies("any")], [policies("1")]],
    ),
    "any forbidden above": (
        accepting("1"),
        [[policies("1"), inhibit_any(0)], [policies("any")]],
    ),
    "any forbidden for the leaf": (
        accepting("1"),
        [[policies("any"), inhibit_any(1)], [policies("any")], [policies("any")]],
    ),
    "demanded by an authority": (PolicyInputs(), [[policies("1"), limits(explicit=0)], []]),
    "demanded by the leaf itself": (PolicyInputs(), [[policies("1")], [limits(explicit=0)]]),
    "demanded one step later": (
        PolicyInputs(),
        [[policies("1"), limits(explicit=1)], [policies("1")], []],
    ),
    "demanded by two, the earlier counts": (
        PolicyInputs(),
        [[limits(explicit=1)], [limits(explicit=5)], []],
    ),
    "a leaf in the name of its issuer has no right to any": (
        accepting("1"),
        [[policies("1"), inhibit_any(0)], [policies("1")], [policies("any")]],
    ),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_path_under_an_accepted_policy_is_accepted(case: str) -> None:
    inputs, steps = ACCEPTED[case]
    follow(inputs, *steps)


def test_an_authority_that_only_renewed_itself_may_assert_any_where_it_is_forbidden() -> None:
    steps = [policies("1"), inhibit_any(0)], [policies("any")], [policies("1")]
    follow(accepting("1"), *steps, self_issued=[1])
    with pytest.raises(PolicyError):
        follow(accepting("1"), *steps)


def test_a_renewal_does_not_bring_a_demand_nearer() -> None:
    steps: Sequence[Step] = [limits(explicit=2)], [], []
    with pytest.raises(PolicyError):
        follow(PolicyInputs(), *steps, [])
    follow(PolicyInputs(), *steps, self_issued=[1])


@pytest.mark.parametrize("case", REFUSED)
def test_a_path_under_none_is_refused(case: str) -> None:
    inputs, steps = REFUSED[case]
    with pytest.raises(PolicyError):
        follow(inputs, *steps)


@pytest.mark.parametrize(
    "step",
    [
        [policies("1"), mappings(("1", "any"))],
        [policies("1"), mappings(("any", "1"))],
        [policies("1"), mappings()],
        [policies("1"), mappings(*[("1", f"{n}") for n in range(MAX_POLICIES + 1)])],
        [
            policies("1"),
            extension(x509.UnrecognizedExtension(POLICY_MAPPINGS, tlv.encode(0x30, b"\x05\x00"))),
        ],
        [policies("1", "1")],
        [policies(*[f"{n}" for n in range(MAX_POLICIES + 1)])],
    ],
    ids=[
        "mapped to any",
        "any mapped",
        "empty mapping",
        "too many mappings",
        "mapping of something else",
        "a policy twice",
        "too many policies",
    ],
)
def test_what_is_malformed_is_refused_also_where_nothing_is_demanded(step: Step) -> None:
    with pytest.raises(ValueError, match=r"."):
        follow(PolicyInputs(), step, [policies("1")])


def test_the_graph_that_grew_exponentially_stays_small() -> None:
    """Each of ten authorities maps each of ten policies to all ten: ten to the tenth paths."""
    names = [f"{n}" for n in range(10)]
    step = [policies(*names), mappings(*[(one, other) for one in names for other in names])]
    state = PolicyState.start(PolicyInputs(explicit=True))
    authority = certificate("ca", *step)
    for _ in range(10):
        state = state.after_authority(authority, self_issued=False)
    assert len(state.valid) == 10
    state.require_accepted(certificate("leaf", policies("3")))


def test_any_policy_is_the_one_of_the_standard() -> None:
    assert policy("any") == ANY_POLICY
