"""Other validators, to compare answers with: in tests alone."""

import asyncio
import subprocess
from pathlib import Path

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, ValidationError
from pyhanko_certvalidator.policy_decl import PKIXValidationParams

from gateway.trust.rfc5280 import PathInputs, require_valid_path
from gateway.trust.strength import LOGIN_STRENGTH
from tests.support import pki
from tests.support.path_building import candidate_paths
from tests.support.random_chains import NOW, RandomChain

_FORM = ("keyUsage: may not sign", "no authorityKeyIdentifier", "no subjectKeyIdentifier")
"""How our reasons begin where the standard's profile, but not its algorithm, is broken."""


def our_fault(chain: RandomChain) -> str | None:
    """Return why our own code refuses *chain*, ``None`` where it accepts."""
    inputs = PathInputs(strength=LOGIN_STRENGTH, policies=chain.inputs)
    *between, leaf = chain.path
    fault: str | None = "no path"
    # Of the certificates at hand a shorter path may be good: the others look for it too.
    for path, anchor in candidate_paths(leaf, between, [chain.root]):
        try:
            require_valid_path(path, anchor, inputs=inputs, now=NOW)
        except ValueError as exc:
            fault = str(exc)
        else:
            return None
    return fault


def pyhanko_fault(chain: RandomChain) -> str | None:
    """Return why pyhanko-certvalidator refuses *chain*."""
    context = ValidationContext(
        trust_roots=[_asn1(chain.root)], other_certs=map(_asn1, chain.path[:-1]), moment=NOW
    )
    parameters = PKIXValidationParams(
        user_initial_policy_set=frozenset(
            "any_policy" if oid.dotted_string == "2.5.29.32.0" else oid.dotted_string
            for oid in chain.inputs.accepted
        ),
        initial_explicit_policy=chain.inputs.explicit,
        initial_policy_mapping_inhibit=chain.inputs.inhibit_mapping,
        initial_any_policy_inhibit=chain.inputs.inhibit_any,
    )
    validator = CertificateValidator(
        _asn1(chain.path[-1]), validation_context=context, pkix_params=parameters
    )
    try:
        asyncio.run(validator.async_validate_path())
    except (PathBuildingError, ValidationError, NotImplementedError) as exc:
        return str(exc)
    return None


def openssl_fault(chain: RandomChain, folder: Path) -> str | None:
    """Return why ``openssl verify`` refuses *chain*.

    :param folder: for its files.
    """
    root, between, leaf = folder / "root.pem", folder / "between.pem", folder / "leaf.pem"
    root.write_bytes(pki.pem(chain.root))
    between.write_bytes(b"".join(map(pki.pem, chain.path[:-1])))
    leaf.write_bytes(pki.pem(chain.path[-1]))
    inputs = chain.inputs
    options = [
        *(part for oid in inputs.accepted for part in ("-policy", oid.dotted_string)),
        *(["-explicit_policy"] if inputs.explicit else []),
        *(["-inhibit_map"] if inputs.inhibit_mapping else []),
        *(["-inhibit_any"] if inputs.inhibit_any else []),
        *(["-untrusted", str(between)] if chain.path[:-1] else []),
    ]
    result = subprocess.run(
        [
            "openssl",
            "verify",
            "-CAfile",
            root,
            "-policy_check",
            "-attime",
            f"{NOW.timestamp():.0f}",
            *options,
            leaf,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return None if result.returncode == 0 else result.stderr.partition("error ")[2] or result.stderr


def why_pyhanko_differs(chain: RandomChain, ours: str | None, theirs: str | None) -> str | None:
    """Return the word in docs/reference/conformance.md for the reason, ``None`` for no known one.

    :param ours: our fault, of a chain on which the two disagree.
    :param theirs: the other's.
    """
    if ours is None:
        return "addresses" if theirs and "No containment checker" in theirs else None
    begin, end = chain.root.not_valid_before_utc, chain.root.not_valid_after_utc
    length = chain.root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    if length is not None or not begin <= NOW <= end:
        return "anchor"
    return _our_strictness(ours)


def why_openssl_differs(chain: RandomChain, ours: str | None, theirs: str | None) -> str | None:
    """Return the word for the reason: see :func:`why_pyhanko_differs`."""
    if ours is None:
        respelt = "issuer spelt otherwise" in chain.twists
        limited = "subtree violation" in (theirs or "")
        return "letters" if respelt or limited else None
    if ours.startswith("excluded name: <DirectoryName"):
        return "letters"
    if "mappings" in chain.twists and "polic" in ours:
        return "mapping"
    return _our_strictness(ours)


def _our_strictness(fault: str) -> str | None:
    if fault.startswith("excluded name: <DNSName(value='*."):
        return "wildcards"
    return "form" if fault.startswith(_FORM) else None


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(pki.der(certificate))
