"""Public conformance suites: their cases, and what the gateway's own code says of each."""

import base64
import json
import lzma
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import cryptography_vectors
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from gateway.trust.certificate import load_certificate
from gateway.trust.policy import ANY_POLICY, PolicyInputs
from gateway.trust.rfc5280 import MAX_AUTHORITIES, PathInputs, require_valid_path
from gateway.trust.strength import RSA_SHA2, Strength
from tests.support.path_building import candidate_paths
from tests.support.shared import PROJECT
from tests.support.suite_ocsp import answer_fault
from tests.support.suite_revocation import check_revocation

MAX_PATHS = 200
"""Paths of one case that are validated before it is given up."""
ANY_TIME = "2026-11-23T12:00:00+00:00"
"""For cases that do not say when."""
PKITS_INDEX = PROJECT / "tests" / "vectors" / "pkits.json"
_PURPOSES: Mapping[str, x509.ObjectIdentifier | None] = {
    "any": None,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
}
_ALGORITHMS = RSA_SHA2 | {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    SignatureAlgorithmOID.DSA_WITH_SHA1,
    SignatureAlgorithmOID.DSA_WITH_SHA256,
}
"""What the code can verify; a login accepts less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question of a suite, and its answer."""

    id: str
    group: str
    trusted: tuple[bytes, ...]
    inter: tuple[bytes, ...]
    leaf: bytes
    crls: tuple[bytes, ...]
    ocsps: tuple[bytes, ...]
    """Where there are any, they are what is judged."""
    time: datetime
    eku: str
    policies: tuple[str, ...] | None
    explicit: bool
    inhibit_map: bool
    inhibit_any: bool
    max_depth: int | None
    min_rsa: int
    revocation: str
    """``none``, ``leaf`` or ``hard`` (the whole path)."""
    expect: bool


def load(file: Path) -> tuple[Case, ...]:
    """Return the cases of a file of JSON lines, compressed with xz or not."""
    raw = file.read_bytes()
    text = lzma.decompress(raw) if file.suffix == ".xz" else raw
    return tuple(_case(json.loads(line), _decoded) for line in text.splitlines())


@cache
def pkits_of_the_package() -> tuple[Case, ...]:
    """Return PKITS with the certificates of the package ``cryptography-vectors``."""
    folder = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"

    def read(names: Iterable[str]) -> tuple[bytes, ...]:
        return tuple((folder / name).read_bytes() for name in names)

    return tuple(_case(each, read) for each in json.loads(PKITS_INDEX.read_text("ascii")))


def _decoded(values: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(value) for value in values)


def _case(members: Mapping[str, Any], read: Callable[[Iterable[str]], tuple[bytes, ...]]) -> Case:
    policies = members.get("policies")
    return Case(
        id=members["id"],
        group=members["group"],
        trusted=read(members["trusted"]),
        inter=read(members["inter"]),
        leaf=read([members["leaf"]])[0],
        crls=read(members["crls"]),
        ocsps=read(members.get("ocsps", ())),
        time=datetime.fromisoformat(members["time"] or ANY_TIME),
        eku=members.get("eku", "any"),
        policies=None if policies is None else tuple(policies),
        explicit=members.get("explicit", False),
        inhibit_map=members.get("inhibit_map", False),
        inhibit_any=members.get("inhibit_any", False),
        max_depth=members.get("max_depth"),
        min_rsa=members.get("min_rsa", 2048),
        revocation=members.get("revocation", "none"),
        expect=members["expect"],
    )


def fault(case: Case) -> str | None:
    """Return why the gateway's code refuses the case; ``None`` where it accepts."""
    if case.ocsps:
        (issuer,), (answer,) = case.trusted, case.ocsps
        return answer_fault(answer, leaf=case.leaf, issuer=issuer, now=case.time)
    try:
        leaf = load_certificate(case.leaf)
    except ValueError as exc:
        return str(exc)
    anchors, intermediates = _readable(case.trusted), _readable(case.inter)
    inputs = _inputs(case)
    reason = "no path"
    paths = candidate_paths(leaf, intermediates, anchors)
    for _, (path, anchor) in zip(range(MAX_PATHS), paths, strict=False):
        try:
            require_valid_path(path, anchor, inputs=inputs, now=case.time)
            _require_not_revoked(case, path, anchor, (*anchors, *intermediates))
        except ValueError as exc:
            reason = str(exc)
            continue
        return None
    return reason


def _require_not_revoked(
    case: Case,
    path: Sequence[x509.Certificate],
    anchor: x509.Certificate,
    others: Sequence[x509.Certificate],
) -> None:
    if case.revocation == "none":
        return
    chain = [*reversed(path), anchor]

    def find_chain(certificate: x509.Certificate) -> Sequence[x509.Certificate]:
        for found, root in candidate_paths(certificate, others, [anchor]):
            try:
                require_valid_path(found, root, inputs=signer, now=case.time)
            except ValueError:
                continue
            return [*reversed(found), root]
        raise ValueError("no valid path to the signer of a list")

    signer = PathInputs(strength=_inputs(case).strength)
    chain = chain[:2] if case.revocation == "leaf" else chain
    check_revocation(
        chain,
        case.crls,
        case.time,
        others=others,
        find_chain=find_chain,
        strength=signer.strength,
    )


def _readable(encoded: Sequence[bytes]) -> list[x509.Certificate]:
    found = []
    for der in encoded:
        try:
            found.append(load_certificate(der))
        except ValueError:
            continue
    return found


def _inputs(case: Case) -> PathInputs:
    depth = MAX_AUTHORITIES if case.max_depth is None else min(case.max_depth, MAX_AUTHORITIES)
    accepted = [x509.ObjectIdentifier(oid) for oid in case.policies or ()] or [ANY_POLICY]
    return PathInputs(
        strength=Strength(algorithms=_ALGORITHMS, min_rsa_bits=case.min_rsa),
        policies=PolicyInputs(
            accepted=frozenset(accepted),
            explicit=case.explicit,
            inhibit_mapping=case.inhibit_map,
            inhibit_any=case.inhibit_any,
        ),
        max_authorities=depth,
        purpose=_PURPOSES[case.eku],
        purpose_required=case.eku == "clientAuth",
    )
