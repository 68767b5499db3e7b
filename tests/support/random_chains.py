"""Chains made by chance, good and bad in ways that are written down with each.

A chain begins as a good one; then some *twists* are applied. A twist need not make it bad: a name
in capitals or a policy that nobody asks for does not.
"""

import ipaddress
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random  # noqa: TID251 - nothing here is secret, and a seed gives the same again

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from gateway.trust.policy import PolicyInputs
from tests.support import pki
from tests.support.plain_certificates import Extension, mappings, policies, policy
from tests.support.trust import extension, key_usage

NOW = pki.NOW
DAY = timedelta(days=1)
KEYS = 6
POLICIES = ("1", "2", "3")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.250.1.999"), b"\x05\x00")


@dataclass(kw_only=True)
class Link:
    """What one certificate will be; the twists change it."""

    subject: x509.Name
    issuer: x509.Name
    key: str
    signer: str
    serial: int
    begin: datetime = NOW - 300 * DAY
    end: datetime = NOW + 300 * DAY
    extensions: dict[x509.ObjectIdentifier, Extension] = field(default_factory=dict)

    def set(self, value: x509.ExtensionType, *, critical: bool = False) -> None:
        self.extensions[value.oid] = extension(value, critical=critical)

    def built(self) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(self.issuer)
            .public_key(pki.key(self.key).public_key())
            .serial_number(self.serial)
            .not_valid_before(self.begin)
            .not_valid_after(self.end)
        )
        for each in self.extensions.values():
            builder = builder.add_extension(each.value, each.critical)
        return builder.sign(pki.key(self.signer), hashes.SHA256())


@dataclass(kw_only=True)
class Draft:
    """A chain that is being made: root first, leaf last."""

    random: Random
    links: list[Link]
    inputs: PolicyInputs = field(default_factory=PolicyInputs)

    def authority(self) -> Link:
        """Return one of the authorities below the root."""
        return self.random.choice(self.links[1:-1])

    def any_below(self) -> Link:
        return self.random.choice(self.links[1:])

    @property
    def leaf(self) -> Link:
        return self.links[-1]


@dataclass(frozen=True, kw_only=True)
class RandomChain:
    """A finished chain."""

    twists: tuple[str, ...]
    root: x509.Certificate
    path: tuple[x509.Certificate, ...]
    """From below the root to the leaf."""
    inputs: PolicyInputs


def random_chain(seed: str) -> RandomChain:
    """Return a chain with none to three twists, the same for the same *seed*."""
    random = Random(seed)  # noqa: S311 - nothing here is secret
    draft = _good(random)
    twists = [random.choice(list(TWISTS)) for _ in range(random.randrange(4))]
    for twist in twists:
        TWISTS[twist](draft)
    root, *path = (link.built() for link in draft.links)
    return RandomChain(twists=tuple(twists), root=root, path=tuple(path), inputs=draft.inputs)


def _good(random: Random) -> Draft:
    names = ["Racine", *(f"Autorité {n}" for n in range(random.randrange(1, 4))), "Titulaire"]
    keys = [f"chain {n}" for n in range(KEYS)]
    links = [_link(0, names[0], names[0], keys[0], keys[0])]
    for number, (above, name) in enumerate(itertools.pairwise(names), start=1):
        links.append(_link(number, name, above, keys[number], keys[number - 1]))
    for link in links[:-1]:
        link.set(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        link.set(key_usage("key_cert_sign", "crl_sign"), critical=True)
    links[-1].set(key_usage("digital_signature"), critical=True)
    return Draft(random=random, links=links)


def _link(number: int, subject: str, issuer: str, key: str, signer: str) -> Link:
    link = Link(
        subject=_name(subject), issuer=_name(issuer), key=key, signer=signer, serial=number + 7
    )
    link.set(x509.SubjectKeyIdentifier.from_public_key(pki.key(key).public_key()))
    _identify_issuer(link)
    return link


def _identify_issuer(link: Link) -> None:
    key = pki.key(link.signer).public_key()
    link.set(x509.AuthorityKeyIdentifier.from_issuer_public_key(key))


def _name(text: str) -> x509.Name:
    return x509.Name([*_unit("Unité"), x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _unit(unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        ]
    )


def _dates(draft: Draft) -> None:
    link = draft.random.choice(draft.links)
    link.begin, link.end = draft.random.choice(
        [(NOW - 9 * DAY, NOW - DAY), (NOW + DAY, NOW + 9 * DAY), (NOW - DAY, NOW + DAY)]
    )


def _wrong_key(draft: Draft) -> None:
    link = draft.any_below()
    link.signer = draft.random.choice([f"chain {n}" for n in range(KEYS)])
    _identify_issuer(link)


def _wrong_issuer(draft: Draft) -> None:
    draft.any_below().issuer = _name("Une autre")


def _respelt_issuer(draft: Draft) -> None:
    link = draft.any_below()
    ways: list[Callable[[str], str]] = [str.upper, str.lower, lambda text: f" {text} "]
    respelt = draft.random.choice(ways)
    link.issuer = x509.Name(
        [
            each
            if each.oid == NameOID.COUNTRY_NAME
            else x509.NameAttribute(each.oid, respelt(str(each.value)))
            for each in link.issuer
        ]
    )


def _no_authority(draft: Draft) -> None:
    value = x509.BasicConstraints(ca=False, path_length=None)
    draft.authority().set(value, critical=True)


def _no_constraints(draft: Draft) -> None:
    draft.authority().extensions.pop(x509.BasicConstraints.oid, None)


def _path_length(draft: Draft) -> None:
    link = draft.random.choice(draft.links[:-1])
    link.set(x509.BasicConstraints(ca=True, path_length=draft.random.randrange(3)), critical=True)


def _no_cert_sign(draft: Draft) -> None:
    draft.authority().set(key_usage("digital_signature", "crl_sign"), critical=True)


def _no_key_usage(draft: Draft) -> None:
    draft.authority().extensions.pop(x509.KeyUsage.oid, None)


def _no_key_identifier(draft: Draft) -> None:
    oids = [x509.AuthorityKeyIdentifier.oid, x509.SubjectKeyIdentifier.oid]
    draft.any_below().extensions.pop(draft.random.choice(oids), None)


def _other_key_identifier(draft: Draft) -> None:
    """Name another key than the one that signed, or the same one after all."""
    key = pki.key(f"chain {draft.random.randrange(KEYS)}").public_key()
    draft.any_below().set(x509.AuthorityKeyIdentifier.from_issuer_public_key(key))


def _unknown(draft: Draft) -> None:
    draft.any_below().set(UNKNOWN, critical=draft.random.random() < 0.7)


def _self_issued(draft: Draft) -> None:
    """Put a renewal of an authority below it, with a new key."""
    if len(draft.links) == KEYS:
        return
    at = draft.random.randrange(len(draft.links) - 1)
    above, below = draft.links[at], draft.links[at + 1]
    renewal = Link(
        subject=above.subject,
        issuer=above.subject,
        key="chain renewal",
        signer=above.key,
        serial=99,
        extensions=dict(above.extensions),
    )
    renewal.set(x509.SubjectKeyIdentifier.from_public_key(pki.key(renewal.key).public_key()))
    _identify_issuer(renewal)
    below.signer = renewal.key
    _identify_issuer(below)
    draft.links.insert(at + 1, renewal)


def _policies(draft: Draft) -> None:
    """Let every certificate assert something, and often ask for it."""
    random = draft.random
    for link in draft.links[1:]:
        count = random.choice([0, 1, 1, 1, 2])
        names = random.sample([*POLICIES, "any", "any"], count)
        if names:
            asserted = policies(*dict.fromkeys(names), critical=random.random() < 0.3)
            link.extensions[asserted.oid] = asserted
        else:
            link.extensions.pop(x509.CertificatePolicies.oid, None)
    if random.random() < 0.7:
        accepted = random.sample(POLICIES, random.randrange(1, 3))
        draft.inputs = PolicyInputs(
            accepted=frozenset(map(policy, accepted)),
            explicit=random.random() < 0.8,
            inhibit_mapping=random.random() < 0.2,
            inhibit_any=random.random() < 0.2,
        )


def _policy_limits(draft: Draft) -> None:
    random = draft.random
    if random.random() < 0.5:
        draft.any_below().set(x509.InhibitAnyPolicy(random.randrange(3)), critical=True)
    explicit, mapping = (random.choice([None, 0, 1, 2]) for _ in range(2))
    if explicit is not None or mapping is not None:
        draft.any_below().set(x509.PolicyConstraints(explicit, mapping), critical=True)


def _mappings(draft: Draft) -> None:
    random = draft.random
    pairs = {(random.choice(POLICIES), random.choice(POLICIES)) for _ in range(3)}
    for link in draft.links[1:-1]:
        mapped = mappings(*sorted(pairs))
        link.extensions[mapped.oid] = mapped
    _policies(draft)


HOSTS = ("a.example", "b.a.example", "a.example.org", "bad-a.example")


def _name_constraints(draft: Draft) -> None:
    random = draft.random
    kinds: list[Callable[[], x509.GeneralName]] = [
        lambda: x509.DNSName(random.choice(HOSTS)),
        lambda: x509.RFC822Name(random.choice([*HOSTS, ".a.example", "m@a.example"])),
        lambda: x509.UniformResourceIdentifier(random.choice([*HOSTS, ".a.example"])),
        lambda: x509.IPAddress(
            ipaddress.ip_network(random.choice(["192.0.2.0/25", "2001:db8::/33"]))
        ),
        lambda: x509.DirectoryName(_unit(random.choice(["Unité", "UNITÉ", "Autre"]))),
    ]
    bases = [random.choice(kinds)() for _ in range(random.randrange(1, 3))]
    permit = random.random() < 0.6
    value = x509.NameConstraints(bases if permit else None, None if permit else bases)
    draft.authority().set(value, critical=True)
    _leaf_names(draft)


def _leaf_names(draft: Draft) -> None:
    random = draft.random
    host = random.choice(HOSTS)
    names: list[x509.GeneralName] = [
        x509.DNSName(random.choice([host, f"*.{host}"])),
        x509.RFC822Name(f"{random.choice('mn')}@{host}"),
        x509.UniformResourceIdentifier(f"https://{host}/a"),
        x509.IPAddress(
            ipaddress.ip_address(random.choice(["192.0.2.7", "192.0.2.200", "2001:db8::1"]))
        ),
    ]
    chosen = random.sample(names, random.randrange(1, 4))
    draft.leaf.set(x509.SubjectAlternativeName(chosen))


TWISTS: Mapping[str, Callable[[Draft], None]] = {
    "dates": _dates,
    "wrong key": _wrong_key,
    "wrong issuer": _wrong_issuer,
    "issuer spelt otherwise": _respelt_issuer,
    "no authority": _no_authority,
    "no basicConstraints": _no_constraints,
    "path length": _path_length,
    "no keyCertSign": _no_cert_sign,
    "no keyUsage": _no_key_usage,
    "no key identifier": _no_key_identifier,
    "other key identifier": _other_key_identifier,
    "unknown extension": _unknown,
    "renewal": _self_issued,
    "policies": _policies,
    "policy limits": _policy_limits,
    "mappings": _mappings,
    "name constraints": _name_constraints,
    "names": _leaf_names,
}
