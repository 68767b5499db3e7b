"""The agent's key of one login: an EC P-256 public key as JWK, and its thumbprint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.encoding import b64url_decode, b64url_encode

_MEMBERS = frozenset({"kty", "crv", "x", "y"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentKey:
    """An EC P-256 public key whose coordinates were checked to be on the curve.

    Source: RFC 7517 §4; RFC 7518 §6.2.
    """

    x: bytes
    """32 bytes, big-endian."""
    y: bytes
    """32 bytes, big-endian."""

    @classmethod
    def of(cls, public: ec.EllipticCurvePublicKey) -> "AgentKey":
        """Return the JWK form of *public*.

        :raises ValueError: for a curve other than P-256.
        """
        if not isinstance(public.curve, ec.SECP256R1):
            raise ValueError("the agent's key must be on P-256")  # noqa: TRY004 - one error for callers
        numbers = public.public_numbers()
        return cls(x=numbers.x.to_bytes(32, "big"), y=numbers.y.to_bytes(32, "big"))

    @classmethod
    def from_json(cls, value: object) -> "AgentKey":
        """Return the key of a JWK that holds exactly kty, crv, x and y.

        :raises ValueError: for other members, another curve, or a point not on the curve.

        Source: RFC 7518 §6.2.1.
        """
        key = cls.checked_before(value)
        key.public_key()
        return key

    @classmethod
    def checked_before(cls, value: object) -> "AgentKey":
        """Return the key of a JWK that only :meth:`from_json` let in where it now comes from.

        Whether its point is on the curve is not looked at again.

        :raises ValueError: for other members or another curve.
        """
        if not isinstance(value, Mapping) or set(value) != _MEMBERS:
            raise ValueError("jwk: exactly kty, crv, x and y are wanted")
        if value["kty"] != "EC" or value["crv"] != "P-256":
            raise ValueError("jwk: EC P-256 is wanted")
        x, y = value["x"], value["y"]
        if not isinstance(x, str) or not isinstance(y, str):
            raise ValueError("jwk: x and y are text")  # noqa: TRY004 - one error for callers
        return cls(x=b64url_decode(x, length=32), y=b64url_decode(y, length=32))

    def to_json(self) -> dict[str, str]:
        """Return the four members of the JWK."""
        return {"kty": "EC", "crv": "P-256", "x": b64url_encode(self.x), "y": b64url_encode(self.y)}

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the key for use.

        :raises ValueError: where the point is not on the curve.
        """
        return ec.EllipticCurvePublicNumbers(
            int.from_bytes(self.x, "big"), int.from_bytes(self.y, "big"), ec.SECP256R1()
        ).public_key()

    def thumbprint(self) -> bytes:
        """Return the 32 bytes of the key's SHA-256 thumbprint.

        Source: RFC 7638 §3.
        """
        members = json.dumps(self.to_json(), separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(members.encode("ascii")).digest()
