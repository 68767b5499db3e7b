"""The presence lease: what the agent says of the card after a login, signed by the login's key."""

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum, unique

from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken import es256
from cps.authtoken.encoding import b64url_decode, b64url_encode, parse_object
from cps.authtoken.frame import require_origin
from cps.authtoken.jwk import AgentKey

LEASE_CONTEXT = b"CPS-GATEWAY-LEASE-V1\x00"
LEASE_ID_BYTES = 16
MAX_LEASE_MESSAGE_BYTES = 512
MAX_COUNTER = 2**53 - 1
"""Largest whole number that every JSON parser reads exactly. Source: RFC 7493 §2.2."""
_COUNTER_BYTES = 8
_MEMBERS = frozenset({"lease", "counter", "event", "sig"})


@unique
class LeaseEvent(StrEnum):
    """What happened at the card; the value is what is signed and sent."""

    PRESENT = "present"
    """The card is in its reader: the heartbeat."""
    REMOVED = "removed"
    """The card, its reader or the reader service is gone, or was for a moment."""
    LOCKED = "locked"
    """The person's screen was locked; the card is still there, and the portal decides."""
    LOCKED_END = "locked_end"
    """The same on a computer whose administrator has sessions end with it, at every portal."""
    BYE = "bye"
    """The agent ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseMessage:
    """One message of an agent; nothing in it is proved before :meth:`require_signed_by`."""

    lease: str = field(repr=False)
    """The lease's id: 16 random bytes in base64url, 22 characters."""
    counter: int
    """1 to 2^53 - 1, higher in each message of a lease."""
    event: LeaseEvent
    signature: bytes
    """64 bytes; see :mod:`cps.authtoken.es256`."""

    @classmethod
    def signed(
        cls,
        key: ec.EllipticCurvePrivateKey,
        *,
        origin: str,
        lease: str,
        counter: int,
        event: LeaseEvent,
    ) -> "LeaseMessage":
        """Return the message, signed with ES256.

        :param key: the agent's key of the login that the lease belongs to.
        :param origin: of the gateway, in the one spelling of :func:`require_origin`.
        :raises ValueError: for an origin in another spelling.
        """
        message = lease_message(origin=origin, lease=lease, counter=counter, event=event)
        signature = es256.sign(key, message)
        return cls(lease=lease, counter=counter, event=event, signature=signature)

    @classmethod
    def parse(cls, raw: bytes) -> "LeaseMessage":
        """Return the message in *raw*.

        :param raw: strict JSON with exactly the four members, at most 512 bytes.
        :raises ValueError: with the member at fault.

        Source: docs/reference/protocol.md, "The lease".
        """
        members = parse_object(raw, max_bytes=MAX_LEASE_MESSAGE_BYTES)
        if set(members) != _MEMBERS:
            unexpected = sorted(_MEMBERS ^ set(members))
            raise ValueError(f"members missing or unknown: {', '.join(unexpected)[:200]}")
        lease, counter = members["lease"], members["counter"]
        named, signature = members["event"], members["sig"]
        if type(counter) is not int or not 1 <= counter <= MAX_COUNTER:
            raise ValueError(f"counter: a whole number from 1 to {MAX_COUNTER} is wanted")
        if not isinstance(lease, str) or not isinstance(signature, str):
            raise ValueError("lease and sig: text is wanted")  # noqa: TRY004 - one error for callers
        event = next((event for event in LeaseEvent if event == named), None)
        if event is None:
            raise ValueError(f"event: one of {', '.join(LeaseEvent)} is wanted")
        return cls(
            lease=require_lease_id(lease),
            counter=counter,
            event=event,
            signature=_bytes("sig", signature, es256.SIGNATURE_BYTES),
        )

    def to_json(self) -> bytes:
        """Return the message as it is sent."""
        return json.dumps(
            {
                "lease": self.lease,
                "counter": self.counter,
                "event": self.event,
                "sig": b64url_encode(self.signature),
            }
        ).encode("ascii")

    def require_signed_by(self, key: AgentKey, *, origin: str) -> None:
        """Refuse the message unless *key* signed it for the gateway at *origin*.

        :raises ValueError: where it is not so.
        """
        message = lease_message(
            origin=origin, lease=self.lease, counter=self.counter, event=self.event
        )
        es256.require_signed(key, self.signature, message)


def lease_message(*, origin: str, lease: str, counter: int, event: LeaseEvent) -> bytes:
    """Return the bytes that the agent's key signs.

    Only the last field has no fixed length, so fields cannot run into each other.

    :param origin: in the one spelling of :func:`require_origin`.
    :param lease: the lease's id, 22 characters.
    :param counter: at most 8 bytes.
    :raises ValueError: for an origin in another spelling.

    Source: docs/reference/protocol.md, "The lease".
    """
    return b"".join(
        (
            LEASE_CONTEXT,
            hashlib.sha256(require_origin(origin).encode("ascii")).digest(),
            hashlib.sha256(lease.encode("ascii")).digest(),
            counter.to_bytes(_COUNTER_BYTES, "big"),
            event.encode("ascii"),
        )
    )


def require_lease_id(lease: str) -> str:
    """Return *lease* if it has the form of a lease's id: 16 bytes in base64url.

    :raises ValueError: for any other text.
    """
    _bytes("lease", lease, LEASE_ID_BYTES)
    return lease


def _bytes(name: str, text: str, length: int) -> bytes:
    try:
        return b64url_decode(text, length=length)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc
