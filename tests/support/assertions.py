"""A gateway's signing key, for tests of portals: its key set, its assertions, and forgeries."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime

from joserfc import jwt
from joserfc.jwk import ECKey, Key

from cps.authtoken.encoding import b64url_decode, b64url_encode

GATEWAY = "https://portal.example"
AUDIENCE = "tiers-payant"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
INSTANT = int(NOW.timestamp())


class Issuer:
    """Signs what it is told to, as the gateway does or otherwise."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256")
        self.kid = self.key.thumbprint()

    def key_set(self) -> bytes:
        """Return what the gateway publishes."""
        return json.dumps({"keys": [self.public()]}).encode()

    def public(self) -> dict[str, object]:
        return dict(self.key.as_dict(private=False, kid=self.kid, use="sig", alg="ES256"))

    def claims(self, **changes: object) -> dict[str, object]:
        """Return the claims of an assertion; ``None`` takes one away."""
        claims: dict[str, object] = {
            "iss": GATEWAY,
            "aud": AUDIENCE,
            "sub": "cps:899900000017",
            "iat": INSTANT,
            "nbf": INSTANT,
            "exp": INSTANT + 60,
            "auth_time": INSTANT - 100,
            "SubjectNameID": "899900000017",
            "given_name": "CAMILLE",
            "family_name": "ESSAI",
            "card_type": "CPS",
            "SubjectRole": ["10^1.2.250.1.213.1.1.5.5"],
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(
        self,
        *,
        key: Key | None = None,
        head: dict[str, object] | None = None,
        **changes: object,
    ) -> str:
        """Return an assertion with some claims changed, or header members, or of another key."""
        header = {"alg": "ES256", "kid": self.kid, **(head or {})}
        return jwt.encode(header, self.claims(**changes), key or self.key, [str(header["alg"])])

    def joined(self, head: dict[str, object], signature: str) -> str:
        """Return an assertion that no library would make."""
        parts = (json.dumps(part).encode() for part in (head, self.claims()))
        return ".".join([*(b64url_encode(part) for part in parts), signature])


def _flipped(issuer: Issuer, part: int) -> str:
    parts = issuer.sign().split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    raw[len(raw) // 2] ^= 1
    parts[part] = b64url_encode(bytes(raw))
    return ".".join(parts)


def _mac(issuer: Issuer, kid: str) -> str:
    head: dict[str, object] = {"alg": "HS256", "typ": "JWT", "kid": kid}
    signed = issuer.joined(head, "").rstrip(".")
    mac = hmac.digest(issuer.key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{b64url_encode(mac)}"


def _der_signature(issuer: Issuer) -> str:
    head, body, signature = issuer.sign().split(".")
    raw = b64url_decode(signature)
    return f"{head}.{body}.{b64url_encode(bytes([0x30, 0x44, 2, 32]) + raw[:32] + raw[32:])}"


FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "empty": lambda _: "",
    "garbage": lambda _: "x.y.z",
    "alg none": lambda i: i.joined({"alg": "none", "typ": "JWT", "kid": i.kid}, ""),
    "alg none with a signature": lambda i: i.joined(
        {"alg": "none", "typ": "JWT", "kid": i.kid}, i.sign().split(".")[2]
    ),
    "HS256 with the public key": lambda i: _mac(i, i.kid),
    "another key under our name": lambda i: i.sign(key=ECKey.generate_key("P-256")),
    "its own key in the header": lambda i: i.sign(
        head={"jwk": i.key.as_dict(private=False)},
    ),
    "an address of keys in the header": lambda i: i.sign(head={"jku": "https://evil.example"}),
    "a path as key name": lambda i: i.sign(head={"kid": "../../etc/passwd"}),
    "no key name": lambda i: i.joined({"alg": "ES256", "typ": "JWT"}, i.sign().split(".")[2]),
    "unknown crit": lambda i: i.joined(
        {"alg": "ES256", "typ": "JWT", "kid": i.kid, "crit": ["x"], "x": 1},
        i.sign().split(".")[2],
    ),
    "header changed": lambda i: _flipped(i, 0),
    "claims changed": lambda i: _flipped(i, 1),
    "signature changed": lambda i: _flipped(i, 2),
    "signature of zeros": lambda i: f"{i.sign().rpartition('.')[0]}.{'A' * 86}",
    "signature in DER": _der_signature,
    "no signature": lambda i: i.sign().rpartition(".")[0] + ".",
    "twice, as two headers are joined": lambda i: f"{i.sign()},{i.sign()}",
    "a line end behind": lambda i: i.sign() + "\n",
    "padding": lambda i: i.sign() + "==",
    "another gateway": lambda i: i.sign(iss="https://other.example"),
    "another portal": lambda i: i.sign(aud="other"),
    "several portals": lambda i: i.sign(aud=[AUDIENCE, "other"]),
    "no audience": lambda i: i.sign(aud=None),
    "expired": lambda i: i.sign(iat=INSTANT - 70, nbf=INSTANT - 70, exp=INSTANT - 10),
    "not yet": lambda i: i.sign(nbf=INSTANT + 30),
    "no end": lambda i: i.sign(exp=None),
    "an end in text": lambda i: i.sign(exp=str(INSTANT + 60)),
    "good for an hour": lambda i: i.sign(exp=INSTANT + 3600),
    "made tomorrow": lambda i: i.sign(iat=INSTANT + 86_400, exp=INSTANT + 86_460),
    "no name": lambda i: i.sign(given_name=None),
    "no person": lambda i: i.sign(SubjectNameID=None),
    "two persons": lambda i: i.sign(SubjectNameID="810000000000"),
    "too long": lambda i: i.sign(padding="x" * 4096),
}
"""What every portal must refuse, by name."""
