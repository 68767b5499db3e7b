"""An agent in an attacker's hands: each step of the protocol alone, each value at will."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cps.atr import CPS3_CONTACT_ATR
from cps.authtoken.encoding import b64url_decode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken, CardDescription
from tests.support import cards, pki
from tests.support.browser import Page
from tests.support.line import CLAIM, TOKEN, Line


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What the card is made to sign, and what is said of it; one login's right values."""

    line: Line
    rid: str
    nonce: bytes
    key: AgentKey
    origin: str
    certificate: bytes
    signer: rsa.RSAPrivateKey
    sent_certificate: bytes | None = None
    """What the token holds, where it is not what was signed."""
    sent_rid: str | None = None
    interface: str = "contact"

    def token(self) -> AuthToken:
        """Return the token."""
        message = login_message(
            origin=self.origin,
            nonce=self.nonce,
            rid=self.rid,
            jwk_thumbprint=self.key.thumbprint(),
            certificate=self.certificate,
        )
        return AuthToken(
            rid=self.sent_rid or self.rid,
            unverified_certificate=(
                self.certificate if self.sent_certificate is None else self.sent_certificate
            ),
            algorithm="RS256",
            signature=self.signer.sign(message, padding.PKCS1v15(), hashes.SHA256()),
            card=CardDescription(interface=self.interface, atr=CPS3_CONTACT_ATR),
            agent_version="0.1.0",
        )

    def hand_in(self) -> Page:
        """Send the token."""
        return hand_in(self.line, self.token().to_json())


def new_key() -> AgentKey:
    """Return a fresh key of an agent."""
    return AgentKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())


def claim(
    line: Line,
    rid: str,
    key: AgentKey | None = None,
    *,
    changes: Mapping[str, object] | None = None,
) -> Page:
    """Claim a login.

    :param changes: members that replace those of a right claim.
    """
    members = {
        "v": 1,
        "rid": rid,
        "jwk": (key or new_key()).to_json(),
        "agent": {"name": "cps", "version": "0.1.0", "os": "Linux"},
        **(changes or {}),
    }
    page = line.post(CLAIM, json.dumps(members).encode())
    if page.status == 200:
        line.nonces.append(nonce_of(page))
    return page


def nonce_of(claimed: Page) -> bytes:
    """Return the nonce that the answer to a claim holds."""
    return b64url_decode(str(claimed.json["nonce"]))


def claimed_login(line: Line, rid: str) -> Signed:
    """Claim *rid* and return all that a right token of a good card would hold."""
    key = new_key()
    page = claim(line, rid, key)
    assert page.status == 200, page.text
    certificate = cards.certificate_of(cards.image(), "3F000001C002")
    return Signed(
        line=line,
        rid=rid,
        nonce=nonce_of(page),
        key=key,
        origin=line.origin,
        certificate=pki.der(certificate),
        signer=cards.authentication_key(),
    )


def hand_in(line: Line, body: bytes) -> Page:
    """Send the body of a token."""
    page = line.post(TOKEN, body)
    if page.status == 200:
        line.codes.append(str(page.json["code"]))
    return page
