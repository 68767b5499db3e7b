"""The login token: what the agent sends once the card has signed; no proof until verified."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cps.authtoken.encoding import b64_decode, b64_encode, b64url_decode, parse_object
from cps.authtoken.frame import RID_BYTES

TOKEN_FORMAT = "cps-gateway:1"  # noqa: S105 - a format's name, no secret
MAX_TOKEN_BYTES = 10_000
ALGORITHMS = frozenset({"RS256"})
_MEMBERS = frozenset(
    {"format", "rid", "unverified_certificate", "algorithm", "signature", "card", "agent_version"}
)
_MAX_TEXT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDescription:
    """What the agent says of the card, for the log; never a proof."""

    interface: str
    """``contact`` or ``contactless``."""
    atr: bytes
    """2 to 33 bytes; ISO/IEC 7816-3 §8.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthToken:
    """A login token of the right form; neither its certificate nor its signature is verified."""

    rid: str
    """The request id, 22 characters."""
    unverified_certificate: bytes
    """DER as sent."""
    algorithm: str
    """``RS256``."""
    signature: bytes
    """At most 1024 bytes."""
    card: CardDescription
    agent_version: str

    @classmethod
    def parse(cls, raw: bytes, *, max_bytes: int = MAX_TOKEN_BYTES) -> "AuthToken":
        """Return the token in *raw*.

        :param raw: strict JSON with exactly the members of the format.
        :param max_bytes: the size allowed.
        :raises ValueError: with the member at fault.

        Source: docs/reference/protocol.md, "Agent to gateway".
        """
        members = parse_object(raw, max_bytes=max_bytes)
        if set(members) != _MEMBERS:
            unexpected = sorted(_MEMBERS ^ set(members))
            raise ValueError(f"members missing or unknown: {', '.join(unexpected)[:200]}")
        if members["format"] != TOKEN_FORMAT:
            raise ValueError(f"format: only {TOKEN_FORMAT} is accepted")
        algorithm = _text(members, "algorithm")
        if algorithm not in ALGORITHMS:
            raise ValueError("algorithm: only RS256 is accepted")
        signature = _base64(members, "signature", max_bytes)
        if not 1 <= len(signature) <= 1024:
            raise ValueError("signature: 1 to 1024 bytes are wanted")
        return cls(
            rid=require_rid(_text(members, "rid")),
            unverified_certificate=_base64(members, "unverified_certificate", max_bytes),
            algorithm=algorithm,
            signature=signature,
            card=_card(members["card"]),
            agent_version=_text(members, "agent_version"),
        )

    def to_json(self) -> bytes:
        """Return the token as it is sent."""
        return json.dumps(
            {
                "format": TOKEN_FORMAT,
                "rid": self.rid,
                "unverified_certificate": b64_encode(self.unverified_certificate),
                "algorithm": self.algorithm,
                "signature": b64_encode(self.signature),
                "card": {"interface": self.card.interface, "atr": self.card.atr.hex().upper()},
                "agent_version": self.agent_version,
            }
        ).encode("ascii")


def require_rid(rid: str) -> str:
    """Return *rid* if it has the form of a request id: 16 bytes in base64url.

    :raises ValueError: for any other text.
    """
    try:
        b64url_decode(rid, length=RID_BYTES)
    except ValueError as exc:
        raise ValueError(f"rid: {exc}") from exc
    return rid


def _card(value: object) -> CardDescription:
    if not isinstance(value, Mapping) or set(value) != {"interface", "atr"}:
        raise ValueError("card: exactly interface and atr are wanted")
    interface = value["interface"]
    if interface not in ("contact", "contactless"):
        raise ValueError("card.interface: contact or contactless")
    try:
        atr = bytes.fromhex(value["atr"])
    except (TypeError, ValueError) as exc:
        raise ValueError("card.atr: hexadecimal is wanted") from exc
    if not 2 <= len(atr) <= 33:
        raise ValueError("card.atr: 2 to 33 bytes are wanted")
    return CardDescription(interface=interface, atr=atr)


def _text(members: Mapping[str, object], name: str) -> str:
    value = members[name]
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_TEXT:
        raise ValueError(f"{name}: 1 to {_MAX_TEXT} characters are wanted")
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"{name}: printable ASCII is wanted")
    return value


def _base64(members: Mapping[str, object], name: str, max_bytes: int) -> bytes:
    value = members[name]
    if not isinstance(value, str) or len(value) > max_bytes:
        raise ValueError(f"{name}: base64 text is wanted")
    try:
        return b64_decode(value)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc
