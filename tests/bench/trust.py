"""How many logins one core can decide, beside how many signatures it can verify.

``python -m tests.bench.trust``
"""

import itertools
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import process_time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from cps.authtoken.encoding import b64url_encode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken, CardDescription
from cps.issuer.hierarchy import HierarchyKeys, create_hierarchy
from gateway.identity import CardKind
from gateway.login.challenge import Challenge, Nonce
from gateway.login.rules import AccessRules
from gateway.login.verify import LoginVerifier
from gateway.trust.certificate import load_certificate
from gateway.trust.crl import RevocationLists
from gateway.trust.path import ISSUERS_KEPT, PathVerifier
from gateway.trust.profile import require_authentication_profile
from tests.support import pki
from tests.support.trust import trust_store

ORIGIN = "https://portail.example"
REVOKED = 10_000
ROUNDS, TIMES = 7, 300
FULL_TARGET, KEPT_TARGET = 2000, 2900


def main() -> None:
    """Print decisions per second and their share of what the signatures allow."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    small, large = _openssl_verifications()
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder), small, large)


def _measure(folder: Path, small: float, large: float) -> None:
    made = create_hierarchy(
        now=pki.AUTHORITIES_SINCE,
        names=pki.NAMES,
        keys=HierarchyKeys(root=pki.key("root", 4096), intermediate=pki.key("issuer", 4096)),
    )
    store = trust_store(made)
    (folder / "root").write_bytes(pki.der(pki.crl(issuer=made.root)))
    (folder / "issuer").write_bytes(pki.big_crl(REVOKED, issuer=made.intermediate))
    revocation = RevocationLists.load([folder / "root", folder / "issuer"], store, pki.NOW)
    rules = AccessRules(card_types={CardKind.CPS})
    raw, challenge = make_login(pki.der(pki.leaf(issuer=made.intermediate)))

    verifier = LoginVerifier(store, revocation, rules, ORIGIN)
    # Each more than a minute from the one before, in either direction.
    moments = itertools.cycle((pki.NOW, pki.NOW + 2 * ISSUERS_KEPT))

    def decide(now: datetime) -> None:
        verifier.verify(AuthToken.parse(raw), challenge, now=now)

    full_rate = 1 / _seconds(lambda: decide(next(moments)))
    kept_rate = 1 / _seconds(lambda: decide(pki.NOW))
    full_limit, kept_limit = 1 / (2 / large + 1 / small), 1 / (1 / large + 1 / small)
    print(f"Trust: whole decisions of a login, one core, a list of {REVOKED} revoked")
    print(f"  openssl speed, RSA verify       2048 bits {small:7.0f}/s   4096 bits {large:7.0f}/s")
    for name, rate, limit, target in (
        ("everything anew", full_rate, full_limit, FULL_TARGET),
        ("issuer proven within 60 s", kept_rate, kept_limit, KEPT_TARGET),
    ):
        print(
            f"  {name:26} {rate:7.0f}/s   {rate / limit:.2f} of the {limit:.0f}/s that the "
            f"signatures allow   {rate / small:.3f} of RSA-2048 (target {target}/s)"
        )
    _print_parts(kept_rate, raw, PathVerifier(store), revocation)


def _print_parts(rate: float, raw: bytes, paths: PathVerifier, revocation: RevocationLists) -> None:
    token = AuthToken.parse(raw)
    der = token.unverified_certificate
    leaf = load_certificate(der)
    chain = paths.require_chain(leaf, pki.NOW)
    print(f"  of the {1e6 / rate:.0f} µs of the second:")
    for name, work in (
        ("token", lambda: AuthToken.parse(raw)),
        ("certificate", lambda: load_certificate(der)),
        ("certificate and path", lambda: paths.require_chain(load_certificate(der), pki.NOW)),
        ("profile", lambda: require_authentication_profile(leaf, environment="test")),
        ("revocation", lambda: revocation.require_good(chain, pki.NOW)),
    ):
        print(f"    {name:24} {_seconds(work) * 1e6:6.1f} µs")


def make_login(certificate: bytes) -> tuple[bytes, Challenge]:
    """Return what an agent hands in with the card ``pki.key("leaf")``, and what it answers."""
    agent = AgentKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())
    nonce, rid = secrets.token_bytes(32), b64url_encode(secrets.token_bytes(16))
    message = login_message(
        origin=ORIGIN,
        nonce=nonce,
        rid=rid,
        jwk_thumbprint=agent.thumbprint(),
        certificate=certificate,
    )
    token = AuthToken(
        rid=rid,
        unverified_certificate=certificate,
        algorithm="RS256",
        signature=pki.key("leaf").sign(message, padding.PKCS1v15(), hashes.SHA256()),
        card=CardDescription(interface="contact", atr=bytes.fromhex("3BAC00402A0012250064")),
        agent_version="0.1.0",
    )
    challenge = Challenge(
        rid=rid,
        nonce=Nonce(nonce),
        target="/",
        agent_key=agent,
        expires_at=pki.NOW + timedelta(minutes=1),
    )
    return token.to_json(), challenge


def _seconds(work: Callable[[], object]) -> float:
    """Return the time of one *work*: the core's time for us alone, as ``openssl speed`` counts it.

    Of several rounds the best counts, because whatever else runs only adds.
    """
    rounds = []
    for _ in range(ROUNDS):
        started = process_time()
        for _ in range(TIMES):
            work()
        rounds.append(process_time() - started)
    return min(rounds) / TIMES


def _openssl_verifications() -> tuple[float, float]:
    """Return how many RSA signatures of 2048 and 4096 bits OpenSSL verifies in a second."""
    result = subprocess.run(
        ["openssl", "speed", "-seconds", "1", "rsa2048", "rsa4096"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = re.findall(r"^rsa +(2048|4096) bits +\S+ +\S+ +\S+ +(\S+)", result.stdout, re.MULTILINE)
    rates = {bits: float(rate) for bits, rate in rows}
    return rates["2048"], rates["4096"]


if __name__ == "__main__":
    main()
