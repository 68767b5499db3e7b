"""A login without card, agent and browser: what its requests say, for whoever sends them.

Signatures are by keys and certificates of :mod:`tests.support.pki`, whose authorities
:func:`tests.support.serving.write_settings` names.
"""

import json
import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cps.authtoken.encoding import b64url_decode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken, CardDescription
from tests.support import pki
from tests.support.logins import agent_key

PAGE, CLAIM, TOKEN = "/_cps/login", "/_cps/agent/claim", "/_cps/agent/token"
_RID = re.compile(r"[?;]r=([A-Za-z0-9_-]{22})")


@dataclass(slots=True, kw_only=True)
class QuickLogin:
    """One login, as far as it is."""

    agent: AgentKey = field(default_factory=agent_key)
    rid: str = ""
    nonce: bytes = b""
    code: str = ""

    @property
    def callback(self) -> str:
        """The way back of the browser."""
        return f"/_cps/callback?code={self.code}"

    def read_page(self, page: str) -> None:
        """Take the request id from the page that begins a login."""
        found = _RID.search(page)
        assert found is not None, page
        self.rid = found[1]

    def claim(self) -> bytes:
        """Return what the agent claims the login with."""
        claim = {
            "v": 1,
            "rid": self.rid,
            "jwk": self.agent.to_json(),
            "agent": {"name": "test", "version": "0.1.0", "os": "none"},
        }
        return json.dumps(claim).encode()

    def read_claimed(self, answer: bytes) -> None:
        """Take the nonce from the answer to the claim."""
        self.nonce = b64url_decode(json.loads(answer)["nonce"])

    def token(self, origin: str, card: str = "leaf") -> bytes:
        """Return what the agent hands in once the card has signed.

        :param origin: the gateway's own.
        :param card: the name of the card's key.
        """
        certificate = pki.der(pki.leaf(leaf_key=pki.key(card)))
        message = login_message(
            origin=origin,
            nonce=self.nonce,
            rid=self.rid,
            jwk_thumbprint=self.agent.thumbprint(),
            certificate=certificate,
        )
        return AuthToken(
            rid=self.rid,
            unverified_certificate=certificate,
            algorithm="RS256",
            signature=pki.key(card).sign(message, padding.PKCS1v15(), hashes.SHA256()),
            card=CardDescription(interface="contact", atr=bytes.fromhex("3BAC00402A0012250064")),
            agent_version="0.1.0",
        ).to_json()

    def read_accepted(self, answer: bytes) -> None:
        """Take the one-time code from the answer to the token."""
        self.code = json.loads(answer)["code"]
