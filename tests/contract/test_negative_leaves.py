"""The table of certificates that must be refused, and of those that must not, judged by a login.

Left out are the two checks that need more than a certificate: the signature over the login, because
nobody has the private keys of all of them, and revocation, because nothing here is revoked.
"""

from typing import Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken, CardDescription
from cps.issuer import oids
from cps.issuer.hierarchy import Hierarchy
from gateway.identity import CardKind, VerifiedIdentity
from gateway.login.challenge import Challenge, Nonce
from gateway.login.rules import AccessRules
from gateway.login.verify import LoginVerifier
from gateway.trust.crl import RevocationLists
from gateway.trust.store import TrustStore
from tests.support import pki
from tests.support.good_leaves import GOOD, GoodLeaf
from tests.support.negative_leaves import NEGATIVE, NegativeLeaf
from tests.support.trust import refuses

RID = "AAECAwQFBgcICQoLDA0ODw"
CHALLENGE = Challenge(
    rid=RID,
    nonce=Nonce(bytes(32)),
    target="/",
    agent_key=AgentKey.of(ec.derive_private_key(7, ec.SECP256R1()).public_key()),
    expires_at=pki.NOW,
)


@pytest.fixture(autouse=True)
def _certificate_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.login.verify.require_fitting_key", lambda *_: None)
    monkeypatch.setattr("gateway.login.verify.require_valid", lambda *_: None)
    monkeypatch.setattr(RevocationLists, "require_good", lambda *_: "list")


def judge(
    certificate: bytes,
    pinned: Hierarchy,
    *,
    card_types: set[CardKind],
    environment: Literal["production", "test"] = "test",
) -> VerifiedIdentity:
    store = TrustStore(
        environment=environment,
        anchors=(pinned.root.certificate,),
        intermediates=(pinned.intermediate.certificate,),
        policies=frozenset({oids.TEST_POLICY}),
    )
    revocation = RevocationLists.load((), store, pki.NOW)
    rules = AccessRules(card_types=card_types)
    token = AuthToken(
        rid=RID,
        unverified_certificate=certificate,
        algorithm="RS256",
        signature=b"",
        card=CardDescription(interface="contact", atr=b"\x3b\x00"),
        agent_version="0.1.0",
    )
    verifier = LoginVerifier(store, revocation, rules, "https://portail.example")
    return verifier.verify(token, CHALLENGE, now=pki.NOW)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("leaf", NEGATIVE, ids=lambda leaf: leaf.name)
def test_it_is_refused_with_its_code(leaf: NegativeLeaf) -> None:
    with refuses(leaf.code):
        judge(
            leaf.build(),
            leaf.pinned(),
            card_types={CardKind.CPS},
            environment=leaf.environment,
        )


@pytest.mark.parametrize(
    "leaf", [leaf for leaf in NEGATIVE if leaf.by_rules], ids=lambda leaf: leaf.name
)
def test_what_only_the_rules_refuse_enters_another_portal(leaf: NegativeLeaf) -> None:
    assert judge(leaf.build(), leaf.pinned(), card_types=set(CardKind)).national_id


@pytest.mark.parametrize("leaf", GOOD, ids=lambda leaf: leaf.name)
def test_a_good_one_enters(leaf: GoodLeaf) -> None:
    assert judge(leaf.build(), leaf.pinned(), card_types=set(CardKind)).national_id
